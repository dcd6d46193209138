"""What a run reads: all bookings and orders of a window, or nothing that anything may be concluded from."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from mainstem.connectors import ledger
from mainstem.connectors.connector import Connector
from mainstem.connectors.documents import merged
from mainstem.connectors.flow import Flow
from mainstem.connectors.plan import LinesUnknown, judge, refusal
from mainstem.connectors.ports import Booking, NotThereError, SinkOrder, State, UpstreamError
from mainstem.connectors.runs import Report
from mainstem.connectors.standing import Standing
from mainstem.platform.db import transaction

Progress = Callable[[int, int | None, str], None]
"""Takes how many are done, of how many (None: nobody knows yet), and of what."""
_DAY: Final = timedelta(days=1)
log = structlog.get_logger(__name__)


class Window:
    """Reads for one connector."""

    def __init__(self, flow: Flow, progress: Progress) -> None:
        """Keep the parts."""
        self._flow = flow
        self._progress = progress

    @property
    def _connector(self) -> Connector:
        return self._flow.connector

    async def read(self, report: Report, since: datetime, until: datetime) -> dict[str, Booking]:
        """Read the window whole and keep what it says; return the bookings by id. Raises UpstreamError."""
        read: dict[str, Booking] = {}
        asked_at = self._flow.clock()
        async for page in self._connector.source.changed(since, until):
            wanted = await self._completed([one for one in page if refusal(one, self._connector.rules) is None])
            report.bookings_read += len(page)
            self._progress(report.bookings_read, None, "reading bookings")
            report.bookings_refused += len(page) - len(wanted)
            read.update((one.booking_id, one) for one in wanted)
            if report.dry_run:
                report.bookings_taken += len(wanted)
            else:
                report.bookings_taken += await self._take(wanted, asked_at)
            asked_at = self._flow.clock()
        return read

    async def _completed(self, bookings: Sequence[Booking]) -> list[Booking]:
        """Return bookings with their items, where a list does not tell them and they are not known, or cost something else now.

        Where the source does not tell, or gives no answer, the list's word stands: that a booking is there can be told.
        """
        rules, now = self._connector.rules, self._flow.clock()
        async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
            ids = [one.booking_id for one in bookings]
            known = await ledger.with_lines(connection, self._flow.tenant_id, self._connector, ids)
        places = asyncio.Semaphore(self._connector.concurrency)

        async def completed(one: Booking) -> Booking:
            is_known = one.booking_id in known and one.total in {None, known[one.booking_id]}
            if one.lines is not None or is_known or not isinstance(judge(one, {}, rules, now), LinesUnknown):
                return one
            async with places:
                try:
                    whole = await self._connector.source.booking(one.booking_id)
                except (NotThereError, UpstreamError) as error:
                    log.warning("connector_items_unknown", booking_id=one.booking_id, error=str(error))
                    return one
            return whole if refusal(whole, rules) is None else one

        return list(await asyncio.gather(*(completed(one) for one in bookings)))

    async def _take(self, bookings: Sequence[Booking], asked_at: datetime, *, ask: bool = False) -> int:
        async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id, timeout_s=30.0) as connection:
            # always in one order, so that two that take the same ones don't wait for each other in a circle
            for booking in sorted(bookings, key=lambda one: one.booking_id):
                await self._flow.take(connection, booking, seen_at=asked_at, ask=ask)
        return len(bookings)

    async def orders(self, report: Report, since: datetime, until: datetime) -> list[SinkOrder]:
        """Read the sink's orders of the window whole. Raises UpstreamError."""
        found: dict[str, SinkOrder] = {}
        # days of the sink are those of its own clock
        first, last = _days(since, until)
        first, last = first - _DAY, last + _DAY
        async for page in self._connector.sink.orders(self._connector.rules.establishment, first, last):
            found.update((one.order_id, one) for one in page)
            self._progress(len(found), None, "reading orders")
        report.orders_read = len(found)
        return list(found.values())

    async def known(self, report: Report, since: datetime, until: datetime, read: dict[str, Booking]) -> list[Standing]:
        """Return all that is known of the window's days, after looking for bookings that are gone."""
        first, last = _days(since, until)
        async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
            known = await ledger.of_days(connection, self._flow.tenant_id, self._connector, first, last)
        gone = [one for one in known if one.booking.booking_id not in read and _may_be_gone(one)]
        deleted: dict[str, Booking] = {}
        for one in gone:
            asked_at = self._flow.clock()
            try:
                now_is = await self._connector.source.booking(one.booking.booking_id)
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
            async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
                known = await ledger.of_days(connection, self._flow.tenant_id, self._connector, first, last)
        return known


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
