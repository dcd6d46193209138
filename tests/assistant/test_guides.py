"""The guides name what there is."""

from pathlib import Path

from mainstem.assistant.chat.events import Event
from mainstem.platform.settings_fields import Assistant

GUIDES = Path(__file__).parents[2] / "docs/guides"
GUIDE = (GUIDES / "assistant.md").read_text(encoding="utf-8")
MODELS = (GUIDES / "language-models.md").read_text(encoding="utf-8")


def test_every_event_and_setting_is_in_a_guide() -> None:
    for event in Event:
        assert f"`{event}`" in GUIDE
    for name in Assistant.model_fields:
        if not name.startswith("mcp_"):
            assert name.upper() in GUIDE + MODELS, name
