"""What a connector writes down of its orders: every step in the ledger, with the events and mails about it in one transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from mainstem.connectors import decide, items, ledger, mails, telling
from mainstem.connectors.aim import BY_HAND, Look, Status
from mainstem.connectors.connector import Connector
from mainstem.connectors.decide import Adopt, ByHand, Flag, Gone, Replace, Submit, Wait
from mainstem.connectors.mapping import ItemMap
from mainstem.connectors.outcome import End, Outcome, outcome_of
from mainstem.connectors.ports import SinkOrder, State
from mainstem.connectors.standing import IN_DOUBT, Order, Standing
from mainstem.pii.store import Subjects
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.log import correlation_id
from mainstem.platform.outbox import Outbox

log = structlog.get_logger(__name__)


class LostClaimError(Exception):
    """Another worker has the booking by now."""


class Writer:
    """Writes for one connector."""

    def __init__(  # noqa: PLR0913 - what all work needs
        self,
        pool: Pool,
        tenant_id: int,
        connector: Connector,
        *,
        outbox: Outbox | None = None,
        subjects: Subjects | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Keep the parts. `subjects`: whose lookup key finds people again."""
        self.pool = pool
        self.tenant_id = tenant_id
        self.connector = connector
        self.outbox = outbox
        self.subjects = subjects
        self.clock = clock

    # writing down

    async def _finish(  # noqa: PLR0913, PLR0917 - all that a round knows
        self, booking_key: int, claim_id: UUID, end: End, by: str, target: Look, step: decide.Step
    ) -> Outcome:
        """Write what a round came to, in one transaction with the events and mails about it."""
        async with self._holding(booking_key, claim_id) as (connection, standing):
            row = target.order
            match step:
                case Adopt(order) if row is not None:
                    if row.state is not State.CONFIRMED or row.order_id != order.order_id:
                        await self._confirm(connection, standing, row, order, end.reason, by)
                case Gone():
                    await ledger.void_all(connection, standing, end.reason, by)
                case ByHand():
                    await self._step(connection, row, State.VOIDED, by, reason=end.reason)
                case Wait(state) if (
                    row is not None
                    and row.state is not State.CONFIRMED
                    and not (target.void and row.state not in IN_DOUBT)
                ):
                    await self._step(connection, row, state, by, reason=end.reason, error=end.error)
                case Flag(order=order) if row is not None:
                    await self._flag(connection, standing, row, order, end, by, void=target.void)
                case Submit() | Replace() if row is not None and end.status is Status.FAILED:
                    await self._step(connection, row, State.FAILED, by, reason=end.reason, error=end.error)
                case Submit() | Replace() if row is not None and row.state in {State.PLANNED, State.BLOCKED}:
                    await self._step(connection, row, State.PLANNED, by, reason=end.reason)
                case _:
                    pass
            if end.sure:
                await ledger.mark_unsure(connection, standing, unsure=False)
            order_id = end.order_id or (None if row is None else row.order_id)
            return await self._release(connection, standing, claim_id, replace(end, order=row, order_id=order_id))

    async def _confirm(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, connection: Connection, standing: Standing, row: Order, order: SinkOrder, reason: str, by: str
    ) -> None:
        if row.state is State.CONFIRMED:
            row = await self._reopened(connection, standing, row, by)
        done = await ledger.confirm(
            connection,
            standing,
            row,
            by,
            now=self.clock(),
            reason=reason,
            order_id=order.order_id,
            sink_total=order.total,
        )
        if not done:
            raise LostClaimError

    async def _reopened(self, connection: Connection, standing: Standing, row: Order, by: str) -> Order:
        """Return a row as planned; one that waited in its place is over."""
        await ledger.supersede(connection, standing, row, by)
        await self._step(connection, row, State.PLANNED, by, reason="REPAIR")
        return replace(row, state=State.PLANNED)

    async def _flag(  # noqa: PLR0913, PLR0917 - the columns of a row
        self,
        connection: Connection,
        standing: Standing,
        row: Order,
        order: SinkOrder,
        end: End,
        by: str,
        *,
        void: bool,
    ) -> None:
        if void and row.state in IN_DOUBT:
            await self._confirm(connection, standing, row, order, end.reason, by)
        elif not void and row.state is not State.CONFIRMED:
            await self._step(connection, row, State.FAILED, by, reason=end.reason, error=end.error)

    async def _step(  # noqa: PLR0913 - the columns of a row
        self,
        connection: Connection,
        row: Order | None,
        state: State,
        by: str,
        *,
        reason: str | None = None,
        error: str | None = None,
    ) -> int:
        done = await ledger.step(connection, there(row), state, by, now=self.clock(), reason=reason, error=error)
        if done is None:
            raise LostClaimError
        return done

    async def _release(self, connection: Connection, standing: Standing, claim_id: UUID, end: End) -> Outcome:
        news = (end.status.value, end.reason) != (standing.last_result, standing.last_reason)
        kept = await ledger.release(
            connection,
            standing,
            claim_id,
            result=end.status,
            reason=end.reason,
            error=end.error,
            due_at=end.due_at,
            put_off=end.put_off,
        )
        if not kept:
            raise LostClaimError
        if news or end.status in {Status.INJECTED, Status.UPDATED, Status.VOIDED}:
            await self._tell(connection, standing, end)
        outcome = outcome_of(standing.booking, end)
        log.info(
            "connector_order",
            connector=self.connector.name,
            booking_id=outcome.booking_id,
            status=outcome.status,
            reason=outcome.reason,
            order_id=outcome.order_id,
            error=outcome.error,
        )
        return outcome

    async def _tell(self, connection: Connection, standing: Standing, end: End) -> None:
        """Record the event and queue the mail about what is news."""
        kinds = {
            Status.INJECTED: "order.injected",
            Status.UPDATED: "order.injected",
            Status.FAILED: "order.failed",
            Status.VOIDED: "order.voided",
        }
        kind = kinds.get(end.status)
        if end.status is Status.PENDING and end.reason == "OUTCOME_UNKNOWN":
            kind = "order.unknown"
        if end.reason == BY_HAND:
            kind = "order.voided"
        if kind is None:
            return
        more = {"reason": end.reason, "error": end.error, "order_id": end.order_id}
        await telling.tell_order(
            connection,
            self.tenant_id,
            self.connector,
            standing,
            kind=kind,
            order=end.order,
            now=self.clock(),
            more=more,
        )
        if self.outbox is None or kind not in {"order.injected", "order.failed"}:
            return
        title, booking = self.connector.title, standing.booking
        if kind == "order.injected":
            plan = None if end.order is None else end.order.plan
            subject, text = mails.injected(title, booking, plan, end.order_id, end.reason, correlation_id())
        else:
            subject, text = mails.failed(title, booking, end.reason, end.error, correlation_id())
        receivers = self.connector.mail_to or self.outbox.operators
        await self.outbox.put(connection, self.tenant_id, receivers, subject, text, ref=f"booking:{booking.booking_id}")

    # the database

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with transaction(self.pool, tenant_id=self.tenant_id) as connection:
            yield connection

    @asynccontextmanager
    async def _holding(self, booking_key: int, claim_id: UUID) -> AsyncIterator[tuple[Connection, Standing]]:
        async with self._transaction() as connection:
            standing = await ledger.hold(connection, booking_key, claim_id, self.connector.lease)
            if standing is None:
                raise LostClaimError
            yield connection, standing

    async def _mapping(self, connection: Connection) -> ItemMap:
        return await items.item_map(connection, self.tenant_id, self.connector.name, self.connector.rules.establishment)


def there(row: Order | None) -> Order:
    """Return the row of an order that is acted on. Raises RuntimeError where there is none."""
    if row is None:
        msg = "an order that is acted on has a row"
        raise RuntimeError(msg)
    return row
