"""Makes one answer: what the model is shown, the hands it has, what is told meanwhile, and what is written at the end."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from mainstem.assistant import approvals
from mainstem.assistant.binding import bound
from mainstem.assistant.chat import store
from mainstem.assistant.chat.answers import ChatOut
from mainstem.assistant.chat.asked import Turn
from mainstem.assistant.chat.events import Bell, Event, Teller
from mainstem.assistant.chat.hands import ASKED, Named, TalkHands
from mainstem.assistant.chat.history import folded, window
from mainstem.assistant.chat.replies import of_answer, yes_or_no
from mainstem.assistant.chat.store import Message
from mainstem.assistant.ports import Answered, Denied, Hands, Model, ModelFailedError, ModelUnavailableError, Talk
from mainstem.assistant.registry import Registry
from mainstem.platform.db import Pool, is_transient
from mainstem.platform.errors import MainstemError
from mainstem.platform.settings import Settings

_BEAT_S: Final = store.LEASE.total_seconds() / 3
_MOST_READ: Final = 400
_CALLS_PER_ROUND: Final = 8
_GONE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""The conversation was deleted, or the database is away: the lease then runs out, and the answer can be taken up."""
log = structlog.get_logger(__name__)

NamedFor = Callable[[Talk, Hands], Named]
"""Makes what tells whether a person's own words have named a call."""


