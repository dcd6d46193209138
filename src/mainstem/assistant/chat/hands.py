"""By which a model calls tools in a conversation: each call is told, kept in its own transaction, and made once at most."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final
from uuid import UUID

from mainstem.assistant.chat import store
from mainstem.assistant.chat.events import Event, Teller
from mainstem.assistant.chat.store import Person
from mainstem.assistant.ports import CallMade, ConfirmationNeeded, Denied, Done, Door, Failed, Outcome
from mainstem.assistant.registry import Note, Registry
from mainstem.platform.auth import Caller
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection

SUCCESS: Final = "success"
ERROR: Final = "error"
ASKED: Final = "approval_needed"

Named = Callable[[str, Mapping[str, Any]], Awaitable[bool]]
"""Whether the person's own words have named exactly this call, so that nobody needs to ask."""


class TalkHands:
    """The calls of one answer."""

    def __init__(  # noqa: PLR0913 - who calls for whom
        self,
        registry: Registry,
        caller: Caller,
        person: Person,
        *,
        conversation_id: int,
        message_id: int,
        claim: UUID,
        teller: Teller,
        done: Sequence[CallMade],
        most: int,
        named: Named | None = None,
    ) -> None:
        """Keep the parts; `done` are the calls that this answer has made before, which are not made again."""
        self._registry = registry
        self._caller = caller
        self._person = person
        self._conversation_id = conversation_id
        self._message_id = message_id
        self._claim = claim
        self._teller = teller
        self._again = list(done)
        self._most = most
        self.named = named
        self._numbers = count(len(self._again) + 1)
        self.calls: list[CallMade] = []

    async def call(self, name: str, arguments: Mapping[str, Any], *, confirmed: bool = False) -> Outcome:
        """Call a tool for the person; see `Hands`."""
        known = self._before(name, arguments)
        if known is not None:
            self.calls.append(known)
            return self._outcome(known)
        if len(self.calls) >= self._most:
            return Failed(name, "too_many_calls", 429, "That are too many calls for one message.")
        call_id = self._new_id()
        told = {"call_id": call_id, "tool_name": name, "arguments": dict(arguments)}
        await self._teller.tell(Event.TOOL_CALL, told)
        if not confirmed and self.named is not None:
            confirmed = await self.named(name, arguments)
        outcome = await self._registry.call(
            self._caller,
            name,
            arguments,
            door=Door.CHAT,
            confirmed=confirmed,
            conversation_id=self._conversation_id,
            note=self._note(call_id, arguments),
        )
        await self._told(call_id, arguments, outcome)
        return outcome

    async def answer(self, approval_id: UUID, *, approved: bool) -> Outcome | Denied:
        """Answer a question that an earlier call asked, for the person who has said so."""
        call_id = self._new_id()
        if self._again:
            known = self._again.pop(0)
            self.calls.append(known)
            return self._outcome(known)
        outcome = await self._registry.approve(
            self._caller, approval_id, approved=approved, door=Door.CHAT, note=self._note(call_id, {})
        )
        if not isinstance(outcome, Denied):
            await self._told(call_id, {}, outcome)
        return outcome

    def _new_id(self) -> str:
        return f"call_{self._message_id}_{next(self._numbers)}"

    def _note(self, call_id: str, arguments: Mapping[str, Any]) -> Note:
        async def note(connection: Connection, outcome: Outcome) -> None:
            await store.hold_turn(connection, self._person, self._message_id, self._claim)
            made = call_made(call_id, arguments, outcome)
            await store.add_message(
                connection,
                self._person,
                self._conversation_id,
                role="tool",
                content=json.dumps(made.result),
                parent_id=self._message_id,
                now=self._registry.clock(),
                calls=[made],
            )

        return note

    async def _told(self, call_id: str, arguments: Mapping[str, Any], outcome: Outcome) -> None:
        made = call_made(call_id, arguments, outcome)
        self.calls.append(made)
        told = {"call_id": call_id, "tool_name": made.tool_name, "status": made.status, "result": made.result}
        await self._teller.tell(Event.TOOL_RESULT, told)
        if made.status == ASKED:
            asked = {**made.result, "tool_name": made.tool_name, "arguments": made.arguments}
            await self._teller.tell(Event.APPROVAL, asked)

    def _before(self, name: str, arguments: Mapping[str, Any]) -> CallMade | None:
        """Return a call that was made before the process of this answer ended, once."""
        for one in self._again:
            if one.tool_name == name and one.arguments == dict(arguments):
                self._again.remove(one)
                return one
        return None

    def _outcome(self, made: CallMade) -> Outcome:
        tool = self._registry.get(made.tool_name)
        if made.status == SUCCESS and tool is not None:
            return Done(made.tool_name, tool.result.model_validate(made.result))
        if made.status == ASKED:
            return ConfirmationNeeded(
                made.tool_name,
                UUID(made.result["approval_id"]),
                made.result["question"],
                made.result["expires_at"],
            )
        return Failed(made.tool_name, made.result["code"], made.result["status"], made.result["detail"])


def call_made(call_id: str, arguments: Mapping[str, Any], outcome: Outcome) -> CallMade:
    """Return a call as messages have it."""
    match outcome:
        case Done():
            status, result = SUCCESS, outcome.data
        case ConfirmationNeeded():
            status = ASKED
            result = {
                "approval_id": str(outcome.approval_id),
                "question": outcome.question,
                "expires_at": rfc3339(outcome.expires_at),
            }
        case Failed():
            status = ERROR
            result = {"code": outcome.code, "status": outcome.status, "detail": outcome.detail}
    return CallMade(call_id, outcome.tool, dict(arguments), status, result)
