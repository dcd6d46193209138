"""Reconciliation: reads the source and the sink, tells what differs, and mends it; one booking, some hours, or by schedule.

The end of the window is fixed before anything is read, and written down as read only when all of it was: what changes
meanwhile is in the next window, which begins a look-back before that end. A booking that no list has is believed to be gone
only after the whole window was read and the source, asked for it, says so.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog

from mainstem.connectors import items, ledger, mails, runs
from mainstem.connectors.aim import Rest, Status, aim
from mainstem.connectors.connector import Connector
from mainstem.connectors.documents import merged
from mainstem.connectors.flow import Flow
from mainstem.connectors.outcome import Outcome
from mainstem.connectors.plan import judge, local_id, refusal
from mainstem.connectors.ports import Booking, NotThereError, SinkOrder, UpstreamError
from mainstem.connectors.reconcile import Difference, Known, diff
from mainstem.connectors.run_events import count, event, event_of, failed_event, interrupted
from mainstem.connectors.runs import Report
from mainstem.connectors.standing import Standing
from mainstem.connectors.window import Progress, Window
from mainstem.platform.clock import utc_now
from mainstem.platform.db import borrow, transaction
from mainstem.platform.log import correlation

Mode = Literal["single", "bulk", "scheduled"]
_DAY: Final = timedelta(days=1)
_MOST_EVENTS: Final = 1_000
_HEARTBEAT_S: Final = 30.0
log = structlog.get_logger(__name__)


class OverlapError(Exception):
    """Another run of this connector is under way."""


class Sync:
    """Reconciles one connector."""

    def __init__(self, flow: Flow, progress: Progress | None = None) -> None:
        """Keep the parts."""
        self.flow = flow
        self._progress = progress or _nobody
        self._window = Window(flow, self._progress)

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
            read = await self._window.read(report, since, until)
            orders = await self._window.orders(report, since, until)
            known = await self._window.known(report, since, until, read)
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


def _nobody(_done: int, _total: int | None, _what: str) -> None:
    pass


async def _beat(connection: Any) -> None:  # noqa: ANN401 - a connection of the pool
    """Keep the session of the lock from being taken for frozen."""
    while True:
        await asyncio.sleep(_HEARTBEAT_S)
        await connection.execute("select 1")
