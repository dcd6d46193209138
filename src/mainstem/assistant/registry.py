"""The one registry of tools, and the one way to call them: checked, asked about, done in one transaction, written down.

Chat, the REST API and MCP all go through `Registry.call`, so none of them can do more than another. What a caller may not do
ends as `Failed`, never as an exception; exceptions are what broke here, such as a database that is away.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from mainstem.assistant import approvals, calls
from mainstem.assistant.binding import bound
from mainstem.assistant.calls import Call
from mainstem.assistant.ports import (
    Arguments,
    ConfirmationNeeded,
    Denied,
    Done,
    Door,
    Failed,
    Outcome,
    Tool,
    ToolContext,
)
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool
from mainstem.platform.errors import ForbiddenError, InvalidFieldError, MainstemError, NotFoundError

Note = Callable[[Connection, Outcome], Awaitable[None]]
"""Writes down what came of a call in the same transaction as the call itself."""
_INTERNAL: Final = "internal"
_SERVER_ERROR: Final = 500
_MOST_FAULTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A call on its way."""

    caller: Caller
    name: str
    given: Mapping[str, Any]
    door: Door
    confirmed: bool
    conversation_id: int | None
    note: Note | None
    started: float
    now: datetime
    approval_id: UUID | None = None

    def written(self, status: str, code: str | None = None) -> Call:
        """Return the call as the log has it."""
        return Call(
            door=self.door,
            tool=self.name,
            status=status,
            code=code,
            argument_names=list(map(str, self.given)),
            approval_id=self.approval_id,
            duration_ms=round((time.perf_counter() - self.started) * 1_000, 3),
            called_at=self.now,
        )


