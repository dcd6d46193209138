"""A stand-in for a language model: the chat completions API, streamed or whole, with calls of tools and usage.

It says what it was told to say (`POST /admin/replies`). Without that it is the most gullible model there is: it follows every
`CALL tool {"argument": …}` that it reads in the person's last message or in what tools gave back since, so that a hub can be
tried against texts that give orders; else it repeats what it heard.
"""

import json
import re
from collections import deque
from collections.abc import AsyncIterator
from random import Random
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from mainstem.platform.clock import utc_now
from mainstem.sandbox.answers import NotJsonError, answer, read_object

MODEL: Final = "sandbox-gullible"
_ORDER: Final = re.compile(r"CALL ([a-z_]{1,64}) (\{)")
_PIECE: Final = 12
"""Characters of a piece of a streamed text."""
_CHARACTERS_PER_TOKEN: Final = 4
_MOST_ROUNDS: Final = 4
"""Calls that follow each other before it answers in words, or two of its orders would keep it calling for ever."""


class WantedCall(BaseModel):
    """A call of a tool that the model is to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict, description="As text: sent as it is, JSON or not.")


class Reply(BaseModel):
    """What the model is to say next."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    tool_calls: list[WantedCall] = Field(default_factory=list)


class Brain:
    """What the model is to say, and what it was asked."""

    def __init__(self, seed: int) -> None:
        """Make the key of the seed."""
        self.api_key = f"sk-sandbox-{Random(f'openai {seed}').getrandbits(96):024x}"  # noqa: S311 - repeatable on purpose
        self.replies: deque[Reply] = deque()
        self._calls = 0

    def next(self, messages: list[dict[str, Any]], tools: frozenset[str]) -> Reply:
        """Return the reply to messages: the next that was asked for, else what it makes of what it reads."""
        if self.replies:
            return self.replies.popleft()
        news = _since_last_question(messages)
        rounds = sum(1 for one in news if one.get("tool_calls"))
        heard = [_text(one) for one in news if one.get("role") in {"user", "tool"}]
        orders = [] if rounds >= _MOST_ROUNDS else orders_in(heard[-1] if heard else "")
        known = [order for order in orders if order.name in tools]
        if known:
            return Reply(tool_calls=known)
        return Reply(text=f"I heard: {heard[-1][:500]}" if heard else "I heard nothing.")

    def new_id(self) -> str:
        """Return an id for a call."""
        self._calls += 1
        return f"call_{self._calls:08d}"


def orders_in(text: str) -> list[WantedCall]:
    """Return the calls that a text orders, in order; one whose arguments are no JSON object orders nothing."""
    plain = text.replace("\\u003c", "<")
    # what stands within JSON is escaped once more
    readings = (plain, plain.replace('\\"', '"'))
    found: dict[str, WantedCall] = {}
    for reading in readings:
        for order in _ORDER.finditer(reading):
            try:
                arguments, _ = json.JSONDecoder().raw_decode(reading, order.start(2))
            except ValueError:
                continue
            found.setdefault(f"{order[1]} {arguments}", WantedCall(name=order[1], arguments=arguments))
    return list(found.values())


class OpenAI:
    """The routes below /openai."""

    def __init__(self, brain: Any) -> None:  # noqa: ANN401 - a function that gives the brain of now
        """Keep what gives the brain: a reset makes a new one."""
        self._brain = brain

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/v1/chat/completions", self.complete, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
        ]

    async def models(self, request: Request) -> Response:
        """Return the one model."""
        refused = self._refused(request)
        return refused or answer({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "sandbox"}]})

    async def complete(self, request: Request) -> Response:
        """Answer messages."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            asked = await read_object(request)
        except NotJsonError as error:
            return _error(400, f"the body is no JSON object: {error}", "invalid_request_error")
        messages = asked.get("messages")
        if not isinstance(messages, list) or not messages:
            return _error(400, "messages: at least one is expected", "invalid_request_error")
        brain: Brain = self._brain()
        tools = frozenset(one["function"]["name"] for one in asked.get("tools") or [])
        reply = brain.next(messages, tools)
        calls = [_call(brain, one) for one in reply.tool_calls]
        usage = _usage(messages, reply)
        head = {
            "id": f"chatcmpl-{brain.new_id()}",
            "created": int(utc_now().timestamp()),
            "model": asked.get("model", MODEL),
        }
        if asked.get("stream"):
            wants_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            told = _streamed(head, reply, calls, usage if wants_usage else None)
            return StreamingResponse(told, media_type="text/event-stream")
        message = {"role": "assistant", "content": reply.text, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        return answer({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def _refused(self, request: Request) -> Response | None:
        brain: Brain = self._brain()
        if request.headers.get("authorization") == f"Bearer {brain.api_key}":
            return None
        return _error(401, "Incorrect API key provided.", "invalid_request_error")


async def _streamed(
    head: dict[str, Any], reply: Reply, calls: list[dict[str, Any]], usage: dict[str, int] | None
) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], end: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        return _line({**head, "object": "chat.completion.chunk", "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    text = reply.text or ""
    for start in range(0, len(text), _PIECE):
        yield chunk({"content": text[start : start + _PIECE]})
    for number, call in enumerate(calls):
        function = call["function"]
        yield chunk(
            {"tool_calls": [{**call, "index": number, "function": {"name": function["name"], "arguments": ""}}]}
        )
        yield chunk({"tool_calls": [{"index": number, "function": {"arguments": function["arguments"]}}]})
    yield chunk({}, "tool_calls" if calls else "stop")
    if usage is not None:
        yield _line({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _since_last_question(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = max((place for place, one in enumerate(messages) if one.get("role") == "user"), default=0)
    return messages[last:]


def _call(brain: Brain, wanted: WantedCall) -> dict[str, Any]:
    arguments = wanted.arguments if isinstance(wanted.arguments, str) else json.dumps(wanted.arguments)
    return {"id": brain.new_id(), "type": "function", "function": {"name": wanted.name, "arguments": arguments}}


def _usage(messages: list[dict[str, Any]], reply: Reply) -> dict[str, int]:
    asked = sum(len(_text(one)) for one in messages) // _CHARACTERS_PER_TOKEN + len(messages)
    said = len(reply.model_dump_json()) // _CHARACTERS_PER_TOKEN
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _line(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _error(status: int, message: str, kind: str) -> Response:
    return answer({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)
