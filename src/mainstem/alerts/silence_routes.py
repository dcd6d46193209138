"""The API of silences: what people are not told of, for a time, and why."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

import asyncpg
from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mainstem.alerts import rules
from mainstem.alerts.labels import Matcher
from mainstem.alerts.models import Cleaned, LabelName, LabelValue
from mainstem.alerts.store import matchers_of
from mainstem.platform.answers import Moment
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.paging import PageQuery

LONGEST: Final = timedelta(days=365)
Comment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000), Cleaned]
Seconds = Annotated[int, Field(ge=60, le=int(LONGEST.total_seconds()))]


class MatcherIn(BaseModel):
    """A condition on one label."""

    model_config = ConfigDict(extra="forbid")

    name: LabelName = Field(examples=["alertname"])
    value: LabelValue = Field(description="`*` stands for any characters.", examples=["Webhook*"])
    is_equal: bool = Field(default=True, description="False: the label must not match.")

    @property
    def matcher(self) -> Matcher:
        """The condition; severities are labels in small letters."""
        value = self.value.lower() if self.name == "severity" else self.value
        return Matcher(self.name, value, self.is_equal)


class SilenceIn(BaseModel):
    """A new silence; it ends at `ends_at`, or `duration_seconds` after it begins."""

    model_config = ConfigDict(extra="forbid")

    matchers: list[MatcherIn] = Field(min_length=1, max_length=20, description="All must hold.")
    starts_at: AwareDatetime | None = Field(default=None, description="Now when absent.")
    ends_at: AwareDatetime | None = None
    duration_seconds: Seconds | None = None
    comment: Comment = Field(description="Why.")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.ends_at is None) == (self.duration_seconds is None):
            msg = "give ends_at or duration_seconds"
            raise ValueError(msg)
        return self


class SilencePatch(BaseModel):
    """Changes of a silence; absent fields stay."""

    model_config = ConfigDict(extra="forbid")

    ends_at: AwareDatetime | None = None
    comment: Comment | None = None


class SilenceOut(BaseModel):
    """A silence."""

    id: int
    matchers: list[MatcherIn]
    starts_at: Moment
    ends_at: Moment
    status: Literal["pending", "active", "expired"]
    created_by: str
    comment: str
    created_at: Moment
    updated_at: Moment


class SilenceList(BaseModel):
    """A page of silences, those that end last first."""

    items: list[SilenceOut]
    total: int
    page: int
    page_size: int
    pages: int


def build_silence_router(
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]]
) -> APIRouter:
    """Return the routes, to be included before those of alerts; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1/alerts/silences", tags=["alerts"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("", summary="Silences")
    async def silences(
        caller: Reader,
        page: PageQuery,
        *,
        expired: Annotated[bool, Query(description="Also those that are over.")] = False,
    ) -> SilenceList:
        now = utc_now()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows, total = await rules.silences(
                connection, caller.tenant_id, now, expired=expired, limit=page.limit, offset=page.offset
            )
        return SilenceList.model_validate(page.answer([shown(row, now) for row in rows], total))

    @router.post("", status_code=201, summary="Silence alerts for a time")
    async def add(caller: Admin, body: SilenceIn) -> SilenceOut:
        now = utc_now()
        starts_at = body.starts_at or now
        ends_at = body.ends_at or starts_at + timedelta(seconds=body.duration_seconds or 0)
        check_span(starts_at, ends_at, now)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await rules.silence(
                connection,
                caller.tenant_id,
                [one.matcher for one in body.matchers],
                starts_at=starts_at,
                ends_at=ends_at,
                by=caller.subject,
                comment=body.comment,
            )
        return shown(row, now)

    @router.get("/{silence_id}", summary="One silence")
    async def get(caller: Reader, silence_id: int) -> SilenceOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return shown(await rules.one_silence(connection, caller.tenant_id, silence_id), utc_now())

    @router.patch("/{silence_id}", summary="Change when a silence ends, or why it is")
    async def change(caller: Admin, silence_id: int, body: SilencePatch) -> SilenceOut:
        now = utc_now()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            known = await rules.one_silence(connection, caller.tenant_id, silence_id)
            ends_at = body.ends_at or known["ends_at"]
            if body.ends_at is not None:
                check_span(known["starts_at"], ends_at, now)
            comment = body.comment or known["comment"]
            row = await rules.change_silence(connection, caller.tenant_id, silence_id, ends_at=ends_at, comment=comment)
        return shown(row, now)

    @router.delete("/{silence_id}", status_code=204, summary="End a silence now")
    async def end(caller: Admin, silence_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await rules.expire(connection, caller.tenant_id, silence_id, utc_now())

    return router


def check_span(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    """Check that a silence ends after it begins, in the future and within a year. Raises InvalidFieldError."""
    if not max(starts_at, now) < ends_at <= now + LONGEST:
        raise InvalidFieldError("ends_at must be after starts_at and now, and within a year.", field="ends_at")


def shown(row: asyncpg.Record, now: datetime) -> SilenceOut:
    """Return a silence as it is shown at `now`."""
    status: Literal["pending", "active", "expired"] = "active"
    if row["ends_at"] <= now:
        status = "expired"
    elif row["starts_at"] > now:
        status = "pending"
    return SilenceOut(
        id=row["silence_id"],
        matchers=[
            MatcherIn(name=one.name, value=one.value, is_equal=one.is_equal) for one in matchers_of(row["matchers"])
        ],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        status=status,
        created_by=row["created_by"],
        comment=row["comment"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
