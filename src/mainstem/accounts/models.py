"""What is sent to the routes of accounts, and what they answer."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from mainstem.platform.auth_routes import UserOut
from mainstem.platform.users import User


class SignUpIn(BaseModel):
    """Somebody who wants an account."""

    email: str = Field(min_length=1, max_length=254)
    password: SecretStr = Field(description="At least 8 characters.")
    name: str = Field(default="", max_length=200)


class SignInIn(BaseModel):
    """E-mail and password."""

    email: str = Field(max_length=1_000)
    password: SecretStr


class EmailIn(BaseModel):
    """Whom to send a link."""

    email: str = Field(min_length=1, max_length=254)


class LinkIn(BaseModel):
    """The secret of a mailed link: what follows its `#`."""

    token: SecretStr = Field(min_length=1, max_length=200)


class ResetIn(LinkIn):
    """A new password, by a mailed link."""

    password: SecretStr = Field(description="At least 8 characters.")


class AcceptIn(ResetIn):
    """An invitation, accepted."""

    name: str = Field(default="", max_length=200)


class ChangeIn(BaseModel):
    """A new password, by the old one."""

    model_config = ConfigDict(extra="forbid")

    old_password: SecretStr
    new_password: SecretStr = Field(description="At least 8 characters.")


class PersonOut(UserOut):
    """A user, as shown to that user."""

    email_verified: bool
    created_at: datetime


class SessionOut(BaseModel):
    """A sign-in that has not ended."""

    id: UUID
    current: bool = Field(description="The one that asks.")
    user_agent: str
    address: str | None = Field(description="Where from, shortened to /24 or /48.")
    created_at: datetime
    last_seen_at: datetime = Field(description="To five minutes.")
    expires_at: datetime


class SessionsOut(BaseModel):
    """The sessions of a person, the last seen first."""

    items: list[SessionOut]
    total: int


class SignedInOut(BaseModel):
    """A token to send as `Authorization: Bearer`, and whose it is."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of the scheme
    expires_in: int = Field(description="Seconds until the token ends.")
    user: PersonOut


class WhoOut(BaseModel):
    """Whom a token stands for; the token is the one that was sent."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of the scheme
    user: PersonOut
    session: SessionOut | None = Field(description="Null for a token of Better Auth, and for a key.")


class DoneOut(BaseModel):
    """It was done, or there was nothing to do."""

    success: bool = True
    message: str


class EndedOut(BaseModel):
    """How many sessions were ended."""

    ended: int


class OwnKeyIn(BaseModel):
    """A key that acts for whoever makes it."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(default="", max_length=200)
    scopes: list[str] = Field(
        default_factory=list, max_length=8, description="Never more than the role gives; all of that when empty."
    )


class InvitationIn(BaseModel):
    """Somebody to be asked to join."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(min_length=1, max_length=254)
    role: Literal["owner", "member", "viewer", "guest"] = "member"


class InvitationOut(BaseModel):
    """Somebody who was asked to join."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    role: str
    invited_by: str
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class InvitationsOut(BaseModel):
    """Invitations, the newest first."""

    items: list[InvitationOut]
    total: int


def person_of(user: User, tenant: str) -> PersonOut:
    """Return a user as shown to that user."""
    return PersonOut(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        tenant=tenant,
        email_verified=user.email_verified_at is not None,
        created_at=user.created_at,
    )
