"""The chat API of the contract, under /api/{user_id}/… and /api/…, and what models used."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from mainstem.assistant.binding import bound
from mainstem.assistant.chat import store
from mainstem.assistant.chat.answers import ChatOut
from mainstem.assistant.chat.asked import Asked
from mainstem.assistant.chat.models import (
    ApprovalIn,
    ChatIn,
    ConversationIn,
    ConversationList,
    ConversationMade,
    ConversationOut,
    Deleted,
    FeedbackIn,
    FeedbackOut,
    MessageList,
    MessageOut,
    UsageList,
    UsageOut,
)
from mainstem.assistant.chat.store import Person
from mainstem.assistant.chat.stream import sse
from mainstem.assistant.chat.turns import Turns
from mainstem.assistant.routes import anybody
from mainstem.platform.auth import DOCUMENTED, Caller
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Pool
from mainstem.platform.errors import BadRequestError, ForbiddenError, InvalidFieldError, NotFoundError
from mainstem.platform.person import person_of
from mainstem.platform.web.text import clean

LONGEST_MESSAGE: Final = 4_096
NEW: Final = "New conversation"
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The answer, or its stream."}
}
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
Key = Annotated[str | None, Header(max_length=255, description="The same message under the same key acts once.")]


async def talker(caller: Annotated[Caller, Depends(anybody)]) -> Caller:
    """Return who calls, who may do something by talking. Raises ForbiddenError."""
    if not caller.scopes & {"tasks", "read"}:
        raise ForbiddenError("This needs the scope tasks or read.")
    return caller


async def own(caller: Annotated[Caller, Depends(talker)]) -> Caller:
    """Return the person who calls. Raises ForbiddenError."""
    person_of(caller)
    return caller


async def named(user_id: str, caller: Annotated[Caller, Depends(talker)]) -> Caller:
    """Return the person who calls, whose id is that of the path. Raises ForbiddenError."""
    person_of(caller, user_id)
    return caller


def build_router(*, pool: Callable[[], Pool], turns: Callable[[], Turns]) -> APIRouter:
    """Return the routes under both paths; they need a person with the scope tasks or read, whose tools are those of the scopes."""
    router = APIRouter(dependencies=list(DOCUMENTED))
    for prefix, person in (("/api", own), ("/api/{user_id:person}", named)):
        router.include_router(_chat(prefix, person, turns))
        router.include_router(_conversations(prefix + "/conversations", person, pool, turns))
    router.include_router(_usage(pool))
    return router


def message_of(text: str) -> str:
    """Return a message. Raises BadRequestError when it is empty or too long."""
    message = clean(text).strip()
    if not message:
        raise BadRequestError("message must not be empty", field="message")
    if len(message) > LONGEST_MESSAGE:
        raise BadRequestError(f"message has at most {LONGEST_MESSAGE:,} characters", field="message")
    return message


def _chat(prefix: str, person: Callable[..., Awaitable[Caller]], turns: Callable[[], Turns]) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["chat"])

    @router.post("/chat", summary="Say something to the assistant", responses=_STREAM, response_model=ChatOut)
    async def chat(
        caller: Annotated[Caller, Depends(person)], body: ChatIn, idempotency_key: Key = None
    ) -> ChatOut | StreamingResponse:
        asked = Asked(
            message=message_of(body.message),
            conversation_id=body.conversation_id,
            key=idempotency_key,
            stream=body.stream,
        )
        return await _answered(turns(), caller, asked)

    @router.post(
        "/conversations/{conversation_id}/approvals/{approval_id}",
        summary="Say yes or no to what the assistant asked",
        responses=_STREAM,
        response_model=ChatOut,
    )
    async def approve(
        caller: Annotated[Caller, Depends(person)],
        conversation_id: int,
        approval_id: UUID,
        body: ApprovalIn,
        idempotency_key: Key = None,
    ) -> ChatOut | StreamingResponse:
        asked = Asked(
            message="Yes" if body.approve else "No",
            conversation_id=conversation_id,
            key=idempotency_key,
            approval=(approval_id, body.approve),
            stream=body.stream,
        )
        return await _answered(turns(), caller, asked)

    return router


async def _answered(turns: Turns, caller: Caller, asked: Asked) -> ChatOut | StreamingResponse:
    turn = await turns.begin(caller, asked)
    if asked.stream:
        return _streamed(turns, caller, turn.message_id, 0)
    return await turns.finished(turn)


def _streamed(turns: Turns, caller: Caller, message_id: int, after: int) -> StreamingResponse:
    told: AsyncIterator[bytes] = sse(turns.follow(caller, message_id, after))
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)


def _conversations(
    prefix: str, person: Callable[..., Awaitable[Caller]], pool: Callable[[], Pool], turns: Callable[[], Turns]
) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["chat"])
    Whose = Annotated[Caller, Depends(person)]  # noqa: N806 - a type

    def me(caller: Caller) -> Person:
        return Person(caller.tenant_id, person_of(caller))

    @router.get("", summary="Your conversations, the last changed first")
    async def list_conversations(
        caller: Whose,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        before: Annotated[str | None, Query(max_length=100, description="next_before of the page before.")] = None,
    ) -> ConversationList:
        place = _place(before)
        async with bound(pool(), caller) as connection:
            rows = await store.page(connection, me(caller), before=place, limit=limit + 1)
        items = [ConversationOut(**dict(row)) for row in rows[:limit]]
        more = _cursor(items[-1]) if len(rows) > limit else None
        return ConversationList(conversations=items, count=len(items), next_before=more)

    @router.post("", status_code=201, summary="Make a conversation")
    async def add_conversation(caller: Whose, body: ConversationIn | None = None) -> ConversationMade:
        title = NEW if body is None or body.title is None else body.title
        async with bound(pool(), caller) as connection:
            row = await store.add(connection, me(caller), title, utc_now())
        return ConversationMade(**dict(row), conversation_id=row["id"])

    @router.get("/{conversation_id}/messages", summary="What was said in a conversation")
    async def list_messages(
        caller: Whose,
        conversation_id: int,
        after: Annotated[int, Query(ge=0, lt=2**63, description="Id of the last message of the page before.")] = 0,
        limit: Annotated[int, Query(ge=1, le=store.MOST_MESSAGES)] = 100,
    ) -> MessageList:
        async with bound(pool(), caller) as connection:
            await store.read(connection, me(caller), conversation_id)
            rows = await store.messages(connection, me(caller), conversation_id, after=after, limit=limit + 1)
        items = [MessageOut.of(row) for row in rows[:limit]]
        return MessageList(
            conversation_id=conversation_id,
            messages=items,
            count=len(items),
            next_after=items[-1].id if len(rows) > limit else None,
        )

    @router.delete("/{conversation_id}", summary="Delete a conversation, with all that was said in it")
    async def delete_conversation(caller: Whose, conversation_id: int) -> Deleted:
        async with bound(pool(), caller) as connection:
            await store.delete(connection, me(caller), conversation_id)
        return Deleted(conversation_id=conversation_id)

    @router.post("/{conversation_id}/messages/{message_id}/feedback", summary="Say what you think of an answer")
    async def rate(caller: Whose, conversation_id: int, message_id: int, body: FeedbackIn) -> FeedbackOut:
        rating = {"up": 1, "down": -1, None: None}[body.rating]
        async with bound(pool(), caller) as connection:
            await store.rate(connection, me(caller), conversation_id, message_id, rating, body.note)
        return FeedbackOut(message_id=message_id, rating=body.rating)

    @router.get(
        "/{conversation_id}/messages/{message_id}/stream",
        summary="Follow an answer, or read on after Last-Event-ID; one whose process has died is taken up",
        response_class=StreamingResponse,
        responses=_STREAM,
    )
    async def follow(
        caller: Whose,
        conversation_id: int,
        message_id: int,
        last_event_id: Annotated[int, Header(ge=0, lt=2**31)] = 0,
    ) -> StreamingResponse:
        async with bound(pool(), caller) as connection:
            found = await store.message(connection, me(caller), message_id)
        if found.conversation_id != conversation_id or found.role != "assistant":
            raise NotFoundError("Message not found")
        return _streamed(turns(), caller, message_id, last_event_id)

    return router


def _usage(pool: Callable[[], Pool]) -> APIRouter:
    router = APIRouter(prefix="/api/v1/assistant", tags=["assistant"])

    @router.get("/usage", summary="What models used, by day")
    async def usage(
        caller: Annotated[Caller, Depends(talker)],
        days: Annotated[int, Query(ge=1, le=366, description="UTC days up to today.")] = 30,
        of: Annotated[
            Literal["me", "tenant"] | None, Query(description="tenant needs admin, and is meant by keys.")
        ] = None,
    ) -> UsageList:
        mine = of == "me" or (of is None and caller.user_id is not None)
        if not mine and "admin" not in caller.scopes:
            raise ForbiddenError("What the whole tenant used, the scope admin is shown.")
        whose = person_of(caller) if mine else None
        since = utc_now().astimezone(UTC).date() - timedelta(days=days - 1)
        async with bound(pool(), caller) as connection:
            rows = await store.usage(connection, caller.tenant_id, whose, since)
        items = [UsageOut(**{**dict(row), "day": row["day"].isoformat()}) for row in rows]
        return UsageList(items=items, of="me" if mine else "tenant")

    return router


def _cursor(last: ConversationOut) -> str:
    return base64.urlsafe_b64encode(f"{rfc3339(last.updated_at)}|{last.id}".encode()).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition("|")
        moment, number = datetime.fromisoformat(at), int(id_)
    except ValueError:
        moment, number = datetime.min.replace(tzinfo=UTC), -1
    if moment.tzinfo is None or not 0 < number < 2**31:
        raise InvalidFieldError("before must be the next_before of a list.", field="before")
    return moment, number
