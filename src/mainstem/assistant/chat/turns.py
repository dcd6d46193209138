"""Makes answers: one at a time in a conversation, in any process, and goes on with one whose process has died.

An answer is a row from the moment the message is taken in. The process that makes it holds a lease; calls of tools are
written in their own transactions. Whoever finds an unfinished answer without a lease makes it, with the calls that were made.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from mainstem.assistant.binding import bound
from mainstem.assistant.chat import store
from mainstem.assistant.chat.answers import ChatOut, error_of, replayed
from mainstem.assistant.chat.asked import Asked, Turn
from mainstem.assistant.chat.events import ENDS, Bell
from mainstem.assistant.chat.history import title_of
from mainstem.assistant.chat.making import Maker, NamedFor
from mainstem.assistant.chat.store import Message, Person
from mainstem.assistant.ports import Model
from mainstem.assistant.registry import Registry
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool
from mainstem.platform.errors import ConflictError, RateLimitedError
from mainstem.platform.limits import RateLimiter
from mainstem.platform.person import person_of
from mainstem.platform.settings import Settings

_LOOK_S: Final = 0.25
"""How often news of other processes are looked for."""
_GRACE_S: Final = 5.0
_MINUTE_S: Final = 60


class Turns:
    """The answers of a process."""

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        *,
        pool: Callable[[], Pool],
        registry: Registry,
        model: Model,
        limiter: RateLimiter,
        settings: Settings,
        named: NamedFor | None = None,
    ) -> None:
        """Keep the parts."""
        self._pool = pool
        self._clock = registry.clock
        self._limiter = limiter
        self._settings = settings
        self._bell = Bell()
        self.maker = Maker(pool=pool, registry=registry, model=model, settings=settings, bell=self._bell, named=named)
        self._running: dict[int, asyncio.Task[None]] = {}

    # taking a message in

    async def begin(self, caller: Caller, asked: Asked) -> Turn:
        """Take a message in and begin to answer it; a repetition under its key is the turn that there is.

        Raises NotFoundError for a conversation that is not the caller's, ConflictError while another answer is made in it or
        for a key that another message had, RateLimitedError, ForbiddenError for a key, which is nobody.
        """
        person = Person(caller.tenant_id, person_of(caller))
        key = None if asked.key is None else sha256(asked.key.encode()).hexdigest()
        known = None if key is None else await self._known(caller, person, asked, key)
        if known is not None:
            return await self._again(known)
        await self._allow(caller)
        try:
            turn = await self._taken(caller, person, asked, key)
        except asyncpg.UniqueViolationError:
            # the same message at the same time: the other one was first
            found = await self._known(caller, person, asked, key or "")
            if found is None:
                raise
            return await self._again(found)
        self._start(turn)
        return turn

    async def _known(self, caller: Caller, person: Person, asked: Asked, key: str) -> Turn | None:
        async with bound(self._pool(), caller) as connection:
            row = await store.answer_of_key(connection, person, key)
        if row is None:
            return None
        if row["content"] != asked.message:
            raise ConflictError("Another message was sent with this Idempotency-Key.", code="idempotency_key_reused")
        return Turn(
            caller=caller,
            person=person,
            conversation_id=row["conversation_id"],
            question_id=row["message_id"],
            message_id=row["answer_id"],
            message=asked.message,
            approval=asked.approval,
            stream=asked.stream,
            fresh=False,
        )

    async def _again(self, turn: Turn) -> Turn:
        """Make an answer that broke off once more; what it had done already stays done."""
        async with bound(self._pool(), turn.caller) as connection:
            found = await store.message(connection, turn.person, turn.message_id)
        if found.error is not None or found.unfinished:
            await self.take_up(turn.caller, turn.message_id, stream=turn.stream, approval=turn.approval)
        return turn

    async def _allow(self, caller: Caller) -> None:
        limit = self._settings.assistant_messages_per_minute
        allowance = await self._limiter.take(f"chat:{caller.subject}", 1, limit=limit, window_s=_MINUTE_S)
        if not allowance.allowed:
            raise RateLimitedError(
                "Too many messages", retry_after_s=allowance.retry_after_s, headers=allowance.headers()
            )
        most = self._settings.assistant_tokens_per_day
        if not most or not self.maker.model.counts:
            return
        now = self._clock()
        async with bound(self._pool(), caller) as connection:
            used = await store.tokens_of_day(connection, caller.tenant_id, now.astimezone(UTC).date())
        if used >= most:
            tomorrow = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise RateLimitedError(
                "The tokens of this day are used up.", retry_after_s=max(int((tomorrow - now).total_seconds()), 1)
            )

    async def _taken(self, caller: Caller, person: Person, asked: Asked, key: str | None) -> Turn:
        now = self._clock()
        async with bound(self._pool(), caller) as connection:
            if asked.conversation_id is None:
                made = await store.add(connection, person, title_of(asked.message), now)
                conversation_id: int = made["id"]
            else:
                conversation_id = asked.conversation_id
                found = await store.read(connection, person, conversation_id, lock=True)
                if found.turn_until is not None and found.turn_until > now:
                    raise ConflictError("The assistant is still answering in this conversation.", code="turn_under_way")
            question_id = await store.add_message(
                *(connection, person, conversation_id),
                role="user",
                content=asked.message,
                parent_id=None,
                now=now,
                key=key,
            )
            message_id = await store.add_message(
                *(connection, person, conversation_id),
                role="assistant",
                content="",
                parent_id=question_id,
                now=now,
                model=self.maker.model.name,
                unfinished=True,
            )
            claim = uuid4()
            await store.begin_turn(connection, person, conversation_id, message_id, claim, now)
        return Turn(
            caller=caller,
            person=person,
            conversation_id=conversation_id,
            question_id=question_id,
            message_id=message_id,
            message=asked.message,
            claim=claim,
            approval=asked.approval,
            stream=asked.stream,
        )

    async def take_up(
        self, caller: Caller, message_id: int, *, stream: bool, approval: tuple[UUID, bool] | None = None
    ) -> bool:
        """Make an answer whose process is gone; False when somebody makes it, or the conversation has gone on."""
        person = Person(caller.tenant_id, person_of(caller))
        async with bound(self._pool(), caller) as connection:
            found = await store.message(connection, person, message_id)
            if found.role != "assistant" or found.parent_id is None or not (found.unfinished or found.error):
                return False
            question = await store.message(connection, person, found.parent_id)
            claim, now = uuid4(), self._clock()
            if not await store.claim_turn(connection, person, found.conversation_id, message_id, claim, now):
                return False
            await store.reopen(connection, person, message_id)
        self._start(
            Turn(
                caller=caller,
                person=person,
                conversation_id=found.conversation_id,
                question_id=question.id,
                message_id=message_id,
                message=question.content,
                claim=claim,
                approval=approval,
                stream=stream,
                fresh=False,
            )
        )
        return True

    def _start(self, turn: Turn) -> None:
        task = asyncio.create_task(self.maker.make(turn), name=f"answer {turn.message_id}")
        self._running[turn.message_id] = task

        def ended(_: "asyncio.Task[None]") -> None:
            self._running.pop(turn.message_id, None)
            self._bell.ring(turn.message_id)

        task.add_done_callback(ended)

    async def stop(self) -> None:
        """Let answers that are being made end, for a while; others are left to whoever takes them up."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_GRACE_S)
        late = list(self._running.values())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    # waiting for an answer

    async def finished(self, turn: Turn) -> ChatOut:
        """Return an answer when it is made, wherever. Raises what broke it off."""
        while True:
            task = self._running.get(turn.message_id)
            if task is not None:
                # who waits may go; the answer is made all the same
                await asyncio.wait([task])
            found = await self._message(turn.caller, turn.person, turn.message_id)
            if not found.unfinished:
                if found.error is not None:
                    raise error_of(found.error, found.error_detail)
                return ChatOut.of(found)
            if task is None and _is_free(found, self._clock()):
                await self.take_up(turn.caller, turn.message_id, stream=turn.stream, approval=turn.approval)
            elif task is None:
                await self._bell.wait(turn.message_id, _LOOK_S)

    async def follow(self, caller: Caller, message_id: int, after: int) -> AsyncIterator[tuple[int, str, str] | None]:
        """Yield what is told of an answer after an event's number, until it is made; None now and then, while nothing is.

        An answer whose process is gone is taken up. Raises NotFoundError.
        """
        person = Person(caller.tenant_id, person_of(caller))
        last, told = "", False
        while True:
            # the state first: what is told after it was read is read in the next round
            found = await self._message(caller, person, message_id)
            async with bound(self._pool(), caller) as connection:
                news = await store.events(connection, person, message_id, after)
            for one in news:
                after, last, told = one[0], one[1], True
                yield one
            if not found.unfinished:
                if not told or last not in ENDS:
                    for one in replayed(found, after=after, begun=told):
                        yield one
                return
            # what hangs in this very process, another one may have the better of
            if message_id not in self._running and _is_free(found, self._clock()):
                await self.take_up(caller, message_id, stream=True)
            if not news:
                yield None
            await self._bell.wait(message_id, _LOOK_S)

    async def _message(self, caller: Caller, person: Person, message_id: int) -> Message:
        async with bound(self._pool(), caller) as connection:
            return await store.message(connection, person, message_id)


def _is_free(found: Message, now: datetime) -> bool:
    """Tell whether nobody makes an unfinished answer."""
    return found.unfinished and (found.turn_id != found.id or found.turn_until is None or found.turn_until <= now)
