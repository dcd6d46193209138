"""What the chat API takes, and its answers about conversations."""

import json
from typing import Any, Literal

import asyncpg
from pydantic import BaseModel, Field

from mainstem.assistant.chat.answers import ToolCallOut
from mainstem.assistant.chat.store import calls_of
from mainstem.platform.answers import Moment


class ChatIn(BaseModel):
    """A message to the assistant."""

    message: str = Field(default="", description="1 to 4,096 characters.")
    conversation_id: int | None = Field(default=None, description="A new conversation when absent.")
    stream: bool = Field(default=False, description="Answer as text/event-stream.")


class ApprovalIn(BaseModel):
    """The answer to what the assistant asked."""

    approve: bool
    stream: bool = False


class ConversationIn(BaseModel):
    """A conversation to be made."""

    title: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"^[^\x00]*$")


class FeedbackIn(BaseModel):
    """What a person thinks of an answer."""

    rating: Literal["up", "down"] | None = Field(description="null takes it back.")
    note: str | None = Field(default=None, max_length=1_000, pattern=r"^[^\x00]*$")


class FeedbackOut(BaseModel):
    """It is kept."""

    success: bool = True
    message_id: int
    rating: Literal["up", "down"] | None


class ConversationOut(BaseModel):
    """A conversation."""

    id: int
    title: str
    created_at: Moment
    updated_at: Moment


class ConversationMade(ConversationOut):
    """A conversation that was made."""

    success: bool = True
    conversation_id: int


class ConversationList(BaseModel):
    """Conversations, the last changed first."""

    success: bool = True
    conversations: list[ConversationOut]
    count: int = Field(description="How many are in this answer.")
    next_before: str | None = Field(description="`before` of the next page; null: this was the last.")


class Deleted(BaseModel):
    """It is gone, with all that was said in it."""

    success: bool = True
    conversation_id: int


class MessageOut(BaseModel):
    """A message."""

    id: int
    parent_id: int | None
    role: Literal["user", "assistant"]
    content: str
    tool_calls: list[ToolCallOut]
    model: str | None
    usage: dict[str, int] | None
    unfinished: bool = Field(description="It is being made; its stream can be followed, or taken up.")
    error: str | None = Field(description="Code of what broke it off.")
    rating: Literal["up", "down"] | None
    note: str | None
    created_at: Moment
    finished_at: Moment | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "MessageOut":
        """Return a message of `store.messages`."""
        fields: dict[str, Any] = dict(row)
        fields["tool_calls"] = [ToolCallOut.of(call) for call in calls_of(fields["tool_calls"])]
        fields["usage"] = None if fields["usage"] is None else json.loads(fields["usage"])
        fields["rating"] = {1: "up", -1: "down", None: None}[fields["rating"]]
        return cls(**{name: fields[name] for name in cls.model_fields})


class MessageList(BaseModel):
    """Messages of a conversation, in order."""

    success: bool = True
    conversation_id: int
    messages: list[MessageOut]
    count: int
    next_after: int | None = Field(description="`after` of the next page; null: this was the last.")


class UsageOut(BaseModel):
    """What a model used on a UTC day."""

    day: str
    model: str
    turns: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    failures: int


class UsageList(BaseModel):
    """By day and model, the latest day first."""

    items: list[UsageOut]
    of: Literal["me", "tenant"]
