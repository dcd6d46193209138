"""Deliveries of a source: stored first, then worked on for as long as the sender may wait, and on after that.

A delivery is answered with 200 once it is durable, whatever comes of it, for a sender that is answered otherwise sends the same
again and in the end gives up. 400 says that the signature does not hold, 404 that the source itself does not know the booking,
500 that the delivery could not be stored.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import structlog

from mainstem.connectors import deliveries
from mainstem.connectors.aim import Status
from mainstem.connectors.connector import Notice, Signature
from mainstem.connectors.decide import pause
from mainstem.connectors.deliveries import Delivery, Done
from mainstem.connectors.flow import Flow
from mainstem.connectors.outcome import Outcome
from mainstem.connectors.plan import Reason, refusal
from mainstem.connectors.ports import NotThereError, UpstreamError
from mainstem.connectors.readings import Readings
from mainstem.connectors.refused import Refusals
from mainstem.pii.box import Keyring, PiiKeyError
from mainstem.platform.db import Connection, transaction
from mainstem.platform.log import correlation_id

ACCEPTED: Final = "ACCEPTED"
"""It is stored, and worked on after the answer."""
_NOT_THERE: Final = "The source does not know this booking."
_LONGEST_NAME: Final = 100
_MOST_NAMES: Final = 64
_GIVEN_UP_AFTER: Final = 200
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told."""

    status: int
    body: Mapping[str, Any]


