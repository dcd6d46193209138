"""What a hot-path handler gets and gives: a request read once, a reply ready to send."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mainstem.front.body import Receive

Headers = Sequence[tuple[bytes, bytes]]
JSON: Final = (b"content-type", b"application/json")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Request:
    """One HTTP request on the hot path; header names are lower-case bytes, the last of equal names wins."""

    scope: dict[str, Any]
    receive: Receive
    request_id: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    public: bool = False
    """Set once a public key has been admitted, so that its page may read the answer, an error too."""

    def __post_init__(self) -> None:
        """Index the headers and take over a sane request id, or make one."""
        self.headers = dict(self.scope["headers"])
        given = self.headers.get(b"x-request-id")
        self.request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else os.urandom(12).hex()

    def text(self, name: bytes) -> str | None:
        """Return a header as text, or None when it is absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Reply:
    """A complete answer."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [JSON])


def json_reply(status: int, body: object) -> Reply:
    """Return a JSON answer."""
    return Reply(status, _encode(body))
