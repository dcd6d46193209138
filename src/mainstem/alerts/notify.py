"""Groups that are due are told: as an event with the body of Alertmanager's webhooks, and by mail through the outbox.

Group, alerts, event and mails change in one transaction: what was told is known, and what is known was told.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from mainstem.alerts import store
from mainstem.alerts.compose import Group, Place, alertmanager_body, subject, text
from mainstem.alerts.grouping import Member, Reason, plan
from mainstem.alerts.model import Alert, alert_of, timing_of
from mainstem.events.record import record
from mainstem.platform.db import Connection, is_transient, load_queries
from mainstem.platform.outbox import Outbox
from mainstem.platform.outbox import Outcome as MailOutcome

_REF: Final = "notification:"
_sql: Final = load_queries("mainstem.alerts")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A notification that was made."""

    notification_id: int
    receivers: tuple[str, ...]
    """To whom a mail is queued; nobody without a mail server or addresses."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells people of alerts."""

    outbox: Outbox
    place: Place

    async def tell_due(self, connection: Connection, now: datetime) -> int:
        """Look at all groups that are due and tell what there is to tell; return how many notifications there were.

        The connection is the owner's, outside of a transaction. Raises what says that the database is away.
        """
        told = 0
        for row in await connection.fetch(_sql["due_groups"], now):
            try:
                async with connection.transaction():
                    told += await self._look_at(connection, row["group_id"], now)
            except Exception as error:
                if connection.is_closed() or is_transient(error):
                    raise
                log.exception("group_not_told", group_id=row["group_id"], tenant_id=row["tenant_id"])
        return told

    async def tell(  # noqa: PLR0913 - what is told, of what, to whom
        self,
        connection: Connection,
        tenant_id: int,
        group: Group,
        alerts: Sequence[Alert],
        *,
        reason: Reason,
        now: datetime,
    ) -> Told:
        """Tell of alerts, at least one, in the caller's transaction; return what was made of it."""
        body = alertmanager_body(group, alerts, self.place)
        receivers = tuple(group.receivers or self.outbox.operators) if self.outbox.configured else ()
        ids = [alert.alert_id for alert in alerts if alert.alert_id]
        notification_id = await connection.fetchval(
            _sql["insert_notification"], tenant_id, group.key, reason, body["status"], ids, receivers, now
        )
        await record(
            connection,
            tenant_id,
            "alert.notified",
            body,
            subject=f"alert:{body['alert_id']}",
            source=store.SOURCE,
            occurred_at=now,
        )
        title, words = subject(alerts), text(alerts, self.place)
        ref = f"{_REF}{notification_id}"
        await self.outbox.put(connection, tenant_id, receivers, title, words, ref=ref, now=now)
        return Told(notification_id, receivers)

    async def _look_at(self, connection: Connection, group_id: int, now: datetime) -> bool:
        row = await connection.fetchrow(_sql["lock_group"], group_id, now)
        if row is None:
            return False
        alerts = {one["alert_id"]: alert_of(one) for one in await connection.fetch(_sql["members"], group_id)}
        silences = await store.active_silences(connection, row["tenant_id"], now)
        members = [_member(alert, silences) for alert in alerts.values()]
        planned = plan(timing_of(row), row["due_at"], row["sent_at"], members, now)
        if planned is None:
            return False
        notification = planned.notification
        if notification is not None:
            firing, resolved = list(notification.firing), list(notification.resolved)
            group = Group(row["key"], json.loads(row["labels"]), tuple(row["receivers"]))
            about = [alerts[one] for one in (*firing, *resolved)]
            told = await self.tell(connection, row["tenant_id"], group, about, reason=notification.reason, now=now)
            mails = bool(told.receivers)
            await connection.execute(_sql["told"], row["tenant_id"], firing, resolved, told.notification_id, mails)
        await connection.execute(_sql["leave"], group_id, list(planned.leaving))
        await connection.execute(_sql["next_look"], group_id, planned.due_at, None if notification is None else now)
        await connection.execute(_sql["drop_group"], group_id)
        return notification is not None


async def mailed(connection: Connection, outcome: MailOutcome) -> None:
    """Write what became of a mail into the alerts that it told of; mails of others are passed over."""
    if outcome.ref is None or not outcome.ref.startswith(_REF):
        return
    notification_id = int(outcome.ref.removeprefix(_REF))
    await connection.fetchval(_sql["notification"], notification_id)
    await connection.execute(_sql["mailed"], outcome.tenant_id, outcome.ref, outcome.error, notification_id)


def _member(alert: Alert, silences: Sequence[store.Silence]) -> Member:
    quiet = alert.acknowledged_at is not None or bool(store.silenced_by(silences, alert.labels))
    return Member(alert.alert_id, resolved=alert.resolved_at is not None, quiet=quiet, told=alert.told)
