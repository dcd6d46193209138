"""What a person sent, and the answer that is made of it. Values only."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from mainstem.assistant.chat.store import Person
from mainstem.platform.auth import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person sent."""

    message: str
    conversation_id: int | None = None
    key: str | None = None
    """Idempotency-Key: the same message under the same key is one message."""
    approval: tuple[UUID, bool] | None = None
    """It is the answer to this question."""
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message that was taken in, and its answer."""

    caller: Caller
    person: Person
    conversation_id: int
    question_id: int
    message_id: int
    message: str
    claim: UUID = field(default_factory=uuid4)
    """By which this process makes the answer."""
    approval: tuple[UUID, bool] | None = None
    stream: bool = False
    fresh: bool = True
    """It is new; else it was taken in before, under the same key."""
