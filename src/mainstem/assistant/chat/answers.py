"""Answers of the chat API."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, Field

from mainstem.assistant.chat.events import Event
from mainstem.assistant.chat.hands import ASKED
from mainstem.assistant.chat.store import Message
from mainstem.assistant.ports import CallMade, ModelFailedError, ModelUnavailableError
from mainstem.platform.errors import MainstemError


class ToolCallOut(BaseModel):
    """A call of a tool, and what came of it."""

    tool_name: str
    arguments: dict[str, Any]
    status: str = Field(description="success, error or approval_needed.")
    result: Any = Field(
        description="The tool's result; {code, status, detail} of an error; {approval_id, question} of a question."
    )

    @classmethod
    def of(cls, call: CallMade) -> "ToolCallOut":
        """Return a call as answers have it."""
        return cls(tool_name=call.tool_name, arguments=call.arguments, status=call.status, result=call.result)


class ApprovalOut(BaseModel):
    """What a person has to say yes or no to."""

    approval_id: str
    question: str
    expires_at: str
    tool_name: str


class ChatOut(BaseModel):
    """An answer of the assistant."""

    success: bool = True
    conversation_id: int
    message_id: int
    response: str
    tool_calls: list[ToolCallOut]
    tool_calls_executed: list[ToolCallOut] = Field(description="The same.")
    message_count: int = Field(description="Messages of the conversation, this one included.")
    execution_time_ms: float
    model: str | None
    approval: ApprovalOut | None = Field(
        description="What waits for a yes or no: reply with the word, or by the route."
    )

    @classmethod
    def of(cls, message: Message) -> "ChatOut":
        """Return an answer as it is shown."""
        calls = [ToolCallOut.of(call) for call in message.calls]
        asked = [call for call in message.calls if call.status == ASKED]
        return cls(
            conversation_id=message.conversation_id,
            message_id=message.id,
            response=message.content,
            tool_calls=calls,
            tool_calls_executed=calls,
            message_count=message.messages,
            execution_time_ms=message.execution_ms or 0.0,
            model=message.model,
            approval=ApprovalOut(**asked[-1].result, tool_name=asked[-1].tool_name) if asked else None,
        )


def error_of(code: str, detail: str | None) -> MainstemError:
    """Return the error by which an answer broke off."""
    kind = _KINDS.get(code)
    return MainstemError(detail or "", code=code) if kind is None else kind(detail or "")


_KINDS: Final[dict[str, type[ModelUnavailableError] | type[ModelFailedError]]] = {
    ModelUnavailableError.code: ModelUnavailableError,
    ModelFailedError.code: ModelFailedError,
}


def replayed(message: Message, *, after: int, begun: bool) -> Iterator[tuple[int, str, str]]:
    """Yield the events of an answer that is made, as if they were told now: those after a number.

    `begun`: others told of its beginning, so that only its end is missing.
    """
    told: list[tuple[str, dict[str, Any]]] = []
    if not begun:
        ids = {"conversation_id": message.conversation_id, "message_id": message.id, "resumed": False}
        told.append((Event.STARTED, ids))
        for call in message.calls:
            known = {"call_id": call.call_id, "tool_name": call.tool_name}
            told += [
                (Event.TOOL_CALL, {**known, "arguments": call.arguments}),
                (Event.TOOL_RESULT, {**known, "status": call.status, "result": call.result}),
            ]
        if message.content:
            told.append((Event.TEXT, {"text": message.content}))
    if message.error is None:
        told.append((Event.COMPLETED, ChatOut.of(message).model_dump(mode="json")))
    else:
        error = error_of(message.error, message.error_detail)
        told.append((Event.ERROR, {"code": error.code, "detail": error.detail, "status": error.status}))
    first = after + 1 if begun else 1
    for number, (name, data) in enumerate(told, start=first):
        if number > after:
            yield number, str(name), json.dumps(data)
