"""Paths that begin with a person: `/api/{user_id:person}/…`, and the check that it is the caller's own.

The words that stand at that place in other paths are no user ids, so that no such path is ever taken for somebody's.
"""

from typing import Final
from uuid import UUID

from starlette.convertors import Convertor, register_url_convertor

from mainstem.platform.auth import Caller
from mainstem.platform.errors import ForbiddenError

RESERVED: Final = (
    *(
        "auth",
        "chat",
        "connectors",
        "conversations",
        "docs",
        "health",
        "link-tracking",
        "mcp",
        "metrics",
        "sync",
        "tasks",
        "tracking",
    ),
    *("tracking-ingest", "v1", "v2", "v3", "webhook", "webhooks", "ws"),
)
"""First words of paths under /api that are no user ids."""
_OTHERS: Final = "User ID in path does not match authenticated user"
_NOBODY: Final = (
    "This belongs to people, and an API key is nobody: sign in (POST /api/v1/auth/token) and send the person's token."
)


class _Person(Convertor[str]):
    """A segment that may be a user id."""

    regex = rf"(?!(?:{'|'.join(RESERVED)})(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("person", _Person())


def person_of(caller: Caller, user_id: str | None = None) -> UUID:
    """Return the person who calls, whose id is that of the path where there is one. Raises ForbiddenError."""
    if user_id is not None and (caller.user_id is None or user_id.lower() != str(caller.user_id)):
        raise ForbiddenError(_OTHERS)
    if caller.user_id is None:
        raise ForbiddenError(_NOBODY)
    return caller.user_id