class Registry:
    """All tools of a process."""

    def __init__(
        self,
        tools: Iterable[Tool[Any]],
        pool: Callable[[], Pool],
        *,
        zone: ZoneInfo,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Keep the tools by name. `pool` gives the pool that runs under row-level security; `zone` is that of days."""
        found = sorted(tools, key=lambda tool: tool.name)
        self._tools: dict[str, Tool[Any]] = {tool.name: tool for tool in found}
        if len(self._tools) != len(found):
            msg = "two tools have one name"
            raise ValueError(msg)
        self._pool = pool
        self.zone = zone
        self.clock = clock

    def for_caller(self, caller: Caller) -> list[Tool[Any]]:
        """Return the tools that a caller may call, by name."""
        return [tool for tool in self._tools.values() if refusal(tool, caller) is None]

    def get(self, name: str) -> Tool[Any] | None:
        """Return a tool; None: there is none of this name."""
        return self._tools.get(name)

    async def call(  # noqa: PLR0913 - who calls what, and how
        self,
        caller: Caller,
        name: str,
        arguments: Mapping[str, Any],
        *,
        door: Door | str,
        confirmed: bool = False,
        conversation_id: int | None = None,
        note: Note | None = None,
    ) -> Outcome:
        """Call a tool for a caller and return how it ended.

        `confirmed` says that a person has said yes to exactly this; without it, what asks first ends as ConfirmationNeeded
        with the id to take it by. `note` writes more in the call's own transaction. Raises what breaks: database errors.
        """
        call = _Call(
            caller=caller,
            name=name,
            given=arguments,
            door=Door(door),
            confirmed=confirmed,
            conversation_id=conversation_id,
            note=note,
            started=time.perf_counter(),
            now=self.clock(),
        )
        return await self._settled(call)

    async def approve(  # noqa: PLR0913 - who answers what, and how
        self,
        caller: Caller,
        approval_id: UUID,
        *,
        approved: bool,
        door: Door | str,
        only: tuple[str, Mapping[str, Any]] | None = None,
        note: Note | None = None,
    ) -> Outcome | Denied:
        """Answer an approval: do what was asked for, once at most, or let it be.

        `only` refuses the approval of another tool or other arguments. An approval that is used, over or not the caller's
        ends as Failed.
        """
        now, started = self.clock(), time.perf_counter()
        try:
            # committed before the tool runs: whatever becomes of that, nobody can have it done a second time
            async with bound(self._pool(), caller) as connection:
                if only is not None:
                    self._compare(await approvals.read(connection, caller, approval_id), *only)
                taken = await approvals.take(connection, caller, approval_id, approved=approved, now=now)
        except MainstemError as error:
            return Failed(only[0] if only else "", error.code, error.status, error.detail, error.field)
        call = _Call(
            caller=caller,
            name=taken.tool,
            given=taken.arguments,
            door=Door(door),
            confirmed=True,
            conversation_id=taken.conversation_id,
            note=note,
            started=started,
            now=now,
            approval_id=approval_id,
        )
        if approved:
            return await self._settled(call)
        async with bound(self._pool(), caller) as connection:
            await calls.note(connection, caller, call.written("denied"))
        return Denied(taken.tool)

    async def _settled(self, call: _Call) -> Outcome:
        """Do a call and write it down, also when it breaks."""
        try:
            return await self._done(call)
        except MainstemError as error:
            failed = Failed(call.name, error.code, error.status, error.detail, error.field)
            await self._note(call, failed, "failed" if error.status >= _SERVER_ERROR else "refused", error.code)
            return failed
        except Exception:
            failed = Failed(call.name, _INTERNAL, _SERVER_ERROR, "The tool failed.")
            await self._note(replace(call, note=None), failed, "failed", _INTERNAL)
            raise

    async def _note(self, call: _Call, outcome: Outcome, status: str, code: str | None) -> None:
        async with bound(self._pool(), call.caller) as connection:
            await self._written(connection, call, outcome, status, code)

    async def _written(
        self, connection: Connection, call: _Call, outcome: Outcome, status: str, code: str | None = None
    ) -> None:
        await calls.note(connection, call.caller, call.written(status, code))
        if call.note is not None:
            await call.note(connection, outcome)

    async def _done(self, call: _Call) -> Outcome:
        tool = self._tools.get(call.name)
        if tool is None:
            raise NotFoundError(f"There is no tool {call.name[:64]!r}.")
        refused = refusal(tool, call.caller)
        if refused is not None:
            raise ForbiddenError(refused)
        arguments = checked(tool, call.given)
        if tool.outside and (tool.question is None or call.confirmed):
            context = ToolContext(call.caller, call.now, self.zone)
            outcome: Outcome = Done(tool.name, await tool.run(context, arguments))
            await self._note(call, outcome, "ok", None)
            return outcome
        async with bound(self._pool(), call.caller) as connection:
            context = ToolContext(call.caller, call.now, self.zone, connection)
            if tool.question is not None and not call.confirmed:
                outcome = await self._asked(context, tool, arguments, call)
                await self._written(connection, replace(call, approval_id=outcome.approval_id), outcome, "asked")
                return outcome
            outcome = Done(tool.name, await tool.run(context, arguments))
            await self._written(connection, call, outcome, "ok")
        return outcome

    def _compare(self, approval: approvals.Approval, name: str, arguments: Mapping[str, Any]) -> None:
        tool = self._tools.get(name)
        if tool is None or tool.name != approval.tool or _kept(checked(tool, arguments)) != approval.arguments:
            raise ForbiddenError("This approval is for another call.", code="approval_of_another_call")

    async def _asked(
        self, context: ToolContext, tool: Tool[Any], arguments: Arguments, call: _Call
    ) -> ConfirmationNeeded:
        question = await tool.question(context, arguments) if tool.question is not None else ""
        kept = await approvals.ask(
            context.connection,
            call.caller,
            tool.name,
            _kept(arguments),
            question=question,
            conversation_id=call.conversation_id,
            now=call.now,
        )
        return ConfirmationNeeded(tool.name, kept.approval_id, question, kept.expires_at)


def refusal(tool: Tool[Any], caller: Caller) -> str | None:
    """Return why a caller may not call a tool; None: it may."""
    if caller.public or tool.scope not in caller.scopes:
        return f"This needs the scope {tool.scope}."
    if tool.personal and caller.user_id is None:
        return "This belongs to a person; sign in, for an API key is nobody."
    return None


def checked(tool: Tool[Any], given: Mapping[str, Any]) -> Arguments:
    """Return the arguments as the tool takes them. Raises InvalidFieldError, which names what is wrong but not what was sent."""
    try:
        # as JSON: strictness then knows dates and enumerations, which JSON has as text
        found: Arguments = tool.arguments.model_validate_json(json.dumps(dict(given)))
    except (TypeError, ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise InvalidFieldError("The arguments are no JSON object.", field="arguments") from error
        faults = [
            (".".join(map(str, one["loc"])) or "arguments", one["msg"]) for one in error.errors(include_input=False)
        ]
        told = "; ".join(f"{field}: {message}" for field, message in faults[:_MOST_FAULTS])
        raise InvalidFieldError(told, field=faults[0][0]) from None
    return found


def _kept(arguments: Arguments) -> dict[str, Any]:
    """Return arguments as an approval keeps them."""
    return arguments.model_dump(mode="json", exclude_unset=True)
