"""The API of task rules: which events become tasks, of whom."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends
from pydantic import AliasChoices, BaseModel, Field, StringConstraints

from mainstem.platform.answers import Moment
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.tasks import rules
from mainstem.tasks.model import Priority
from mainstem.tasks.models import LabelsIn, PriorityIn
from mainstem.tasks.routes import Require

Pattern = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9_]+)(\.(\*|[a-z0-9_]+))*$", max_length=100)]
_EVENTS = AliasChoices("events", "kinds")


class RuleIn(BaseModel):
    """A rule to be made."""

    name: str = Field(min_length=1, max_length=200)
    events: list[Pattern] = Field(
        min_length=1, max_length=20, validation_alias=_EVENTS, description="Patterns of kinds, such as order.failed."
    )
    filter: dict[str, Any] | None = Field(default=None, description="Conditions, as webhooks have them.")
    title: str = Field(
        min_length=1, max_length=500, description="With placeholders: `Order of {name} failed: {reason}`."
    )
    description: str = Field(default="", max_length=2_000)
    priority: PriorityIn = Priority.MEDIUM
    labels: LabelsIn = Field(default_factory=list)
    due_minutes: int | None = Field(default=None, ge=0, le=5_256_000, description="Minutes after the event.")
    owner: str | None = Field(default=None, max_length=254, description="Id or e-mail; you, when absent.")
    assignee: str | None = Field(default=None, max_length=254, description="Id or e-mail.")
    enabled: bool = True


class RulePatch(BaseModel):
    """Fields of a rule that change."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    events: list[Pattern] | None = Field(default=None, min_length=1, max_length=20, validation_alias=_EVENTS)
    filter: dict[str, Any] | None = None
    title: str | None = Field(default=None, min_length=1, max_length=500)
    description: str | None = Field(default=None, max_length=2_000)
    priority: PriorityIn | None = None
    labels: LabelsIn | None = None
    due_minutes: int | None = Field(default=None, ge=0, le=5_256_000)
    owner: str | None = Field(default=None, max_length=254)
    assignee: str | None = Field(default=None, max_length=254)
    enabled: bool | None = None


class RuleOut(BaseModel):
    """A rule."""

    id: int
    name: str
    events: list[str]
    filter: dict[str, Any] | None
    title: str
    description: str
    priority: Priority
    labels: list[str]
    due_minutes: int | None
    owner_id: str
    assignee_id: str | None
    enabled: bool
    made: int = Field(description="How many tasks it has made.")
    created_at: Moment
    updated_at: Moment


class RuleList(BaseModel):
    """All rules of the tenant."""

    items: list[RuleOut]
    total: int


def build_rule_router(*, pool: Callable[[], Pool], require: Require) -> APIRouter:
    """Return the routes; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1/task-rules", tags=["tasks"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("", summary="Rules that make tasks of events")
    async def all_rules(caller: Reader) -> RuleList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await rules.all_of(connection, caller.tenant_id)
        return RuleList(items=[_out(row) for row in rows], total=len(rows))

    @router.post("", status_code=201, summary="Make a rule, for events that are loaded from now on")
    async def add(caller: Admin, body: RuleIn) -> RuleOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            owner = body.owner or (None if caller.user_id is None else str(caller.user_id))
            if owner is None:
                raise InvalidFieldError("A key is nobody: say who owns the tasks.", field="owner")
            draft = rules.RuleDraft(
                name=body.name,
                kinds=tuple(body.events),
                title=body.title,
                owner_id=await rules.person(connection, caller.tenant_id, owner, name="owner"),
                filter=body.filter,
                description=body.description,
                priority=body.priority,
                labels=tuple(body.labels),
                due_minutes=body.due_minutes,
                assignee_id=None
                if body.assignee is None
                else await rules.person(connection, caller.tenant_id, body.assignee, name="assignee"),
                enabled=body.enabled,
            )
            return _out(await rules.add(connection, caller.tenant_id, draft, by=caller.subject, now=utc_now()))

    @router.get("/{rule_id}", summary="One rule")
    async def get(caller: Reader, rule_id: Annotated[int, Field(ge=0, lt=2**31)]) -> RuleOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return _out(await rules.one(connection, caller.tenant_id, rule_id))

    @router.patch("/{rule_id}", summary="Change a rule")
    async def change(caller: Admin, rule_id: Annotated[int, Field(ge=0, lt=2**31)], body: RulePatch) -> RuleOut:
        given = body.model_dump(exclude_unset=True)
        changes = {name: value for name, value in given.items() if value is not None or name in _NULLABLE}
        if "events" in changes:
            changes["kinds"] = tuple(changes.pop("events"))
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            for name in ("owner", "assignee"):
                if name in changes:
                    who = changes.pop(name)
                    found = None if who is None else await rules.person(connection, caller.tenant_id, who, name=name)
                    changes[f"{name}_id"] = found
            return _out(await rules.change(connection, caller.tenant_id, rule_id, changes, now=utc_now()))

    @router.delete("/{rule_id}", status_code=204, summary="Delete a rule; its tasks stay")
    async def remove(caller: Admin, rule_id: Annotated[int, Field(ge=0, lt=2**31)]) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await rules.remove(connection, caller.tenant_id, rule_id)

    return router


_NULLABLE = frozenset({"filter", "due_minutes", "assignee"})


def _out(row: asyncpg.Record) -> RuleOut:
    return RuleOut(
        id=row["rule_id"],
        name=row["name"],
        events=row["kinds"],
        filter=None if row["filter"] is None else json.loads(row["filter"]),
        title=row["title"],
        description=row["description"],
        priority=row["priority"],
        labels=row["labels"],
        due_minutes=row["due_minutes"],
        owner_id=str(row["owner_id"]),
        assignee_id=None if row["assignee_id"] is None else str(row["assignee_id"]),
        enabled=row["enabled"],
        made=row["made"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
