"""Which events become tasks: decided in the transaction of their load, made by the worker, once for each rule and event.

The load only writes down that an event met a rule; a rule that can't be followed costs no load. Events of tasks meet no
rule, or a rule would feed itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import structlog

from mainstem.events.catalogue import handed_out, matches
from mainstem.events.filters import Condition, Subject, parse
from mainstem.events.model import RawEvent
from mainstem.pii.store import Subjects
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction
from mainstem.platform.errors import InvalidFieldError, MainstemError
from mainstem.tasks import store
from mainstem.tasks.draft import LONGEST_DESCRIPTION, LONGEST_TITLE
from mainstem.tasks.model import Actor, NewTask, Priority
from mainstem.tasks.template import filled, links_of

OWN_KINDS: Final = "task."
_MOST_KNOWN: Final = 10_000
_LONGEST_FAILURE: Final = 500
_sql: Final = load_queries("mainstem.tasks", "rules.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decides whether an event meets a rule."""

    rule_id: int
    tenant_id: int
    version: int
    kinds: tuple[str, ...]
    condition: Condition | None

    def met_by(self, event: RawEvent) -> bool:
        """Tell whether an event meets the rule."""
        if event.tenant_id != self.tenant_id or event.kind.startswith(OWN_KINDS):
            return False
        if not any(matches(pattern, event.kind) for pattern in self.kinds):
            return False
        return self.condition is None or self.condition(subject_of(event))


class Matcher:
    """The hook of a loader; keeps what it has parsed of rules."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[int, Wanted] = {}

    async def __call__(self, connection: Connection, events: Sequence[RawEvent]) -> int:
        """Write down which loaded events met which rules, in the caller's transaction; return how many."""
        tenants = sorted({event.tenant_id for event in events if not event.kind.startswith(OWN_KINDS)})
        rows = await connection.fetch(_sql["active"], tenants) if tenants else []
        if not rows:
            return 0
        rules = [self._wanted(row) for row in rows]
        met = [(rule, event) for event in events for rule in rules if rule.met_by(event)]
        if met:
            await connection.execute(
                _sql["matched"],
                *([rule.rule_id for rule, _ in met], [event.event_uid for _, event in met]),
                *([event.tenant_id for _, event in met], [event.kind for _, event in met]),
                *([event.source for _, event in met], [event.subject for _, event in met]),
                [event.occurred_at for _, event in met],
                [handed_out(event.kind, event.data) for _, event in met],
            )
        return len(met)

    def _wanted(self, row: asyncpg.Record) -> Wanted:
        known = self._known.get(row["rule_id"])
        if known is None or known.version != row["version"]:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[row["rule_id"]] = wanted_of(row)
        return known


def wanted_of(row: asyncpg.Record | Mapping[str, Any]) -> Wanted:
    """Return what decides for a rule. One whose filter can't be read is met by nothing, and that is logged."""
    condition: Condition | None = None
    kinds = tuple(row["kinds"])
    if row["filter"] is not None:
        try:
            condition = parse(msgspec.json.decode(row["filter"]))
        except (InvalidFieldError, msgspec.MsgspecError) as error:
            log.warning("task_rule_unreadable", rule_id=row["rule_id"], reason=str(error))
            kinds = ()
    return Wanted(row["rule_id"], row["tenant_id"], row["version"], kinds, condition)


def subject_of(event: RawEvent) -> Subject:
    """Return an event as filters and templates see it."""
    return Subject(event.kind, event.source, event.subject, _data(event.data))


async def make_due(pool: Pool, subjects: Subjects, zone: ZoneInfo, now: Callable[[], datetime]) -> int:
    """Make the task of an event that met a rule, the oldest one; return how many matches were done with: one or none.

    One in a transaction: the tenant's ids are locked until it ends.
    """
    async with transaction(pool) as connection:
        row = await connection.fetchrow(_sql["claim"])
        if row is not None:
            await _make(connection, row, subjects, zone, now())
    return int(row is not None)


async def prune(connection: Connection, before: datetime) -> int:
    """Forget matches that were done with before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune"], before):
        pruned += gone
    return pruned


async def _make(connection: Connection, row: asyncpg.Record, subjects: Subjects, zone: ZoneInfo, now: datetime) -> None:
    actor = Actor(row["tenant_id"], row["owner_id"], subjects, zone, by=f"rule:{row['rule_id']}")
    task_id, failure = None, None
    try:
        # another row's trouble is no trouble of this one
        async with connection.transaction():
            task = await store.make(connection, actor, _new(row), now=now, rule_id=row["rule_id"])
            task_id = task.id
            await connection.execute(_sql["count"], row["rule_id"])
    except MainstemError as error:
        failure = error.detail[:_LONGEST_FAILURE]
        log.warning("task_rule_failed", rule_id=row["rule_id"], event_uid=str(row["event_uid"]), reason=failure)
    except Exception as error:
        if is_transient(error):
            raise
        # tried again for ever, it would keep all others waiting
        failure = type(error).__name__
        log.exception("task_rule_failed", rule_id=row["rule_id"], event_uid=str(row["event_uid"]))
    await connection.execute(_sql["made"], row["rule_id"], row["event_uid"], now, task_id, failure)


def _new(row: asyncpg.Record) -> NewTask:
    event = Subject(row["kind"], row["source"], row["subject"], _data(row["data"]))
    minutes = row["due_minutes"]
    return NewTask(
        title=filled(row["title"], event, LONGEST_TITLE),
        description=filled(row["description"], event, LONGEST_DESCRIPTION),
        priority=Priority(row["priority"]),
        labels=row["labels"],
        due=None if minutes is None else row["occurred_at"] + timedelta(minutes=minutes),
        assignee_id=row["assignee_id"],
        links=links_of(event),
    )


def _data(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
