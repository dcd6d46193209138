"""What keeps endpoints in order: warnings before one that only fails is switched off, and an end to old history.

How long an endpoint has failed is the time between its first failed attempt since a success and its last one: an endpoint to
which nothing is sent for a week has not failed for a week.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from mainstem.events.record import Change, record_all
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction
from mainstem.webhooks.book import switch_off

WARN_AT: Final = (0.5, 0.9)
"""Shares of the time after which an endpoint is switched off, at which warnings go out."""
_FEWEST_FAILURES: Final = 5
_EVERY_S: Final = 30.0
_sql: Final = load_queries("mainstem.webhooks", "upkeep.sql")
log = structlog.get_logger(__name__)

QueueMail = Callable[[Connection, int, str, str], Awaitable[None]]
"""Sends a mail to the operators once the caller's transaction commits: (connection, tenant id, subject, text)."""


@dataclass(frozen=True, slots=True)
class Warn:
    """The owner is to be told, for the `number`-th time."""

    number: int


@dataclass(frozen=True, slots=True)
class Disable:
    """It has failed for long enough."""


def verdict(failed_for: timedelta, failures: int, warned: int, after: timedelta) -> Warn | Disable | None:
    """Return what becomes of an endpoint that has failed all the while, `failures` times in a row. Pure.

    It is switched off `after` that time, but never without all warnings before; each goes out once.
    """
    if failures < _FEWEST_FAILURES:
        return None
    due = sum(failed_for >= after * share for share in WARN_AT)
    if warned < due:
        return Warn(due)
    return Disable() if failed_for >= after and warned >= len(WARN_AT) else None


async def look_after(pool: Pool, after: timedelta, queue_mail: QueueMail | None = None) -> int:
    """Warn about endpoints that only fail, and switch off those that did so for long; return how many were either."""
    async with transaction(pool) as connection:
        rows = await connection.fetch(_sql["long_failing"], after * WARN_AT[0])
    acted = 0
    for row in rows:
        async with transaction(pool) as connection:
            now = await connection.fetchrow(_sql["lock_total"], row["endpoint_id"])
            if now is None or now["failing_since"] is None:
                continue
            failed_for = now["last_failure_at"] - now["failing_since"]
            found = verdict(failed_for, now["consecutive_failures"], now["warned"], after)
            if found is None:
                continue
            acted += 1
            hours = failed_for.total_seconds() / 3600
            told = {
                "webhook_id": row["endpoint_id"],
                "name": row["name"],
                "failing_since": rfc3339(now["failing_since"]),
                "failing_hours": round(hours, 1),
                "disabled_after_hours": round(after.total_seconds() / 3600, 1),
            }
            if isinstance(found, Warn):
                await connection.execute(_sql["warned"], row["endpoint_id"], found.number)
                change = Change("webhook.endpoint_warned", told, subject=f"webhook:{row['endpoint_id']}")
                await record_all(connection, row["tenant_id"], [change])
            else:
                await switch_off(connection, [row["endpoint_id"]], f"It failed for {hours:.0f} hours.")
            if queue_mail is not None:
                await queue_mail(connection, row["tenant_id"], *_mail(row["name"], row["url"], told, found))
    return acted


def _mail(name: str, url: str, told: dict[str, object], found: Warn | Disable) -> tuple[str, str]:
    since = f"Every delivery to {url} has failed since {told['failing_since']} ({told['failing_hours']} hours)."
    if isinstance(found, Warn):
        return (
            f"Webhook {name} keeps failing",
            (
                f"{since}\n\nIt will be switched off after {told['disabled_after_hours']} hours of failures.\n"
                f"Its attempts and the answers to them: GET /api/v1/webhooks/{told['webhook_id']}/attempts\n"
            ),
        )
    return (
        f"Webhook {name} was switched off",
        (
            f"{since}\n\nNothing is sent to it any more. Once it works again: POST /api/v1/webhooks/{told['webhook_id']}/enable,\n"
            f"then POST /api/v1/webhooks/{told['webhook_id']}/recover for what it missed.\n"
        ),
    )


async def run(pool: Pool, after: timedelta, stop: asyncio.Event, queue_mail: QueueMail | None = None) -> None:
    """Look after the endpoints every half minute until `stop` is set; a database that is away is waited for."""
    while not stop.is_set():
        try:
            await look_after(pool, after, queue_mail)
        except Exception as error:
            if is_transient(error):
                log.warning("webhook_upkeep_postponed", error=str(error))
            else:
                log.exception("webhook_upkeep_failed")
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await stop.wait()


async def prune(connection: Connection, retention_days: int, now: datetime | None = None) -> int:
    """Delete history that is older than is kept, and deleted endpoints with theirs, in small transactions.

    The connection must be outside of a transaction. Returns how many rows went.
    """
    before = (now or utc_now()) - timedelta(days=retention_days)
    gone = 0
    for query in ("expire", "prune_deliveries", "prune_attempts", "prune_messages"):
        while some := await connection.fetchval(_sql[query], before):
            gone += some
    await connection.execute(_sql["prune_minutes"], before)
    for (endpoint_id,) in await connection.fetch(_sql["deleted"]):
        while some := await connection.fetchval(_sql["empty_endpoint"], endpoint_id):
            gone += some
        await connection.execute(_sql["remove_endpoint"], endpoint_id)
    return gone
