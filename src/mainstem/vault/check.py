"""`vault check`: are the rules that no constraint keeps kept? Reads only, in one snapshot, beside the loaders.

A check of rows that are only ever added looks at those alone that came since it passed last; `full` looks at all. What
has passed is remembered in `vault.verified`. Statements run one by one, each in a transaction of its own over one
shared snapshot, so that no lock outlives its statement; they use one process of the server and no more.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final, Literal, TypeAlias

import asyncpg

from mainstem.platform.db import SESSION_SETTINGS, Connection, load_queries
from mainstem.vault.engine.checks import Check, checks
from mainstem.vault.engine.column import literal
from mainstem.vault.engine.spec import NonHistorisedLink, Structure

GATE: Final = "vault.event_seen"
_RECENT: Final = timedelta(days=3)
_CONNECT_TIMEOUT_S: Final = 10
_SETTINGS: Final = {
    **SESSION_SETTINGS,
    "application_name": "mainstem check",
    # a guest: no help from parallel workers, and out of the way of whoever must change a table
    "max_parallel_workers_per_gather": "0",
    "work_mem": "128MB",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "0",
}
_sql: Final = load_queries("mainstem.vault", "check.sql")

State: TypeAlias = Literal["ok", "failed", "skipped"]
Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told how many checks are done, of how many, and which one is next."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    subject: str
    state: State
    checked: int = 0
    violations: int = 0
    examples: tuple[str, ...] = ()
    """Rows that break the rule, at most five."""
    seconds: float = 0.0
    note: str = ""
    """Why it was skipped, or what made a look at the rows needless."""


@dataclass(slots=True)
class _Marks:
    """Up to which load time everything is committed, and up to which each check has passed before."""

    safe: datetime
    verified: dict[tuple[str, str], datetime] = field(default_factory=dict)


async def check(  # noqa: PLR0913 - one per choice of the operator
    dsn: str,
    structures: Sequence[Structure],
    more: Sequence[Check] = (),
    *,
    full: bool = False,
    waiting: timedelta = timedelta(minutes=15),
    progress: Progress = lambda *_: None,
) -> list[Finding]:
    """Return what every check found: of the structures, of `more`, of the ledger and of the partitions.

    A batch may wait for the loader as long as `waiting`. Raises what asyncpg raises when the database is away.
    """
    worker = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=_SETTINGS)
    try:
        # taken before the snapshot: what is committed at the mark is seen by the snapshot
        marks = _Marks(await worker.fetchval(_sql["safe_mark"]))
        rows = await worker.fetch(_sql["verified"])
        if not full:
            marks.verified = {(name, subject): at for name, subject, at in rows}
        asked = [*checks(structures, GATE), *_ledger(structures), *await _defaults(worker), *more]
        findings = []
        async with _snapshot(dsn) as snapshot:
            now = await worker.fetchval("select now()")
            for number, one in enumerate(asked):
                progress(number, len(asked), f"{one.name} {one.subject}")
                findings.append(await _answer(worker, snapshot, one, _parameter(one, marks, now, waiting, full=full)))
        progress(len(asked), len(asked), "")
        await _remember(worker, asked, findings, marks)
        return findings
    finally:
        await worker.close(timeout=_CONNECT_TIMEOUT_S)


async def forget(connection: Connection, tables: Sequence[str]) -> None:
    """Have the next check look at all rows of some tables: they are others than before."""
    await connection.execute(_sql["forget"], list(tables))


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[str]:
    """Yield the name of a snapshot that other transactions may share; it holds no lock on any table."""
    holder = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=_SETTINGS)
    try:
        async with holder.transaction(isolation="repeatable_read", readonly=True):
            yield await holder.fetchval("select pg_export_snapshot()")
    finally:
        await holder.close(timeout=_CONNECT_TIMEOUT_S)


async def _answer(worker: Connection, snapshot: str, one: Check, parameter: Sequence[object] | None) -> Finding:
    if one.skipped or parameter is None:
        return Finding(one.name, one.subject, "skipped", note=one.skipped or "only with --full")
    started_s = perf_counter()
    async with worker.transaction(isolation="repeatable_read", readonly=True):
        await worker.execute(f"set transaction snapshot {literal(snapshot)}")
        if await _proven(worker, one):
            return Finding(one.name, one.subject, "ok", seconds=perf_counter() - started_s, note="held by the database")
        try:
            async with worker.transaction():
                row = await worker.fetchrow(one.count, *parameter, timeout=None)
                checked, violations = (row["checked"], row["violations"]) if row else (0, 0)
                found = await worker.fetch(one.examples, *parameter) if violations else []
        except asyncpg.UndefinedTableError as error:
            return Finding(one.name, one.subject, "failed", violations=1, examples=(str(error),))
    examples = tuple(str(row["example"]) for row in found)
    state: State = "failed" if violations else "ok"
    return Finding(one.name, one.subject, state, checked, violations, examples, perf_counter() - started_s)


async def _proven(worker: Connection, one: Check) -> bool:
    if one.name == "balance":
        return bool(await worker.fetchval(_sql["balanced"]))
    return bool(one.proof and await worker.fetchval(_sql["proven"], one.subject, list(one.proof)))


def _parameter(
    one: Check, marks: _Marks, now: datetime, waiting: timedelta, *, full: bool
) -> tuple[object, ...] | None:
    """Return the values for the check's parameters; None when it is not to be made this time."""
    if one.full_only and not full:
        return None
    if one.name == "waiting":
        return (now - waiting,)
    match one.takes:
        case "verified":
            return (marks.verified.get((one.name, one.subject)),)
        case "recent":
            return (None if full else (now - _RECENT).replace(minute=0, second=0, microsecond=0),)
        case "nothing":
            return ()


