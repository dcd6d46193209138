"""The model: rounds of requests and calls of tools, within bounds of time, rounds and tokens; what fails says so in plain words."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import httpx2
from openai import AsyncOpenAI, OpenAIError
from pydantic_ai import Agent, AgentRunResultEvent, Tool
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UsageLimitExceeded,
)
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage, UsageLimits

from mainstem.assistant import ports
from mainstem.assistant.chat.replies import of_answer
from mainstem.assistant.openai.transport import BlockedError, client
from mainstem.assistant.openai.words import history, instructions, told
from mainstem.assistant.ports import (
    Answered,
    Hands,
    ModelFailedError,
    ModelUnavailableError,
    Outcome,
    Say,
    Talk,
    Usage,
)
from mainstem.platform.addresses import Network
from mainstem.platform.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_RETRIES: Final = 1
"""Of one request that had no answer, or was told to come again."""
_REQUESTS_OF_TIME: Final = 3
"""An answer may take the time of so many requests, whatever its rounds."""
_MISUSES: Final = 2
"""Calls of tools that are not there, or that are no JSON, before the model is given up."""
_NO_KEY: Final = "none"
_ENDPOINT: Final = "https://api.openai.com/v1"


class OpenAIModel:
    """A model at an endpoint that speaks the chat completions API."""

    def __init__(self, settings: Settings, allow: tuple[Network, ...]) -> None:
        """Keep the endpoint; nothing is sent yet. `allow` are the private networks that may be reached."""
        key = settings.openai_api_key
        self._timeout_s = settings.openai_timeout_seconds
        self._rounds = settings.assistant_tool_rounds
        self._name = settings.openai_model
        self._http = client(allow, self._timeout_s)
        speaks = AsyncOpenAI(
            base_url=settings.openai_base_url or _ENDPOINT,
            api_key=_NO_KEY if key is None else key.get_secret_value(),
            timeout=self._timeout_s,
            max_retries=_RETRIES,
            http_client=self._http,
        )
        self._model = OpenAIChatModel(self._name, provider=OpenAIProvider(openai_client=speaks))
        self._settings = ModelSettings(max_tokens=settings.openai_max_tokens, timeout=self._timeout_s)

    @property
    def name(self) -> str:
        """Name of the model at its endpoint."""
        return self._name

    @property
    def counts(self) -> bool:
        """Its tokens cost."""
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def answer(self, talk: Talk, hands: Hands, say: Say) -> Answered:
        """Answer a message; see `Model`."""
        usage, turn = RunUsage(), _Turn(hands, say)
        try:
            async with asyncio.timeout(self._timeout_s * _REQUESTS_OF_TIME):
                await self._run(talk, turn, usage)
        except UsageLimitExceeded:
            await turn.end(f"I have stopped here, after {self._rounds} rounds of calls.")
        except TimeoutError as error:
            raise ModelUnavailableError("The language model did not answer in time.", usage=_usage(usage)) from error
        except (AgentRunError, OpenAIError, httpx2.HTTPError, ValueError) as error:
            raise _named(error, _usage(usage)) from error
        if not turn.spoke:
            if turn.last is None:
                raise ModelFailedError("The language model said nothing.", usage=_usage(usage))
            await say(of_answer(turn.last))
        return Answered(usage=_usage(usage))

    async def _run(self, talk: Talk, turn: "_Turn", usage: RunUsage) -> None:
        prompt, before = history(talk)
        agent = Agent(
            self._model,
            instructions=instructions(talk),
            tools=[turn.tool(tool) for tool in talk.tools],
            retries=_MISUSES,
            model_settings=self._settings,
        )
        limits = UsageLimits(request_limit=self._rounds)
        async with agent.run_stream_events(prompt, message_history=before, usage=usage, usage_limits=limits) as events:
            async for event in events:
                match event:
                    case (
                        PartStartEvent(part=TextPart(content=words))
                        | PartDeltaEvent(delta=TextPartDelta(content_delta=words))
                    ):
                        await turn.hear(words)
                    case AgentRunResultEvent():
                        return
                    case _:
                        pass


class _Turn:
    """One answer: the words of the model passed on, its calls made by the hands."""

    def __init__(self, hands: Hands, say: Say) -> None:
        self._hands = hands
        self._say = say
        self._paused = False
        self.spoke = False
        self.last: Outcome | None = None

    async def hear(self, words: str) -> None:
        """Pass words on; those after a call stand apart from those before it."""
        if not words:
            return
        if self._paused and self.spoke:
            await self._say("\n\n")
        self._paused = False
        self.spoke = True
        await self._say(words)

    async def end(self, words: str) -> None:
        """Say why the answer ends."""
        self._paused = True
        await self.hear(words)

    def tool(self, tool: ports.Tool[Any]) -> Tool[None]:
        """Return a tool as the framework takes it; its arguments are checked by the registry alone."""

        async def run(**arguments: Any) -> str:  # noqa: ANN401 - JSON
            self._paused = True
            self.last = await self._hands.call(tool.name, arguments)
            return told(self.last)

        return Tool.from_schema(run, tool.name, tool.description, tool.argument_schema, sequential=True)


def _usage(used: RunUsage) -> Usage:
    return Usage(requests=used.requests, prompt_tokens=used.input_tokens, completion_tokens=used.output_tokens)


def _named(  # noqa: PLR0911 - a sentence for each kind
    error: Exception, usage: Usage
) -> ModelUnavailableError | ModelFailedError:
    """Return what went wrong as people are told it; what the endpoint said is not, for it may hold secrets."""
    if _is_blocked(error):
        return ModelUnavailableError(
            "The language model's address may not be reached; an operator should look at OUTBOUND_ALLOW.", usage=usage
        )
    match error:
        case ModelQuotaExceededError():
            return ModelUnavailableError("The quota at the language model is used up.", usage=usage)
        case ModelRateLimitError():
            return ModelUnavailableError(
                "The language model has too much to do right now.", retry_after_s=_retry_after(error), usage=usage
            )
        case ModelTimeoutError() | ModelRequestTimeout() | httpx2.TimeoutException():
            return ModelUnavailableError("The language model did not answer in time.", usage=usage)
        case ModelRequestRejectedError():
            status = f" with {error.status_code}" if isinstance(error, ModelHTTPError) else ""
            return ModelFailedError(
                f"The language model's endpoint refused the request{status}; an operator should look at the OPENAI_ settings.",
                usage=usage,
            )
        case ModelConnectionError() | ModelAPIError() | httpx2.HTTPError() | OpenAIError():
            return ModelUnavailableError("The language model can't be reached.", usage=usage)
        case _:
            return ModelFailedError("The language model gave an answer that can't be used.", usage=usage)


def _is_blocked(error: BaseException) -> bool:
    """Tell whether an error comes of an address that is not open; others wrap it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, BlockedError):
        found = found.__cause__ or found.__context__
    return found is not None


def _retry_after(error: ModelRateLimitError) -> int:
    headers: Mapping[str, str] = (getattr(error, "headers", None) or {}) if isinstance(error, ModelHTTPError) else {}
    text = headers.get("retry-after", "")
    return min(max(int(text), 1), 3_600) if text.isascii() and text.isdigit() else 10
