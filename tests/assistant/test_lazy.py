"""What takes in events never loads an agent framework, nor anything else of the assistant that takes long to load."""

import subprocess
import sys

HEAVY = ("pydantic_ai", "openai", "mcp", "dateparser", "httpx2")


def loaded_by(code: str) -> set[str]:
    told = f"import sys; {code}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_ingest_path_loads_none_of_it() -> None:
    assert loaded_by("import mainstem.front, mainstem.hub, mainstem.worker") == set()


def test_a_hub_without_a_language_model_loads_none_of_it() -> None:
    assert loaded_by(
        "from mainstem.platform.settings import Settings; import mainstem.app as app;"
        "from mainstem.assistant.choose import model_of; model_of(Settings(_env_file=None))"
    ) <= {"dateparser"}


def test_a_configured_language_model_loads_it() -> None:
    assert "pydantic_ai" in loaded_by(
        "from mainstem.platform.settings import Settings; from mainstem.assistant.choose import model_of;"
        "model_of(Settings(_env_file=None, openai_api_key='sk-x'))"
    )