class Maker:
    """Makes answers of a process by its model."""

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        *,
        pool: Callable[[], Pool],
        registry: Registry,
        model: Model,
        settings: Settings,
        bell: Bell,
        named: NamedFor | None = None,
    ) -> None:
        """Keep the parts."""
        self._pool = pool
        self._registry = registry
        self.model = model
        self._settings = settings
        self._bell = bell
        self._named = named

    async def make(self, turn: Turn) -> None:
        """Make an answer and write it; what breaks it off is written, too. Another process's answer is left alone."""
        started = time.perf_counter()
        beat = asyncio.create_task(self._beat(turn), name=f"lease of answer {turn.message_id}")
        teller = Teller(self._keeper(turn))
        hands: TalkHands | None = None
        answered = Answered()
        error: MainstemError | None = None
        try:
            told = {"conversation_id": turn.conversation_id, "message_id": turn.message_id, "resumed": not turn.fresh}
            await teller.tell(Event.STARTED, told)
            talk = await self._talk(turn)
            hands = self._hands(turn, talk, teller)
            answered = await self._answer(turn, talk, hands, teller)
        except (ModelUnavailableError, ModelFailedError) as failure:
            error, answered = failure, Answered(usage=failure.usage)
            log.warning("assistant_model_failed", code=failure.code, detail=failure.detail, model=self.model.name)
        except store.LostTurnError:
            log.warning("assistant_answer_lost", message_id=turn.message_id)
            return
        except MainstemError as failure:
            error = failure
        except asyncio.CancelledError:
            await self._let_go(turn)
            raise
        except Exception as failure:
            error = (
                ModelUnavailableError("The hub can't answer right now.") if is_transient(failure) else MainstemError()
            )
            log.exception("assistant_failed", message_id=turn.message_id)
        finally:
            beat.cancel()
        calls = [] if hands is None else hands.calls
        with suppress(*_GONE):
            await self._finish(turn, teller, calls, answered, error, (time.perf_counter() - started) * 1_000)

    async def _answer(self, turn: Turn, talk: Talk, hands: TalkHands, teller: Teller) -> Answered:
        approval = turn.approval or await self._said_yes_or_no(turn)
        if approval is None:
            return await self.model.answer(talk, hands, teller.say)
        approval_id, approved = approval
        outcome = await hands.answer(approval_id, approved=approved)
        await teller.say(of_answer(outcome) if not isinstance(outcome, Denied) else "All right, I leave it as it is.")
        return Answered()

    async def _said_yes_or_no(self, turn: Turn) -> tuple[UUID, bool] | None:
        """Return which question the message answers, and how: one of the answer right before it, to a plain yes or no."""
        approved = yes_or_no(turn.message)
        if approved is None:
            return None
        async with bound(self._pool(), turn.caller) as connection:
            before = await store.said(
                connection, turn.person, turn.conversation_id, after=0, before=turn.question_id, limit=1
            )
            waiting = await approvals.waiting(connection, turn.caller, turn.conversation_id, self._registry.clock())
        asked = {call.result["approval_id"] for _, one in before for call in one.calls if call.status == ASKED}
        if waiting is None or str(waiting.approval_id) not in asked:
            return None
        return waiting.approval_id, approved

    async def _talk(self, turn: Turn) -> Talk:
        settings = self._settings
        async with bound(self._pool(), turn.caller) as connection:
            found = await store.read(connection, turn.person, turn.conversation_id)
            known = await store.said(
                *(connection, turn.person, turn.conversation_id),
                after=found.summarized_to,
                before=turn.question_id,
                limit=settings.max_conversation_history + _MOST_READ,
            )
            parts = window(
                [one for _, one in known],
                most=settings.max_conversation_history,
                characters=settings.conversation_history_characters,
            )
            summary = found.summary
            if parts.dropped:
                summary = folded(summary, [one for _, one in known[: parts.dropped]])
                up_to = known[parts.dropped - 1][0]
                await store.summarize(connection, turn.person, turn.conversation_id, summary, up_to)
            done = () if turn.fresh else await store.calls_done(connection, turn.person, turn.message_id)
        return Talk(
            caller=turn.caller,
            message=turn.message,
            history=parts.shown,
            summary=summary,
            asked=found.asked,
            tools=tuple(self._registry.for_caller(turn.caller)),
            done=done,
            now=self._registry.clock(),
            zone=self._registry.zone,
        )

    def _hands(self, turn: Turn, talk: Talk, teller: Teller) -> TalkHands:
        most = self._settings.assistant_tool_rounds * _CALLS_PER_ROUND
        hands = TalkHands(
            self._registry,
            turn.caller,
            turn.person,
            conversation_id=turn.conversation_id,
            message_id=turn.message_id,
            claim=turn.claim,
            teller=teller,
            done=talk.done,
            most=most,
        )
        if self._named is not None:
            hands.named = self._named(talk, hands)
        return hands

    def _keeper(self, turn: Turn) -> Callable[[str, Any], Any]:
        async def keep(name: str, data: Any) -> None:  # noqa: ANN401 - JSON
            if turn.stream:
                async with bound(self._pool(), turn.caller) as connection:
                    now = self._registry.clock()
                    await store.add_event(connection, turn.person, turn.message_id, name, data, now)
                self._bell.ring(turn.message_id)

        return keep

    async def _finish(  # noqa: PLR0913, PLR0917 - what an answer is made of
        self,
        turn: Turn,
        teller: Teller,
        calls: list[Any],
        answered: Answered,
        error: MainstemError | None,
        execution_ms: float,
    ) -> None:
        await teller.flush()
        now = self._registry.clock()
        async with bound(self._pool(), turn.caller) as connection:
            count = await store.finish_turn(
                connection,
                turn.person,
                turn.message_id,
                turn.claim,
                content=teller.text,
                calls=calls,
                model=self.model.name,
                usage=answered.usage,
                error=error,
                execution_ms=round(execution_ms, 1),
                asked=answered.asked,
                now=now,
            )
            if count is None:
                return
            await store.count_usage(
                connection,
                turn.person,
                now.astimezone(UTC).date(),
                self.model.name,
                answered.usage,
                failed=error is not None,
            )
            if turn.stream:
                made = await store.message(connection, turn.person, turn.message_id)
                name, data = last_event(made, error)
                await store.add_event(connection, turn.person, turn.message_id, name, data, now)

    async def _beat(self, turn: Turn) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            with suppress(*_GONE):
                async with bound(self._pool(), turn.caller) as connection:
                    await store.renew_turn(connection, turn.person, turn.message_id, turn.claim, self._registry.clock())

    async def _let_go(self, turn: Turn) -> None:
        with suppress(*_GONE):
            async with bound(self._pool(), turn.caller) as connection:
                await store.let_go(connection, turn.person, turn.message_id, turn.claim)


def last_event(made: Message, error: MainstemError | None) -> tuple[str, Mapping[str, Any]]:
    """Return the event that ends a stream."""
    if error is None:
        return Event.COMPLETED, ChatOut.of(made).model_dump(mode="json")
    return Event.ERROR, {"code": error.code, "detail": error.detail, "status": error.status}
