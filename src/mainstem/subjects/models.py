"""Shapes of the subjects API."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class LookupRequest(BaseModel):
    """What somebody is known by; identifiers never stand in an address, so they come in a body."""

    email: str | None = Field(default=None, max_length=320, examples=["anna@example.com"])
    phone: str | None = Field(default=None, max_length=320, examples=["+43 660 1234567"])
    user_id: str | None = Field(default=None, max_length=320, examples=["u-42"])


class SubjectAnswer(BaseModel):
    """One person, without anything personal."""

    subject_id: UUID
    created_at: datetime
    erased_at: datetime | None = Field(description="When the person was erased.")
    identifiers: dict[str, int] = Field(description="How many identifiers of each kind lead to this person.")


class LookupAnswer(BaseModel):
    """The people to whom the identifiers lead, the oldest first."""

    subjects: list[SubjectAnswer]


class EraseRequest(BaseModel):
    """Why somebody is erased."""

    ticket: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Reference of the request; it is kept, so nothing personal.",
    )


class ErasureAnswer(BaseModel):
    """The proof of an erasure, without anything personal."""

    subject_id: UUID
    erased_at: datetime
    erased_by: str
    ticket: str | None
    counts: dict[str, int] = Field(
        description="Identifiers and keys deleted, refused events blanked, and what other parts kept."
    )
    repeated: bool = Field(description="The person was erased before; nothing was done now.")
