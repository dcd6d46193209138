"""What holds of a booking that a delivery tells of: what the delivery says, or what the source says when it is asked."""

from datetime import datetime

import asyncpg

from mainstem.connectors import ledger
from mainstem.connectors.connector import Notice
from mainstem.connectors.flow import Flow
from mainstem.connectors.ports import Booking, NotThereError, UpstreamError
from mainstem.connectors.truth import changes, is_older, settled
from mainstem.platform.db import Connection, transaction


class Readings:
    """Reads bookings for the deliveries of one connector."""

    def __init__(self, flow: Flow) -> None:
        """Keep whose."""
        self._flow = flow

    async def says_more(self, connection: Connection, first: asyncpg.Record, body: bytes) -> bool:
        """Tell whether there is more to do about a body that came before than to call it a repetition.

        It says something else than what is known by now, for a booking may change back; it names a booking and tells nothing of it;
        or nothing could be done about it then.
        """
        notice = self._flow.connector.read(body)
        if first["finished_at"] is None or notice.reason is not None:
            return False
        for booking_id in notice.booking_ids:
            told = notice.bookings.get(booking_id)
            key = await ledger.find_key(connection, self._flow.tenant_id, self._flow.connector, booking_id)
            known = None if key is None else await ledger.one(connection, key)
            if known is None:
                # it was not there, or could not be read: it may be by now
                if first["ok"] is False:
                    return True
            elif told is None or changes(told, known.booking):
                return True
        return False

    async def booking(
        self, notice: Notice, booking_id: str, received_at: datetime, *, again: bool
    ) -> tuple[Booking, datetime]:
        """Return the booking and when that was true: as the delivery tells it, or as the source does.

        Raises NotThereError, and UpstreamError where the source has to be asked and gives no answer.
        """
        told = notice.bookings.get(booking_id)
        known = await self._known(booking_id)
        may_be_over = told is None
        if told is not None:
            may_be_over = (again and changes(told, known)) or is_older(told, known)
            has_lines = told.lines is not None or (known is not None and known.lines is not None)
            if not may_be_over and (has_lines or notice.deleted):
                return told, received_at
        asked_at = self._flow.clock()
        try:
            truth = await self._flow.connector.source.booking(booking_id)
        except UpstreamError:
            if may_be_over or told is None:
                raise
            # it is known by what was delivered, and its items by a later reading
            return told, received_at
        except NotThereError:
            if told is not None and notice.deleted:
                return told, asked_at
            raise
        return settled(truth, told, known), asked_at

    async def _known(self, booking_id: str) -> Booking | None:
        async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
            key = await ledger.find_key(connection, self._flow.tenant_id, self._flow.connector, booking_id)
            known = None if key is None else await ledger.one(connection, key)
        return None if known is None else known.booking
