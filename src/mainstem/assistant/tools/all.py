"""All tools of the hub."""

from collections.abc import Callable
from typing import Any

from mainstem.assistant.ports import Tool
from mainstem.assistant.tools import alerts, bookings, journey, links, tasks, webhooks
from mainstem.connectors.running import Connectors
from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects


def all_tools(
    *, connectors: Callable[[], Connectors], keyring: Callable[[], Keyring], subjects: Callable[[], Subjects]
) -> list[Tool[Any]]:
    """Return every tool that the hub ships with; the arguments give what the process has opened."""
    return [
        *tasks.tools(subjects),
        *links.TOOLS,
        *webhooks.TOOLS,
        *alerts.TOOLS,
        *bookings.tools(connectors),
        *journey.tools(keyring),
    ]
