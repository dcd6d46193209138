"""Conversations in the database: one typed function per use. The caller's transaction is bound to tenant and person."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from mainstem.assistant.ports import CallMade, Said, Usage
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import MainstemError, NotFoundError

LEASE: Final = timedelta(seconds=30)
"""How long an answer belongs to the process that makes it, unless that says it is still alive."""
MOST_MESSAGES: Final = 500
_LARGEST_ID: Final = 2**31 - 1
_LARGEST_LONG_ID: Final = 2**63 - 1
_sql: Final = load_queries("mainstem.assistant.chat")


class LostTurnError(Exception):
    """Another process makes the answer by now: this one was taken for dead."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose conversations."""

    tenant_id: int
    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation, without its messages."""

    id: int
    title: str
    summary: str
    summarized_to: int
    asked: Any
    turn_id: int | None
    turn_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An answer, or what it answers."""

    id: int
    conversation_id: int
    parent_id: int | None
    role: str
    content: str
    calls: tuple[CallMade, ...]
    model: str | None
    unfinished: bool
    error: str | None
    error_detail: str | None
    execution_ms: float | None
    created_at: datetime
    finished_at: datetime | None
    turn_id: int | None
    turn_until: datetime | None
    messages: int
    """How many the conversation has."""


async def page(
    connection: Connection, person: Person, *, before: tuple[datetime, int] | None, limit: int
) -> list[asyncpg.Record]:
    """Return conversations, the last changed first."""
    at, id_ = before or (None, None)
    return await connection.fetch(_sql["conversations"], *_who(person), at, id_, limit)


async def read(connection: Connection, person: Person, conversation_id: int, *, lock: bool = False) -> Conversation:
    """Return a conversation of the person. Raises NotFoundError."""
    row = None
    if 0 < conversation_id <= _LARGEST_ID:
        row = await connection.fetchrow(
            _sql["lock_conversation" if lock else "conversation"], *_who(person), conversation_id
        )
    if row is None:
        raise NotFoundError("Conversation not found")
    return Conversation(**{**dict(row), "asked": None if row["asked"] is None else json.loads(row["asked"])})


async def add(connection: Connection, person: Person, title: str, now: datetime) -> asyncpg.Record:
    """Make a conversation."""
    row = await connection.fetchrow(_sql["add_conversation"], *_who(person), title, now)
    return _one(row)


async def delete(connection: Connection, person: Person, conversation_id: int) -> None:
    """Delete a conversation with all that was said in it. Raises NotFoundError."""
    known = 0 < conversation_id <= _LARGEST_ID
    if not known or not await connection.fetchval(_sql["delete_conversation"], *_who(person), conversation_id):
        raise NotFoundError("Conversation not found")


async def messages(
    connection: Connection, person: Person, conversation_id: int, *, after: int, limit: int
) -> list[asyncpg.Record]:
    """Return messages of a conversation, in order; `after` is the last id of the page before."""
    return await connection.fetch(_sql["messages"], *_who(person), conversation_id, after, limit)


async def said(  # noqa: PLR0913 - a part of a list
    connection: Connection, person: Person, conversation_id: int, *, after: int, before: int, limit: int
) -> list[tuple[int, Said]]:
    """Return the newest messages between two ids, in order: what was said, and the id of each."""
    rows = await connection.fetch(_sql["latest_messages"], *_who(person), conversation_id, after, before, limit)
    return [
        (row["id"], Said(row["role"], row["content"], calls_of(row["tool_calls"])))
        for row in reversed(rows)
        # an answer that broke off said nothing that stands
        if row["content"] or row["tool_calls"] != "[]"
    ]


async def message(connection: Connection, person: Person, message_id: int) -> Message:
    """Return a message of the person. Raises NotFoundError."""
    row = None
    if 0 < message_id <= _LARGEST_LONG_ID:
        row = await connection.fetchrow(_sql["message"], *_who(person), message_id)
    if row is None:
        raise NotFoundError("Message not found")
    fields = dict(row)
    return Message(calls=calls_of(fields.pop("tool_calls")), **fields)


async def answer_of_key(connection: Connection, person: Person, key: str) -> asyncpg.Record | None:
    """Return message_id, conversation_id, content and answer_id of what was sent with an idempotency key; None: nothing."""
    return await connection.fetchrow(_sql["answer_of_key"], *_who(person), key)


async def add_message(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    person: Person,
    conversation_id: int,
    *,
    role: str,
    content: str,
    parent_id: int | None,
    now: datetime,
    calls: Sequence[CallMade] = (),
    model: str | None = None,
    unfinished: bool = False,
    key: str | None = None,
) -> int:
    """Write a message; return its id. Raises asyncpg.UniqueViolationError for a key that was used."""
    made: int = await connection.fetchval(
        _sql["add_message"],
        *(conversation_id, person.tenant_id, person.user_id, parent_id, role, content, _json(calls), model, unfinished),
        *(key, now, None if unfinished else now),
    )
    return made


async def begin_turn(  # noqa: PLR0913, PLR0917 - the columns of a row
    connection: Connection, person: Person, conversation_id: int, message_id: int, claim: UUID, now: datetime
) -> None:
    """Note that this process makes an answer; the conversation is locked."""
    await connection.execute(_sql["begin_turn"], *_who(person), conversation_id, message_id, now + LEASE, claim, now)


async def renew_turn(connection: Connection, person: Person, message_id: int, claim: UUID, now: datetime) -> bool:
    """Note that the answer is still being made; False when it is not this process's any more."""
    return await connection.fetchval(_sql["renew_turn"], *_who(person), message_id, claim, now + LEASE) is not None