class Inbox:
    """Takes the deliveries of one connector; one in each process that serves, and in each that works."""

    def __init__(self, flow: Flow, keyring: Keyring) -> None:
        """Keep the parts."""
        self.flow = flow
        self._keyring = keyring
        self._refusals = Refusals(flow)
        self._readings = Readings(flow)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Store a delivery and work on it; return what the sender is told, after the connector's budget at the latest.

        `headers` by lower-case name. Raises what the database raises when the delivery could not be stored.
        """
        connector = self.flow.connector
        now = self.flow.clock()
        signature = connector.verify(headers, body, now)
        given = Delivery(
            tenant_id=self.flow.tenant_id,
            connector=connector.name,
            received_at=now,
            header_names=[name[:_LONGEST_NAME] for name in headers][:_MOST_NAMES],
            body=body,
            correlation_id=correlation_id(),
        )
        if not connector.enabled:
            return await self._turned_off(given, signature)
        if signature is not Signature.VALID:
            return await self._refuse(given, signature)
        claim_id = uuid4()
        # sealing is quick, but not for nothing: it is done before the transaction
        sealed = deliveries.seal(self._keyring, body)
        async with self._transaction() as connection:
            delivery_id = await deliveries.store(connection, given, sealed, claim_id, connector.lease)
            again = delivery_id is None
            if delivery_id is None:
                first = await deliveries.first(connection, given)
                if first is not None and await self._readings.says_more(connection, first, body):
                    delivery_id = await deliveries.store_again(
                        connection, given, sealed, claim_id, connector.lease, repeats=first["delivery_id"]
                    )
                if delivery_id is None:
                    repetition = await self._repetition(connection, given, first)
        if delivery_id is None:
            await self._refusals.added()
            return repetition
        # the task has the context of the request, and with it the id in each line of its log
        task = asyncio.create_task(self._process(delivery_id, claim_id, body, now, again=again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait([task], timeout=connector.budget_s)
        if task in done and task.exception() is None:
            found = task.result()
            if found is not None:
                return _answer(found, delivery_id)
        return _answer(Done(outcome=ACCEPTED, ok=True, processed=False), delivery_id)

    async def work_due(self, most: int = 16) -> int:
        """Work on deliveries that a process has left behind or that had to wait; return how many there were."""
        claim_id, connector = uuid4(), self.flow.connector
        async with self._transaction() as connection:
            rows = await deliveries.claim(
                connection,
                self.flow.tenant_id,
                connector.name,
                claim_id,
                lease=connector.lease,
                now=self.flow.clock(),
                most=most,
            )
        for row in rows:
            with structlog.contextvars.bound_contextvars(correlation_id=row["correlation_id"]):
                await self._again(row, claim_id)
        return len(rows)

    async def finish(self, timeout_s: float = 10.0) -> None:
        """Wait for what is under way; what takes longer is left to the next process."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # storing

    async def _refuse(self, given: Delivery, signature: Signature) -> Answer:
        done = Done(outcome=signature.reason, ok=False, processed=False)
        delivery_id = await self._refusals.keep(given, signature, done)
        log.warning("connector_signature", connector=given.connector, reason=signature.reason, delivery_id=delivery_id)
        return _answer(done, delivery_id, status=400)

    async def _turned_off(self, given: Delivery, signature: Signature) -> Answer:
        """Answer while the connector is switched off; what is signed is noted all the same."""
        done = Done(outcome="CONNECTOR_DISABLED", ok=True, processed=False)
        if signature is not Signature.VALID:
            return _answer(done, None)
        async with self._transaction() as connection:
            first = await deliveries.first(connection, given)
            repeats = None if first is None else first["delivery_id"]
            return _answer(done, await deliveries.store_done(connection, given, signature, done, repeats=repeats))

    async def _repetition(self, connection: Connection, given: Delivery, first: asyncpg.Record | None) -> Answer:
        known = {} if first is None else {name: first[name] for name in ("trigger", "booking_id", "order_id")}
        done = Done(outcome="DUPLICATE_DELIVERY", ok=True, processed=False, **known)
        repeats = None if first is None else first["delivery_id"]
        delivery_id = await deliveries.store_done(connection, given, Signature.VALID, done, repeats=repeats)
        return _answer(done, delivery_id)

    # working

    async def _again(self, row: asyncpg.Record, claim_id: UUID) -> None:
        delivery_id, attempts = row["delivery_id"], row["attempts"]
        try:
            body = deliveries.unseal(self._keyring, row["body"])
        except PiiKeyError as error:
            await self._put_off(delivery_id, claim_id, attempts, error.detail)
            return
        await self._process(delivery_id, claim_id, body, row["received_at"], attempts=attempts, again=row["again"])

    async def _process(  # noqa: PLR0913 - a claimed delivery
        self,
        delivery_id: int,
        claim_id: UUID,
        body: bytes,
        received_at: datetime,
        *,
        attempts: int = 1,
        again: bool = False,
    ) -> Done | None:
        """Work on a claimed delivery; return what became of it, None when it goes on later.

        `again`: its body came before, or somebody wants it worked on again, so that what it says may be over.
        """
        try:
            notice = self.flow.connector.read(body)
            done = await self._done(notice, received_at, again=again)
        except UpstreamError as error:
            await self._put_off(delivery_id, claim_id, attempts, str(error))
            return Done(outcome="UPSTREAM_UNAVAILABLE", ok=True, processed=False, error=str(error))
        except Exception as error:
            log.exception("connector_delivery_failed", delivery_id=delivery_id)
            await self._put_off(delivery_id, claim_id, attempts, type(error).__name__)
            return None
        async with self._transaction() as connection:
            await deliveries.finish(connection, delivery_id, claim_id, done, self.flow.clock())
        log.info(
            "connector_delivery",
            connector=self.flow.connector.name,
            delivery_id=delivery_id,
            trigger=done.trigger,
            booking_id=done.booking_id,
            order_id=done.order_id,
            reason=done.outcome,
        )
        return done

    async def _put_off(self, delivery_id: int, claim_id: UUID, attempts: int, error: str) -> None:
        async with self._transaction() as connection:
            if attempts >= _GIVEN_UP_AFTER:
                done = Done(outcome="UPSTREAM_UNAVAILABLE", ok=False, processed=False, error=error)
                await deliveries.finish(connection, delivery_id, claim_id, done, self.flow.clock())
            else:
                until = self.flow.clock() + pause(attempts - 1)
                await deliveries.put_off(connection, delivery_id, claim_id, until, error)

    async def _done(self, notice: Notice, received_at: datetime, *, again: bool) -> Done:
        """Take in what a delivery says and have the orders looked at. Raises UpstreamError when the source must be asked first."""
        trigger, first = notice.trigger, next(iter(notice.booking_ids), None)
        if notice.reason is not None:
            return Done(outcome=notice.reason, ok=True, processed=False, trigger=trigger, booking_id=first)
        done: Done | None = None
        for booking_id in notice.booking_ids:
            one = await self._one(notice, booking_id, received_at, again=again)
            # of several the first that went wrong is told
            if done is None or (done.ok and not one.ok):
                done = one
        return done or Done(outcome=Reason.NO_EVENT_ID, ok=True, processed=False, trigger=trigger)

    async def _one(self, notice: Notice, booking_id: str, received_at: datetime, *, again: bool) -> Done:
        told = {"trigger": notice.trigger, "booking_id": booking_id}
        try:
            booking, seen_at = await self._readings.booking(notice, booking_id, received_at, again=again)
        except NotThereError:
            return Done(outcome=Reason.NO_EVENT_DATA, ok=False, processed=False, error=_NOT_THERE, **told)
        refused = refusal(booking, self.flow.connector.rules)
        if refused is not None:
            return Done(outcome=refused.reason, ok=True, processed=False, **told)
        async with self._transaction() as connection:
            taken = await self.flow.take(connection, booking, seen_at=seen_at)
        outcome = await self.flow.advance(taken.booking_key, by="webhook")
        if outcome is None:
            # another delivery of the same booking is being worked on, and that worker knows of this one
            return Done(outcome=ACCEPTED, ok=True, processed=False, **told)
        return _done_of(outcome, notice.trigger)

    def _transaction(self) -> AbstractAsyncContextManager[Connection]:
        return transaction(self.flow.pool, tenant_id=self.flow.tenant_id)


def _done_of(outcome: Outcome, trigger: str | None) -> Done:
    return Done(
        outcome=outcome.reason,
        ok=outcome.status is not Status.FAILED,
        processed=outcome.status in {Status.INJECTED, Status.UPDATED, Status.VOIDED},
        trigger=trigger,
        booking_id=outcome.booking_id,
        order_id=outcome.order_id,
        error=outcome.error,
    )


def _answer(done: Done, delivery_id: int | None, *, status: int = 200) -> Answer:
    body: dict[str, Any] = {
        "ok": done.ok,
        "processed": done.processed,
        "reason": done.outcome,
        "trigger": done.trigger,
        "delivery_id": delivery_id,
    }
    if done.booking_id is not None:
        body["event_id"] = done.booking_id
    if done.order_id is not None:
        # two names of one: callers of old know it by the first, those of other sinks by the second
        body["revel_order_id"] = body["order_id"] = done.order_id
    if done.error is not None:
        body["error"] = done.error
    return Answer(404 if done.error == _NOT_THERE else status, body)
