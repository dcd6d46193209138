"""Brings the order of a booking to where it should be: looks, decides by `decide`, acts, writes down. Crash-safe at every point.

Whatever is sent to the sink is announced in the ledger before (`submitting`, committed), so that a process that dies leaves a
row that the next one knows to be in doubt. No transaction is open while a source or a sink is spoken to.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from mainstem.connectors import decide, items, ledger, mails
from mainstem.connectors.aim import BY_HAND, Look, Rest, Status, aim
from mainstem.connectors.connector import Connector
from mainstem.connectors.decide import Adopt, ByHand, Flag, Gone, Replace, Submit, Void, Wait
from mainstem.connectors.ledger import IN_DOUBT, Order, Standing
from mainstem.connectors.mapping import ItemMap
from mainstem.connectors.outcome import VOIDED, End, Outcome, end_of, outcome_of, resting
from mainstem.connectors.people import identifiers_in
from mainstem.connectors.plan import judge
from mainstem.connectors.ports import (
    Booking,
    OutcomeUnknownError,
    Plan,
    RefusedError,
    SinkOrder,
    State,
    UpstreamError,
)
from mainstem.pii.store import Subjects, lookups_of
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.log import correlation_id
from mainstem.platform.outbox import Outbox

UPDATED: Final = "ORDER_UPDATED"
_MOST_ROUNDS: Final = 6
_FEW: Final = timedelta(seconds=2)
log = structlog.get_logger(__name__)


class LostClaimError(Exception):
    """Another worker has the booking by now."""


class Flow:
    """Works on the bookings of one connector."""

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

    async def take(
        self, connection: Connection, booking: Booking, *, seen_at: datetime, ask: bool = False
    ) -> ledger.Taken:
        """Keep what is known of a booking, in the caller's transaction; see `ledger.take`. Raises PiiKeyError."""
        people: list[bytes] = []
        identifiers = identifiers_in(booking.raw) if self.subjects is not None else ()
        if self.subjects is not None and identifiers:
            key = await self.subjects.lookup_key(connection, self.tenant_id)
            people = sorted(found for _, found in lookups_of(key, identifiers))
        return await ledger.take(
            connection,
            self.tenant_id,
            self.connector,
            booking,
            seen_at=seen_at,
            now=self.clock(),
            ask=ask,
            people=people,
        )

    async def advance(self, booking_key: int, *, by: str) -> Outcome | None:
        """Claim a booking and work on it; None while somebody else does."""
        claim_id = uuid4()
        async with self._transaction() as connection:
            if not await ledger.claim(connection, booking_key, claim_id, self.connector.lease):
                return None
        return await self.work(booking_key, claim_id, by=by)

    async def work(self, booking_key: int, claim_id: UUID, *, by: str) -> Outcome | None:
        """Work on a claimed booking until it rests, and give it back; None when the claim was lost."""
        bound = correlation_id()
        try:
            for _ in range(_MOST_ROUNDS):
                outcome = await self._round(booking_key, claim_id, by)
                if outcome is not None:
                    return outcome
        except LostClaimError:
            return None
        except BaseException as error:
            if isinstance(error, Exception):
                async with self._transaction() as connection:
                    await ledger.let_go(connection, booking_key, claim_id, self.clock() + decide.pause(3))
            raise
        finally:
            if bound is None:
                structlog.contextvars.unbind_contextvars("correlation_id")
        # rows that move on with every look come to rest later
        async with self._transaction() as connection:
            await ledger.let_go(connection, booking_key, claim_id, self.clock() + decide.pause(2))
        return None

    async def preview(self, booking: Booking, booking_key: int | None) -> Outcome:
        """Return what would become of a booking, and change nothing."""
        async with self._transaction() as connection:
            standing = None if booking_key is None else await ledger.one(connection, booking_key)
            mapping = await self._mapping(connection)
        orders = () if standing is None else standing.orders
        now = self.clock()
        unsure = standing is not None and standing.unsure
        target = aim(judge(booking, mapping, self.connector.rules, now), orders, asked=True, unsure=unsure)
        if isinstance(target, Rest):
            return outcome_of(booking, end_of(target))
        found = await self._find(target.plan)
        step = decide.decide(
            target, found, rules=self.connector.rules, now=now, settle=self.connector.settle, put_off=0
        )
        end = resting(step) or End(status=Status.SKIPPED, reason="DRY_RUN")
        if isinstance(step, Adopt):
            end = End(status=Status.SKIPPED, reason="ALREADY_INJECTED", order_id=step.order.order_id)
        return outcome_of(booking, end)

    # one round

    async def _round(self, booking_key: int, claim_id: UUID, by: str) -> Outcome | None:
        """Look once and act once; None: there is more to do."""
        now = self.clock()
        async with self._holding(booking_key, claim_id) as (connection, standing):
            if correlation_id() is None and standing.correlation_id is not None:
                # nobody asked just now: it goes on under the id of whoever told of it last
                structlog.contextvars.bind_contextvars(correlation_id=standing.correlation_id)
            judged = judge(standing.booking, await self._mapping(connection), self.connector.rules, now)
            target = aim(judged, standing.orders, asked=standing.asked, unsure=standing.unsure)
            if isinstance(target, Rest):
                return await self._rest(connection, standing, claim_id, target, by)
            target = await self._planned(connection, standing, target, by)
        found = await self._find(target.plan)
        step = decide.decide(
            target,
            found,
            rules=self.connector.rules,
            now=self.clock(),
            settle=self.connector.settle,
            put_off=standing.attempts,
        )
        end = resting(step)
        if end is None and self.connector.dry_run and isinstance(step, Submit | Replace | Void):
            end = End(status=Status.SKIPPED, reason="DRY_RUN")
        if end is not None:
            return await self._finish(booking_key, claim_id, end, by, target, step)
        return await self._act(booking_key, claim_id, target, step, by)

    async def _act(self, booking_key: int, claim_id: UUID, target: Look, step: decide.Step, by: str) -> Outcome | None:
        match step:
            case Submit() | Replace():
                return await self._send(booking_key, claim_id, target, step, by)
            case Void(orders):
                return await self._void(booking_key, claim_id, target, orders, by)
            case Adopt():
                return await self._adopt(booking_key, claim_id, target, step, by)
            case _:
                # proven not to be there
                async with self._holding(booking_key, claim_id) as (connection, _):
                    await self._step(connection, target.order, State.PLANNED, by, reason="NOT_THERE")
                return None

    async def _rest(self, connection: Connection, standing: Standing, claim_id: UUID, rest: Rest, by: str) -> Outcome:
        if rest.wait is not None:
            not_before = rest.due_at if rest.wait is State.DEFERRED else None
            await ledger.wait_as(
                connection,
                standing,
                rest.order_hash,
                rest.wait,
                by,
                reason=rest.reason,
                error=rest.error,
                plan=rest.plan,
                not_before=not_before,
            )
        elif rest.drop:
            await ledger.drop_waiting(connection, standing, rest.reason, by)
        elif rest.settles and rest.order is not None:
            await ledger.supersede(connection, standing, rest.order, by)
        return await self._release(connection, standing, claim_id, end_of(rest))

    async def _planned(self, connection: Connection, standing: Standing, target: Look, by: str) -> Look:
        """Have a row for what is looked for; one that is there or in doubt stays what it is."""
        row = target.order
        if target.void or (row is not None and row.state in IN_DOUBT | {State.CONFIRMED, State.PLANNED, State.BLOCKED}):
            if row is not None and row.state in {State.PLANNED, State.BLOCKED} and not target.void:
                row = await ledger.wait_as(
                    connection, standing, row.order_hash, row.state, by, reason=row.reason, plan=target.plan
                )
            return replace(target, order=row)
        made = await ledger.wait_as(connection, standing, target.plan.order_hash, State.PLANNED, by, plan=target.plan)
        return replace(target, order=made)

    async def _find(self, plan: Plan) -> list[SinkOrder] | None:
        """Ask the sink for the orders of a name; None when it gives no answer that can be relied on."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self.connector.sink.find(plan.local_id, plan.uuid, plan.establishment)
        except (UpstreamError, TimeoutError, OutcomeUnknownError) as error:
            log.warning(
                "connector_find_failed", connector=self.connector.name, local_id=plan.local_id, error=str(error)
            )
        except Exception:
            log.exception("connector_find_failed", connector=self.connector.name, local_id=plan.local_id)
        return None

    # effects in the sink

    async def _send(
        self, booking_key: int, claim_id: UUID, target: Look, step: Submit | Replace, by: str
    ) -> Outcome | None:
        async with self._holding(booking_key, claim_id) as (connection, standing):
            row = target.order
            if row is not None and row.state in {State.CONFIRMED, State.BLOCKED}:
                row = await self._reopened(connection, standing, row, by)
            attempts = await self._step(connection, row, State.SUBMITTING, by)
            await ledger.mark_unsure(connection, standing, unsure=True)
        sent = replace(_there(row), state=State.SUBMITTING, attempts=attempts)
        target = replace(target, order=sent)
        try:
            async with asyncio.timeout(self._limit_s):
                if isinstance(step, Replace):
                    made = await self.connector.sink.replace(step.order, target.plan)
                else:
                    made = await self.connector.sink.submit(target.plan)
        except RefusedError as error:
            end = End(status=Status.FAILED, reason="ORDER_REFUSED", error=str(error), sure=not standing.unsure)
            return await self._finish(booking_key, claim_id, end, by, target, step)
        except UpstreamError as error:
            wait = max(decide.pause(attempts - 1), timedelta(seconds=error.retry_after_s or 0))
            until = self.clock() + wait
            end = End(
                status=Status.PENDING, reason="UPSTREAM_UNAVAILABLE", error=str(error), due_at=until, put_off=True
            )
            return await self._finish(booking_key, claim_id, end, by, target, Wait(State.PLANNED, end.reason, until))
        except Exception as error:
            # whatever else went wrong: it may have arrived
            if not isinstance(error, OutcomeUnknownError | TimeoutError):
                log.exception("connector_send_failed", connector=self.connector.name, local_id=target.plan.local_id)
            until = self.clock() + _FEW
            sentence = str(error) or "No answer came in time."
            end = End(status=Status.PENDING, reason="OUTCOME_UNKNOWN", error=sentence, due_at=until, put_off=True)
            return await self._finish(booking_key, claim_id, end, by, target, Wait(State.UNKNOWN, end.reason, until))
        changed = isinstance(step, Replace)
        end = End(
            status=Status.UPDATED if changed else Status.INJECTED,
            reason=UPDATED if changed else self.connector.injected,
            order_id=made.order_id,
        )
        return await self._finish(booking_key, claim_id, end, by, target, Adopt(made, ours=True))

    async def _adopt(self, booking_key: int, claim_id: UUID, target: Look, step: Adopt, by: str) -> Outcome:
        for extra in step.surplus:
            if not self.connector.dry_run:
                await self._void_surplus(extra)
        ours = step.ours
        end = End(
            status=Status.INJECTED if ours else Status.SKIPPED,
            reason=self.connector.injected if ours else "ALREADY_INJECTED",
            order_id=step.order.order_id,
            due_at=self.clock() if target.more else None,
        )
        return await self._finish(booking_key, claim_id, end, by, target, step)

    async def _void_surplus(self, order: SinkOrder) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                await self.connector.sink.void(order, "There is another order of the same booking.")
            log.warning("connector_surplus_voided", connector=self.connector.name, order_id=order.order_id)
        except (RefusedError, UpstreamError, OutcomeUnknownError, TimeoutError) as error:
            # the next reconciliation finds it
            log.warning("connector_surplus_stays", order_id=order.order_id, error=str(error))

    async def _void(
        self, booking_key: int, claim_id: UUID, target: Look, orders: tuple[SinkOrder, ...], by: str
    ) -> Outcome:
        step = Gone()
        try:
            for order in orders:
                async with asyncio.timeout(self._limit_s):
                    await self.connector.sink.void(order, "The booking was cancelled.")
        except RefusedError as error:
            flag = Flag("VOID_REFUSED", str(error), orders[0])
            end = End(status=Status.FAILED, reason=flag.reason, error=flag.sentence, order_id=orders[0].order_id)
            return await self._finish(booking_key, claim_id, end, by, target, flag)
        except (UpstreamError, OutcomeUnknownError, TimeoutError) as error:
            # what is void stays void: doing it twice does no harm
            until = self.clock() + decide.pause(2)
            in_doubt = target.order is not None and target.order.state in IN_DOUBT
            state = State.UNKNOWN if in_doubt else State.BLOCKED
            end = End(
                status=Status.PENDING, reason="UPSTREAM_UNAVAILABLE", error=str(error), due_at=until, put_off=True
            )
            return await self._finish(booking_key, claim_id, end, by, target, Wait(state, end.reason, until))
        end = End(status=Status.VOIDED, reason=VOIDED, order_id=orders[0].order_id)
        return await self._finish(booking_key, claim_id, end, by, target, step)

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
        done = await ledger.step(connection, _there(row), state, by, now=self.clock(), reason=reason, error=error)
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
        await ledger.tell_order(
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

    @property
    def _limit_s(self) -> float:
        # what is sent must have ended, one way or the other, while the claim still holds
        return self.connector.lease.total_seconds() * 0.7


def _there(row: Order | None) -> Order:
    if row is None:
        msg = "an order that is acted on has a row"
        raise RuntimeError(msg)
    return row
