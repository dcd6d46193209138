"""Reconciliation: reads the source and the sink, tells what differs, and mends it; one booking, some hours, or by schedule.

The end of the window is fixed before anything is read, and written down as read only when all of it was: what changes
meanwhile is in the next window, which begins a look-back before that end. A booking that no list has is believed to be gone
only after the whole window was read and the source, asked for it, says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import structlog

from mainstem.connectors import items, ledger, mails, runs
from mainstem.connectors.aim import Rest, Status, aim
from mainstem.connectors.connector import Connector
from mainstem.connectors.documents import merged
from mainstem.connectors.flow import Flow
from mainstem.connectors.outcome import Outcome
from mainstem.connectors.plan import LinesUnknown, judge, local_id, refusal
from mainstem.connectors.ports import Booking, NotThereError, SinkOrder, State, UpstreamError
from mainstem.connectors.reconcile import Difference, Known, diff
from mainstem.connectors.run_events import count, event, event_of, failed_event, interrupted
from mainstem.connectors.runs import Report
from mainstem.connectors.standing import Standing
from mainstem.platform.clock import utc_now
from mainstem.platform.db import borrow, transaction
from mainstem.platform.log import correlation

Mode = Literal["single", "bulk", "scheduled"]
_DAY: Final = timedelta(days=1)
_MOST_EVENTS: Final = 1_000
_HEARTBEAT_S: Final = 30.0
log = structlog.get_logger(__name__)


Progress = Callable[[int, int | None, str], None]
"""Takes how many are done, of how many (None: nobody knows yet), and of what."""


class OverlapError(Exception):
    """Another run of this connector is under way."""


class Sync:
    """Reconciles one connector."""

    def __init__(self, flow: Flow, progress: Progress | None = None) -> None:
        """Keep the parts."""
        self.flow = flow
        self._progress = progress or _nobody

    @property
    def connector(self) -> Connector:
        """Return the connector."""
        return self.flow.connector

    async def single(self, booking_id: str, *, dry_run: bool, by: str) -> Report:
        """Read one booking from the source and bring its order to where it should be."""
        with correlation("sync") as correlation_id:
            report = await self._begin("single", correlation_id, None, None, dry_run=dry_run, by=by)
            try:
                event = await self._single(booking_id, dry_run=report.dry_run, by=by)
            except NotThereError:
                event = failed_event(booking_id, "NO_EVENT_DATA", "The source does not know this booking.")
                report.error = event["error"]
            except UpstreamError as error:
                event = failed_event(booking_id, "UPSTREAM_UNAVAILABLE", str(error))
                report.error = str(error)
            count(report, event)
            return await self._finish(report)

    async def bulk(self, since: datetime, until: datetime, *, dry_run: bool, by: str, mode: Mode = "bulk") -> Report:
        """Reconcile a window. Raises OverlapError while another run of the connector is under way, in any process."""
        kind: Literal["sync", "scheduled"] = "scheduled" if mode == "scheduled" else "sync"
        with correlation(kind) as correlation_id:
            async with (
                borrow(self.flow.pool) as connection,
                runs.leading(connection, self.flow.tenant_id, self.connector.name) as ours,
            ):
                if not ours:
                    raise OverlapError
                beat = asyncio.create_task(_beat(connection), name="connector heartbeat")
                try:
                    async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as own:
                        await runs.abandon(own, self.flow.tenant_id, self.connector.name)
                    report = await self._begin(mode, correlation_id, since, until, dry_run=dry_run, by=by)
                    return await self._closing(report, self._bulk(report, since, until, by))
                finally:
                    beat.cancel()
                    await asyncio.gather(beat, return_exceptions=True)

    async def _begin(  # noqa: PLR0913 - the columns of a run
        self, mode: Mode, correlation_id: str, since: datetime | None, until: datetime | None, *, dry_run: bool, by: str
    ) -> Report:
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            report = await runs.begin(
                connection,
                self.flow.tenant_id,
                self.connector.name,
                mode=mode,
                dry_run=dry_run or self.connector.dry_run,
                correlation_id=correlation_id.strip("[]"),
                since=since,
                until=until,
                now=utc_now(),
                by=by,
            )
        log.info("connector_run_begins", connector=self.connector.name, mode=mode, run_id=report.run_id)
        return report

    async def _closing(self, report: Report, doing: Awaitable[Report]) -> Report:
        """Do a run; one that breaks off says so in its row, as far as the database can be reached."""
        try:
            return await doing
        except Exception as error:
            report.error = f"It broke off: {type(error).__name__}; see the log."
            with suppress(Exception):
                await self._finish(report)
            raise

    async def _finish(self, report: Report) -> Report:
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            await runs.finish(connection, self.flow.tenant_id, report, utc_now())
            outbox = self.flow.outbox
            if outbox is not None and report.mode != "single" and (report.differences or report.error):
                told = [(one.kind.value, one.sentence, done) for one, done in report.differences]
                facts = {**report.summary, "run_id": report.run_id, "correlation_id": f"[{report.correlation_id}]"}
                subject, text = mails.differences(self.connector.title, {**facts, "error": report.error}, told)
                receivers = self.connector.mail_to or outbox.operators
                await outbox.put(connection, self.flow.tenant_id, receivers, subject, text, ref=f"run:{report.run_id}")
        log.info(
            "connector_run_ended",
            connector=self.connector.name,
            run_id=report.run_id,
            success=report.success,
            error=report.error,
            differences=len(report.differences),
            **report.summary,
        )
        return report

    # one booking

    async def _single(self, booking_id: str, *, dry_run: bool, by: str) -> dict[str, Any]:
        asked_at = self.flow.clock()
        booking = await self.connector.source.booking(booking_id)
        refused = refusal(booking, self.connector.rules)
        if refused is not None:
            return event(booking, Status.SKIPPED, refused.reason)
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            key = await ledger.find_key(connection, self.flow.tenant_id, self.connector, booking.booking_id)
            known = None if key is None else await ledger.one(connection, key)
        if dry_run:
            return event_of(await self.flow.preview(booking if known is None else merged(booking, known.booking), key))
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            taken = await self.flow.take(connection, booking, seen_at=asked_at, ask=True)
        return event_of(await self._advanced(taken.booking_key, booking, by))

    async def _advanced(self, booking_key: int, booking: Booking, by: str) -> Outcome:
        outcome = await self.flow.advance(booking_key, by=by)
        if outcome is not None:
            return outcome
        return Outcome(
            booking_id=booking.booking_id,
            name=booking.name,
            on=booking.on,
            status=Status.PENDING,
            reason="ACCEPTED",
            error="It is being worked on by another process.",
        )

    # a window

    async def _bulk(self, report: Report, since: datetime, until: datetime, by: str) -> Report:
        try:
            read = await self._read(report, since, until)
            orders = await self._orders(report, since, until)
            known = await self._known(report, since, until, read)
        except UpstreamError as error:
            # a part was read: nothing may be concluded from what is not in it
            report.error = str(error)
            return await self._finish(report)
        found = await self._differences(known, orders)
        outcomes: dict[str, Outcome] = {}
        if not report.dry_run:
            outcomes = await self._mend(read, found, by)
        report.differences = [(one, _became(outcomes.get(one.booking_id or ""))) for one in found]
        await self._tell(report, read, known, outcomes, found)
        if not report.dry_run and report.mode == "scheduled":
            async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
                await runs.has_read(connection, self.flow.tenant_id, self.connector.name, until)
        return await self._finish(report)

    async def _read(self, report: Report, since: datetime, until: datetime) -> dict[str, Booking]:
        """Read the window whole and keep what it says; return the bookings by id. Raises UpstreamError."""
        read: dict[str, Booking] = {}
        asked_at = self.flow.clock()
        async for page in self.connector.source.changed(since, until):
            wanted = await self._completed([one for one in page if refusal(one, self.connector.rules) is None])
            report.bookings_read += len(page)
            self._progress(report.bookings_read, None, "reading bookings")
            report.bookings_refused += len(page) - len(wanted)
            read.update((one.booking_id, one) for one in wanted)
            if report.dry_run:
                report.bookings_taken += len(wanted)
            else:
                report.bookings_taken += await self._take(wanted, asked_at)
            asked_at = self.flow.clock()
        return read

    async def _completed(self, bookings: Sequence[Booking]) -> list[Booking]:
        """Return bookings with their items, where a list does not tell them and they are not known, or cost something else now.

        Where the source does not tell, or gives no answer, the list's word stands: that a booking is there can be told.
        """
        rules, now = self.connector.rules, self.flow.clock()
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            ids = [one.booking_id for one in bookings]
            known = await ledger.with_lines(connection, self.flow.tenant_id, self.connector, ids)
        places = asyncio.Semaphore(self.connector.concurrency)

        async def completed(one: Booking) -> Booking:
            is_known = one.booking_id in known and one.total in {None, known[one.booking_id]}
            if one.lines is not None or is_known or not isinstance(judge(one, {}, rules, now), LinesUnknown):
                return one
            async with places:
                try:
                    whole = await self.connector.source.booking(one.booking_id)
                except (NotThereError, UpstreamError) as error:
                    log.warning("connector_items_unknown", booking_id=one.booking_id, error=str(error))
                    return one
            return whole if refusal(whole, rules) is None else one

        return list(await asyncio.gather(*(completed(one) for one in bookings)))

    async def _take(self, bookings: Sequence[Booking], asked_at: datetime, *, ask: bool = False) -> int:
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id, timeout_s=30.0) as connection:
            # always in one order, so that two that take the same ones don't wait for each other in a circle
            for booking in sorted(bookings, key=lambda one: one.booking_id):
                await self.flow.take(connection, booking, seen_at=asked_at, ask=ask)
        return len(bookings)

    async def _orders(self, report: Report, since: datetime, until: datetime) -> list[SinkOrder]:
        """Read the sink's orders of the window whole. Raises UpstreamError."""
        found: dict[str, SinkOrder] = {}
        # days of the sink are those of its own clock
        first, last = _days(since, until)
        first, last = first - _DAY, last + _DAY
        async for page in self.connector.sink.orders(self.connector.rules.establishment, first, last):
            found.update((one.order_id, one) for one in page)
            self._progress(len(found), None, "reading orders")
        report.orders_read = len(found)
        return list(found.values())

    async def _known(
        self, report: Report, since: datetime, until: datetime, read: dict[str, Booking]
    ) -> list[Standing]:
        """Return all that is known of the window's days, after looking for bookings that are gone."""
        first, last = _days(since, until)
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            known = await ledger.of_days(connection, self.flow.tenant_id, self.connector, first, last)
        gone = [one for one in known if one.booking.booking_id not in read and _may_be_gone(one)]
        deleted: dict[str, Booking] = {}
        for one in gone:
            asked_at = self.flow.clock()
            try:
                now_is = await self.connector.source.booking(one.booking.booking_id)
            except NotThereError:
                now_is = replace(one.booking, deleted=True)
                deleted[one.booking.booking_id] = now_is
            if not report.dry_run:
                await self._take([now_is], asked_at)
        if report.dry_run:
            known = [replace(one, booking=deleted.get(one.booking.booking_id, _reread(one, read))) for one in known]
            seen = {one.booking.booking_id for one in known}
            new = [
                one for key, one in read.items() if key not in seen and one.on is not None and first <= one.on <= last
            ]
            known += [_standing(one) for one in new]
        else:
            async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
                known = await ledger.of_days(connection, self.flow.tenant_id, self.connector, first, last)
        return known

    async def _differences(self, known: Sequence[Standing], orders: Sequence[SinkOrder]) -> list[Difference]:
        rules, now = self.connector.rules, self.flow.clock()
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            mapping = await items.item_map(connection, self.flow.tenant_id, self.connector.name, rules.establishment)
            mine = {local_id(one.booking.booking_id, rules) for one in known}
            others = {one.local_id for one in orders} - mine
            # an order of a booking of another day is no stranger
            elsewhere = await ledger.by_local_ids(connection, self.flow.tenant_id, self.connector, sorted(others))
        bookings = [
            Known(
                booking_id=one.booking.booking_id,
                local_id=local_id(one.booking.booking_id, rules),
                name=one.booking.name,
                judged=judge(one.booking, mapping, rules, now),
                orders=one.orders,
                unsure=one.unsure,
            )
            for one in known
        ]
        return diff(bookings, [one for one in orders if one.local_id not in elsewhere])

    async def _mend(self, read: dict[str, Booking], found: Sequence[Difference], by: str) -> dict[str, Outcome]:
        """Work on every booking that was read or differs; return what became of each."""
        wanted = {one.booking_id for one in found if one.mends and one.booking_id is not None}
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            keys = await ledger.ask_again(
                connection, self.flow.tenant_id, self.connector, sorted(wanted), self.flow.clock()
            )
            for booking_id in read:
                if booking_id not in keys:
                    key = await ledger.find_key(connection, self.flow.tenant_id, self.connector, booking_id)
                    if key is not None:
                        keys[booking_id] = key
        outcomes: dict[str, Outcome] = {}
        done = 0
        places = asyncio.Semaphore(self.connector.concurrency)

        async def one(booking_id: str, booking_key: int) -> None:
            async with places:
                try:
                    outcome = await self.flow.advance(booking_key, by=by)
                except Exception:
                    # one booking that goes wrong stops no other; it was given back, and is due again
                    log.exception("connector_booking_failed", booking_id=booking_id)
                    outcome = interrupted(booking_id, read.get(booking_id))
            if outcome is not None:
                outcomes[booking_id] = outcome
            nonlocal done
            done += 1
            self._progress(done, len(keys), "bringing orders to where they should be")

        async with asyncio.TaskGroup() as group:
            for booking_id, booking_key in keys.items():
                group.create_task(one(booking_id, booking_key))
        return outcomes

    async def _tell(
        self,
        report: Report,
        read: dict[str, Booking],
        known: Sequence[Standing],
        outcomes: dict[str, Outcome],
        found: Sequence[Difference],
    ) -> None:
        """Fill the report: one event for each booking that was read or worked on."""
        differing = {one.booking_id: one for one in found}
        names = {one.booking.booking_id: one for one in known}
        for booking_id in {**read, **outcomes}:
            outcome = outcomes.get(booking_id)
            if outcome is not None:
                count(report, event_of(outcome))
            elif report.dry_run and booking_id in names:
                count(report, event_of(await self._previewed(names[booking_id], differing.get(booking_id))))
            else:
                booking = read.get(booking_id) or names[booking_id].booking
                count(report, event(booking, Status.PENDING, "ACCEPTED"))
        del report.events[_MOST_EVENTS:]

    async def _previewed(self, standing: Standing, differing: Difference | None) -> Outcome:
        """Return what a dry run says of a booking, by what was read: the sink is not asked for each again."""
        rules, booking = self.connector.rules, standing.booking
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            mapping = await items.item_map(connection, self.flow.tenant_id, self.connector.name, rules.establishment)
        target = aim(
            judge(booking, mapping, rules, self.flow.clock()), standing.orders, asked=False, unsure=standing.unsure
        )
        status, reason, error = Status.SKIPPED, "ALREADY_INJECTED", None
        if isinstance(target, Rest):
            status, reason, error = target.status, target.reason, target.error
        if differing is not None and reason == "ALREADY_INJECTED":
            reason = "DRY_RUN"
        return Outcome(
            booking_id=booking.booking_id, name=booking.name, on=booking.on, status=status, reason=reason, error=error
        )


def _became(outcome: Outcome | None) -> str | None:
    return None if outcome is None else f"{outcome.status.value}: {outcome.reason}"


def _may_be_gone(one: Standing) -> bool:
    return not one.booking.deleted and any(
        order.state not in {State.SUPERSEDED, State.VOIDED, State.FAILED} for order in one.orders
    )


def _days(since: datetime, until: datetime) -> tuple[date, date]:
    """Return the days that are days of a window anywhere on earth."""
    return (since - timedelta(hours=12)).date(), (until + timedelta(hours=14)).date()


def _reread(one: Standing, read: dict[str, Booking]) -> Booking:
    fresh = read.get(one.booking.booking_id)
    return one.booking if fresh is None else merged(fresh, one.booking)


def _standing(booking: Booking) -> Standing:
    return Standing(booking_key=0, booking=booking, version=0, touched=0, asked=False, attempts=0, orders=())


def _nobody(_done: int, _total: int | None, _what: str) -> None:
    pass


async def _beat(connection: Any) -> None:  # noqa: ANN401 - a connection of the pool
    """Keep the session of the lock from being taken for frozen."""
    while True:
        await asyncio.sleep(_HEARTBEAT_S)
        await connection.execute("select 1")
