"""What a tool is and how a call of it ends; what a model is and what it is given. Values only: nothing here acts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection
from mainstem.platform.errors import MainstemError


class Arguments(BaseModel):
    """Arguments of a tool: what is not declared is refused, and nothing is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


A = TypeVar("A", bound=Arguments)


class Door(StrEnum):
    """How a call came in."""

    CHAT = "chat"
    REST = "rest"
    MCP = "mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a tool does to the world, in the words of MCP's tool annotations."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom and when a tool acts."""

    caller: Caller
    now: datetime
    zone: ZoneInfo
    """Zone in which days are meant."""
    _connection: "Connection | None" = field(default=None, repr=False)

    @property
    def connection(self) -> Connection:
        """The transaction of the call, bound to the caller's tenant and person; a tool that runs `outside` has none."""
        if self._connection is None:
            msg = "a tool that runs outside of a transaction asked for its connection"
            raise RuntimeError(msg)
        return self._connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[A]):
    """Something that a person, a program or a model may have done here."""

    name: str
    title: str
    description: str
    """What it does and when to use it, for people and models."""
    arguments: type[A]
    result: type[BaseModel]
    scope: str
    hints: Hints
    run: Callable[[ToolContext, A], Awaitable[BaseModel]]
    question: Callable[[ToolContext, A], Awaitable[str]] | None = None
    """What a person is asked before it is done; None: nobody is asked."""
    outside: bool = False
    """It speaks to other systems, so it runs outside of a transaction and opens its own."""
    personal: bool = False
    """It acts on what belongs to one person, so an API key can't call it."""

    @property
    def argument_schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return self.arguments.model_json_schema()

    @property
    def result_schema(self) -> dict[str, Any]:
        """JSON schema of the result; of a list, where the result is one."""
        return self.result.model_json_schema(mode="serialization")


@dataclass(frozen=True, slots=True)
class Done:
    """The tool has done it."""

    tool: str
    result: BaseModel

    @property
    def data(self) -> Any:  # noqa: ANN401 - any JSON
        """The result as JSON data."""
        return self.result.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class ConfirmationNeeded:
    """Nothing is done yet: a person has to say yes first."""

    tool: str
    approval_id: UUID
    question: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was done, and why."""

    tool: str
    code: str
    status: int
    """HTTP status that says the same."""
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A person said no, so nothing was done."""

    tool: str


Outcome = Done | ConfirmationNeeded | Failed


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call of a tool within an answer."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    status: str
    """success, error or approval_needed."""
    result: Any
    """The tool's result; of an error {code, detail}; of a question {approval_id, question, expires_at}."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the conversation."""

    role: str
    """user or assistant."""
    text: str
    calls: tuple[CallMade, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What a model is to answer."""

    caller: Caller
    message: str
    history: tuple[Said, ...]
    """What was said before, as far as models are shown it."""
    summary: str
    """What was said before that, in short."""
    asked: Any
    """What the model asked last, as it gave it back; None: nothing."""
    tools: tuple[Tool[Any], ...]
    done: tuple[CallMade, ...] = ()
    """Calls that this very answer has made already, before the process that made it ended."""
    now: datetime
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer took."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A model is done; what it said was told as it came."""

    usage: Usage = Usage()
    asked: Any = None
    """What it asked, in its own form, to be given back with the reply."""


class Hands(Protocol):
    """By which a model calls tools."""

    async def call(self, name: str, arguments: Mapping[str, Any], *, confirmed: bool = False) -> Outcome:
        """Call a tool for the person of the talk; `confirmed`: the person has named exactly this."""


Say = Callable[[str], Awaitable[None]]
"""Takes the next words of an answer."""


class Model(Protocol):
    """Something that answers people and calls tools for them."""

    @property
    def name(self) -> str:
        """Name in messages and in the ledger of usage."""

    @property
    def counts(self) -> bool:
        """Whether what it uses costs, so that limits of tokens hold."""

    async def answer(self, talk: Talk, hands: Hands, say: Say) -> Answered:
        """Answer a message. Raises ModelUnavailableError and ModelFailedError; what was said until then was told."""


class ModelUnavailableError(MainstemError):
    """The language model does not answer right now; try again."""

    code = "model_unavailable"
    status = 503

    def __init__(self, detail: str = "", *, retry_after_s: int = 10, usage: Usage | None = None) -> None:
        """Keep the seconds after which a retry makes sense, and what was used so far."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
        self.usage = usage or Usage()


class ModelFailedError(MainstemError):
    """The language model gave an answer that can't be used."""

    code = "model_failed"
    status = 502

    def __init__(self, detail: str = "", *, usage: Usage | None = None) -> None:
        """Keep what was used so far."""
        super().__init__(detail)
        self.usage = usage or Usage()