async def hold_turn(connection: Connection, person: Person, message_id: int, claim: UUID) -> None:
    """Keep an answer this process's until the transaction ends. Raises LostTurnError when it is another's by now."""
    if await connection.fetchval(_sql["hold_turn"], *_who(person), message_id, claim) is None:
        raise LostTurnError


async def claim_turn(  # noqa: PLR0913, PLR0917 - the columns of a row
    connection: Connection, person: Person, conversation_id: int, message_id: int, claim: UUID, now: datetime
) -> bool:
    """Take up an answer whose process is gone; False when somebody makes it, or the conversation has gone on."""
    row = await connection.fetchval(
        _sql["claim_turn"], *_who(person), conversation_id, message_id, now + LEASE, now, claim
    )
    return row is not None


async def reopen(connection: Connection, person: Person, message_id: int) -> None:
    """Make an answer anew that broke off; what it said so far does not stand."""
    await connection.execute(_sql["reopen"], *_who(person), message_id)


async def let_go(connection: Connection, person: Person, message_id: int, claim: UUID) -> None:
    """Leave an answer to whoever takes it up."""
    await connection.execute(_sql["let_go"], *_who(person), message_id, claim)


async def finish_turn(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    person: Person,
    message_id: int,
    claim: UUID,
    *,
    content: str,
    calls: Sequence[CallMade],
    model: str,
    usage: Usage,
    error: MainstemError | None,
    execution_ms: float,
    asked: Any,  # noqa: ANN401 - JSON
    now: datetime,
) -> int | None:
    """Write an answer; return how many messages the conversation has, None when it is gone, or the answer another process's."""
    told = None if asked is None else json.dumps(asked)
    count: int | None = await connection.fetchval(
        _sql["finish_turn"],
        *(*_who(person), message_id, content, _json(calls), model, json.dumps(asdict(usage))),
        *(None if error is None else error.code, execution_ms, now, told, None if error is None else error.detail),
        claim,
    )
    return count


async def calls_done(connection: Connection, person: Person, message_id: int) -> tuple[CallMade, ...]:
    """Return the calls that an answer has made so far, in order."""
    rows = await connection.fetch(_sql["calls_done"], *_who(person), message_id)
    return tuple(call for row in rows for call in calls_of(row["tool_calls"]))


async def summarize(connection: Connection, person: Person, conversation_id: int, summary: str, up_to: int) -> None:
    """Keep what the messages up to an id said, in short."""
    await connection.execute(_sql["summarize"], *_who(person), conversation_id, summary, up_to)


async def rate(  # noqa: PLR0913, PLR0917 - the columns of a row
    connection: Connection, person: Person, conversation_id: int, message_id: int, rating: int | None, note: str | None
) -> None:
    """Keep what the person thinks of an answer. Raises NotFoundError."""
    known = 0 < conversation_id <= _LARGEST_ID and 0 < message_id <= _LARGEST_LONG_ID
    row = None
    if known:
        row = await connection.fetchval(_sql["rate"], *_who(person), conversation_id, message_id, rating, note)
    if row is None:
        raise NotFoundError("Message not found")


async def add_event(  # noqa: PLR0913, PLR0917 - the columns of a row
    connection: Connection,
    person: Person,
    message_id: int,
    name: str,
    data: Any,  # noqa: ANN401 - JSON
    now: datetime,
) -> None:
    """Keep something that was streamed."""
    await connection.execute(_sql["add_event"], *_who(person), message_id, name, json.dumps(data), now)


async def events(connection: Connection, person: Person, message_id: int, after: int) -> list[tuple[int, str, str]]:
    """Return what was streamed of an answer after a number: number, name and data as JSON text."""
    rows = await connection.fetch(_sql["events"], *_who(person), message_id, after)
    return [(row["number"], row["name"], row["data"]) for row in rows]


async def count_usage(  # noqa: PLR0913 - the columns of a row
    connection: Connection, person: Person, day: date, model: str, usage: Usage, *, failed: bool
) -> None:
    """Add an answer to the ledger of what models use."""
    await connection.execute(
        _sql["count_usage"],
        *(*_who(person), day, model, usage.requests, usage.prompt_tokens, usage.completion_tokens, int(failed)),
    )


async def tokens_of_day(connection: Connection, tenant_id: int, day: date) -> int:
    """Return how many tokens a tenant's chats have used on a day."""
    used: int = await connection.fetchval(_sql["tokens_of_day"], tenant_id, day)
    return used


async def usage(connection: Connection, tenant_id: int, user_id: UUID | None, since: date) -> list[asyncpg.Record]:
    """Return what models used by day and model, of a person or, with None, of the tenant."""
    return await connection.fetch(_sql["usage"], tenant_id, user_id, since)


async def prune(connection: Connection, before: datetime, events_before: datetime) -> int:
    """Delete conversations that nobody has continued since, and old streams; the connection is outside of a transaction."""
    gone: int = await connection.fetchval(_sql["prune_events"], events_before)
    while some := await connection.fetchval(_sql["prune_conversations"], before):
        gone += some
    return gone


def calls_of(text: str) -> tuple[CallMade, ...]:
    """Return calls as they are kept."""
    return tuple(CallMade(**one) for one in json.loads(text))


def _json(calls: Sequence[CallMade]) -> str:
    return json.dumps([asdict(call) for call in calls])


def _who(person: Person) -> tuple[int, UUID]:
    return person.tenant_id, person.user_id


def _one(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        msg = "an insert returns its row"
        raise RuntimeError(msg)
    return row
