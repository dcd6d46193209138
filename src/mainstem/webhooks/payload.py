"""The request of a delivery: body, headers, signatures. Pure.

The body is made of the event's own JSON text, so that numbers and order reach the receiver as the sender wrote them. Bodies:
`standard` as Standard Webhooks has it, `cloudevents` as CloudEvents 1.0 in structured mode, `bare` the data alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from mainstem.platform.clock import rfc3339
from mainstem.webhooks.sign import Secret, headers, message_id

RESERVED: Final = frozenset(
    """
    connection content-encoding content-length content-type expect host keep-alive proxy-authorization te trailer
    transfer-encoding upgrade user-agent webhook-id webhook-signature webhook-timestamp
    """.split()
)
"""Names of headers that an endpoint can't set."""
_IN_PATHS: Final = "/:@!$&'()*+,;="
"""Stand for themselves in the path of a URI (RFC 3986, 3.3), beside letters, digits and -._~."""
# made once: json.dumps would make one for each body
_JSON: Final = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way out, personal data opened."""

    event_uid: UUID
    kind: str
    source: str
    subject: str | None
    occurred_at: datetime
    data: str
    """JSON text."""


def body_of(message: Message, envelope: str, tenant: str) -> tuple[str, bytes]:
    """Return content type and body of a message in an envelope; `tenant` is the slug of its owner."""
    match envelope:
        case "bare":
            return "application/json", _encoded(message.data)
        case "cloudevents":
            # CloudEvents 1.0.2, 2.4: id and source together name the event
            told = {
                "specversion": "1.0",
                "id": message_id(message.event_uid),
                # a URI reference, whatever senders call themselves
                "source": f"/mainstem/{tenant}/{quote(message.source, _IN_PATHS, errors='replace')}",
                "type": message.kind,
                "time": rfc3339(message.occurred_at),
                **({"subject": message.subject} if message.subject else {}),
                "datacontenttype": "application/json",
            }
            return "application/cloudevents+json; charset=utf-8", _with_data(told, message.data)
        case _:
            told = {
                "type": message.kind,
                "timestamp": rfc3339(message.occurred_at),
                "id": message_id(message.event_uid),
                "source": message.source,
                **({"subject": message.subject} if message.subject else {}),
            }
            return "application/json", _with_data(told, message.data)


def _with_data(told: Mapping[str, str], data: str) -> bytes:
    return _encoded(f'{_JSON.encode(told)[:-1]}, "data": {data}}}')


def _encoded(text: str) -> bytes:
    # half a surrogate pair has no UTF-8, but stands in a JSON string, where \uD800 is its other form
    return text.encode(errors="backslashreplace")


def headers_of(  # noqa: PLR0913 - what a request carries
    secrets: Sequence[Secret],
    event_uid: UUID,
    body: bytes,
    content_type: str,
    own: Mapping[str, str],
    *,
    timestamp: int,
) -> dict[str, str]:
    """Return the headers of one attempt: the endpoint's own, but for reserved ones, and ours."""
    kept = {name: value for name, value in own.items() if name.lower() not in RESERVED}
    return {**kept, "Content-Type": content_type, **headers(secrets, message_id(event_uid), timestamp, body)}
