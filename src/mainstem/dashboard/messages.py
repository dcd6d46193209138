"""What goes over the WebSocket of the dashboard, both ways, and its frames. Pure.

In: `{"action": "subscribe" | "unsubscribe", "types": [...]}` and `{"action": "ping"}`. Out: objects whose `type` is their
name, with a `timestamp` and, where they bring something, `data`. Outgoing frames are whole and the same for every client
(RFC 6455, 5.2: a server masks nothing), so that one encoding serves all.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from mainstem.platform.clock import rfc3339

LARGEST_MESSAGE: Final = 65_536
"""Bytes of an incoming message; the server closes (1009) beyond."""

_TEXT: Final = 0x81
_SHORT: Final = 126
_MEDIUM: Final = 65_536
_LONGEST_ECHO: Final = 128


class Topic(StrEnum):
    """What a client can subscribe to."""

    METRICS = "metrics"
    ALERTS = "alerts"
    WEBHOOKS = "webhooks"
    EVENTS = "events"
    TASKS = "tasks"
    """Those of the client's own person; a client without one is told nothing."""


TOPIC_OF: Final = {
    "metrics_update": Topic.METRICS,
    "alert_new": Topic.ALERTS,
    "alert_changed": Topic.ALERTS,
    "webhook_status_changed": Topic.WEBHOOKS,
    "event": Topic.EVENTS,
    "task_changed": Topic.TASKS,
    "task_reminder": Topic.TASKS,
}
"""Which subscription a message belongs to."""

_OLD_NAMES: Final = {"webhook_status_changed": {"name": "webhook_name", "health": "health_status"}}

# old clients say `alert` where the contract says `alerts`
_TOPICS: Final = {word: topic for topic in Topic for word in (topic.value, topic.value.removesuffix("s"))}


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Wants these topics, too; words that are none are told."""

    topics: tuple[Topic, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Wants these topics no more."""

    topics: tuple[Topic, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether anybody is there."""


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """Something else; the sentence is for whoever wrote the client."""

    code: str
    message: str


Command = Subscribe | Unsubscribe | Ping | Misunderstood


def read(text: str | bytes) -> Command:
    """Return what an incoming message asks for; never raises."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Misunderstood("invalid_json", "This is not JSON.")
    if not isinstance(message, dict):
        return Misunderstood("invalid_message", 'A message is an object such as {"action": "ping"}.')
    match message.get("action"):
        case "ping":
            return Ping()
        case "subscribe" | "unsubscribe" as action:
            return _topics(Subscribe if action == "subscribe" else Unsubscribe, message.get("types"))
        case None:
            return Misunderstood("invalid_message", "action is required: subscribe, unsubscribe or ping.")
        case other:
            return Misunderstood("unknown_action", f"Unknown action: {_shown(other)}")


def _topics(kind: type[Subscribe | Unsubscribe], types: object) -> Command:
    if types is None:
        return kind(tuple(Topic))
    if not isinstance(types, list) or not all(isinstance(word, str) for word in types):
        return Misunderstood("invalid_message", f"types must be a list of {', '.join(Topic)}.")
    found = dict.fromkeys(_TOPICS[word] for word in types if word in _TOPICS)
    unknown = dict.fromkeys(_shown(word) for word in types if word not in _TOPICS)
    return kind(tuple(found), tuple(unknown))


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:_LONGEST_ECHO]


def frame(type_: str, now: datetime, **members: Any) -> bytes:  # noqa: ANN401 - whatever msgspec writes
    """Return the frame of a message."""
    return framed(msgspec.json.encode({"type": type_, **members, "timestamp": rfc3339(now)}))


def error(code: str, message: str, now: datetime) -> bytes:
    """Return the frame of an error."""
    return frame("error", now, code=code, message=message)


def confirmed(type_: str, topics: Iterable[Topic], in_force: Iterable[Topic], now: datetime, **more: Any) -> bytes:  # noqa: ANN401
    """Return the frame that confirms a subscription or its end; `subscriptions` is what is in force afterwards."""
    return frame(type_, now, types=list(topics), subscriptions=sorted(in_force), **more)


def told(type_: str, data: Mapping[str, Any], now: datetime) -> bytes:
    """Return the frame of a live message, with the names that clients of the contract know beside its own."""
    named = {old: data[new] for new, old in _OLD_NAMES.get(type_, {}).items() if new in data and old not in data}
    return frame(type_, now, data={**data, **named})


def framed(text: bytes) -> bytes:
    """Return the unmasked WebSocket frame of a UTF-8 text."""
    size = len(text)
    if size < _SHORT:
        head = bytes((_TEXT, size))
    elif size < _MEDIUM:
        head = struct.pack("!BBH", _TEXT, 126, size)
    else:
        head = struct.pack("!BBQ", _TEXT, 127, size)
    return head + text
