"""Brings the order of a booking to where it should be: looks, decides by `decide`, acts, writes down. Crash-safe at every point.

Whatever is sent to the sink is announced in the ledger before (`submitting`, committed), so that a process that dies leaves a
row that the next one knows to be in doubt. No transaction is open while a source or a sink is spoken to.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from mainstem.connectors import decide, ledger
from mainstem.connectors.aim import Look, Rest, Status, aim
from mainstem.connectors.decide import Adopt, Replace, Submit, Void
from mainstem.connectors.outcome import End, Outcome, end_of, outcome_of, resting
from mainstem.connectors.people import identifiers_in
from mainstem.connectors.plan import judge
from mainstem.connectors.ports import Booking, State
from mainstem.connectors.sending import Sender
from mainstem.connectors.standing import IN_DOUBT, Standing
from mainstem.connectors.writing import LostClaimError
from mainstem.pii.store import lookups_of
from mainstem.platform.db import Connection
from mainstem.platform.log import correlation_id

_MOST_ROUNDS: Final = 6


class Flow(Sender):
    """Works on the bookings of one connector."""

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
