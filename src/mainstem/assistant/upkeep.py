"""What the hourly sweep does here: old calls, approvals, conversations and streams go."""

from datetime import datetime, timedelta
from typing import Final

from mainstem.assistant import approvals, calls
from mainstem.assistant.chat import store
from mainstem.platform.db import Connection
from mainstem.platform.settings import Settings

_APPROVALS_KEPT: Final = timedelta(days=1)
"""How long it can be told that an approval was used or has expired."""
_STREAMS_KEPT: Final = timedelta(days=1)
"""How long a stream can be read on; after that it is told anew from the answer."""


async def prune(connection: Connection, settings: Settings, now: datetime) -> int:
    """Delete what is older than is kept; the connection must be outside of a transaction. Returns how many rows went."""
    gone = await calls.prune(connection, now - timedelta(days=settings.tool_log_days))
    gone += await approvals.prune(connection, now - _APPROVALS_KEPT)
    return gone + await store.prune(connection, now - timedelta(days=settings.chat_retention_days), now - _STREAMS_KEPT)
