"""What the routes of tools take and answer."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mainstem.assistant.ports import Tool
from mainstem.platform.answers import Moment


class ToolHints(BaseModel):
    """What a tool does to the world."""

    model_config = ConfigDict(from_attributes=True)

    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool


class ToolOut(BaseModel):
    """A tool that the caller may call."""

    name: str
    title: str
    description: str
    arguments: dict[str, Any] = Field(description="JSON schema of the arguments.")
    result: dict[str, Any] = Field(description="JSON schema of the result.")
    hints: ToolHints
    asks: bool = Field(description="A person has to say yes before it is done.")

    @classmethod
    def of(cls, tool: Tool[Any]) -> "ToolOut":
        """Return a tool as it is shown."""
        return cls(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            arguments=tool.argument_schema,
            result=tool.result_schema,
            hints=ToolHints.model_validate(tool.hints),
            asks=tool.question is not None,
        )


class ToolList(BaseModel):
    """The tools that the caller may call, by name."""

    items: list[ToolOut]
    total: int


class CallIn(BaseModel):
    """A call of a tool."""

    model_config = ConfigDict(extra="forbid")

    arguments: dict[str, Any] = Field(default_factory=dict)
    approval_id: UUID | None = Field(default=None, description="Yes to what the call was answered with before.")


class CallOut(BaseModel):
    """What came of a call."""

    tool: str
    status: Literal["ok", "approval_needed"]
    result: Any = Field(default=None, description="As the tool's schema says; null while a person is asked.")
    approval_id: UUID | None = None
    question: str | None = Field(default=None, description="What the person is asked.")
    expires_at: Moment | None = None


class CallLogged(BaseModel):
    """A call as the log has it."""

    id: int
    subject: str
    door: Literal["chat", "rest", "mcp"]
    tool: str
    status: Literal["ok", "asked", "denied", "refused", "failed"]
    code: str | None
    argument_names: list[str]
    approval_id: UUID | None
    duration_ms: float
    called_at: Moment


class CallLog(BaseModel):
    """A page of the log, the latest first."""

    items: list[CallLogged]
    next_before: int | None = Field(description="`before` of the next page; null: this was the last.")