async def _remember(worker: Connection, asked: Sequence[Check], findings: Sequence[Finding], marks: _Marks) -> None:
    passed = [
        (one.name, one.subject, marks.safe)
        for one, finding in zip(asked, findings, strict=True)
        if one.takes == "verified" and finding.state == "ok"
    ]
    async with worker.transaction():
        await worker.executemany(_sql["verify"], sorted(passed))


def _ledger(structures: Sequence[Structure]) -> list[Check]:
    """Return the checks of the ledger and of what the gate and the facts have in common with it."""
    found = [
        Check(name="balance", subject="raw.batch", count=_sql["balance"], examples=_sql["balance_examples"]),
        Check(
            name="totals",
            subject="business.pipeline_total",
            count=_sql["totals"],
            examples=_sql["totals_examples"],
        ),
        Check(name="totals", subject=GATE, count=_sql["gate_totals"], examples=_sql["gate_totals_examples"]),
        Check(name="waiting", subject="raw.batch", count=_sql["waiting"], examples=_sql["waiting_examples"]),
    ]
    facts = [one.table for one in structures if isinstance(one, NonHistorisedLink) and one.gated]
    return [*found, _loads(facts)] if facts else found


def _loads(facts: Sequence[str]) -> Check:
    """Return the check that every load made as many facts as its batches say, by tenant and load time."""
    rows = " union all ".join(
        f"select tenant_id, load_ts from {table} cross join kept\n"  # noqa: S608 - names of specs
        "where ($1::timestamptz is null or load_ts > $1) and received_at >= kept.since"
        for table in facts
    )
    loads = (
        # facts outlive their part of the ledger, which goes by the day; a load on its edge is left out
        "with kept as (\n"  # noqa: S608 - as above
        "  select coalesce(min(day)::text || ' 00:00+00', '-infinity')::timestamptz as since from raw.days()\n"
        "), ledger as (\n"
        "  select tenant_id, load_ts, sum(loaded) as n, min(received_from) as since from raw.batch\n"
        "  where loaded_at is not null and ($1::timestamptz is null or load_ts > $1) group by tenant_id, load_ts\n"
        f"), made as (select tenant_id, load_ts, count(*) as n from ({rows}) f group by tenant_id, load_ts)\n"
    )
    both = (
        "from made f full join ledger b using (tenant_id, load_ts)\n"
        "where (b.since is null or b.since >= (select since from kept))"
    )
    wrong = "coalesce(f.n, 0) <> coalesce(b.n, 0)"
    return Check(
        name="loads",
        subject="raw.batch",
        count=f"{loads}select coalesce(sum(f.n), 0)::bigint as checked, "
        f"count(*) filter (where {wrong}) as violations {both}",
        examples=f"{loads}select format('load of %s, tenant %s: %s facts, by the ledger %s', load_ts, tenant_id, "
        f"coalesce(f.n, 0), coalesce(b.n, 0)) as example {both} and {wrong} order by load_ts limit 5",
        takes="verified",
    )


async def _defaults(worker: Connection) -> list[Check]:
    """Return a check for each default partition: none of its rows is of a time for which upkeep makes partitions."""
    found = []
    for name, key, since in await worker.fetch(_sql["default_partitions"]):
        late = f"{key} >= {literal(since.isoformat())}::timestamptz"
        found.append(
            Check(
                name="partition",
                subject=name,
                count=f"select count(*) as checked, count(*) filter (where {late}) as violations from only {name}",  # noqa: S608
                examples=f"select format('%s rows of %s', count(*), ({key} at time zone 'UTC')::date) as example "  # noqa: S608
                f"from only {name} where {late} group by ({key} at time zone 'UTC')::date order by 1 limit 5",
            )
        )
    return found
