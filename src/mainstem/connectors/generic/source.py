"""A source by configuration: webhooks signed as Standard Webhooks, and JSON where bookings can be asked for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from mainstem.connectors.calling import Caller, Request
from mainstem.connectors.connector import Signature
from mainstem.connectors.generic.bookings import Reader
from mainstem.connectors.generic.file import SourcePart
from mainstem.connectors.generic.pages import Pages
from mainstem.connectors.generic.place import Place
from mainstem.connectors.generic.template import address
from mainstem.connectors.ports import Booking, NotThereError, Probe, UpstreamError
from mainstem.platform.standard_webhooks import TOLERANCE_S, Secret, SignatureError, verify


class GenericSource:
    """Where the bookings of a file come from."""

    def __init__(self, part: SourcePart, reader: Reader, caller: Caller) -> None:
        """Keep the parts; nothing is called yet."""
        self._part = part
        self._reader = reader
        self._caller = caller
        self._booking_at = Place.parse(part.booking.at)
        self._changed = None if part.changed is None else Pages(caller, part.changed, part.headers)

    async def booking(self, booking_id: str) -> Booking:
        """Return a booking as it is now. Raises NotThereError, UpstreamError."""
        url = address(self._part.booking.url, {"booking_id": booking_id})
        request = Request("GET", url, {"Accept": "application/json", **self._part.headers})
        reply = await self._caller.ask(request)
        # a page for people may come from anything on the way: only JSON, or nothing, says that there is no such booking
        if reply.status in {404, 410} and reply.is_json:
            raise NotThereError(f"{request.shown}: There is no such booking.")
        if reply.status >= 400:
            raise UpstreamError(f"{request.shown}: It does not answer this ({reply.status}).", status=reply.status)
        found = self._reader.booking(self._booking_at.of(reply.json))
        if found is None or found.booking_id != booking_id:
            raise UpstreamError(f"{request.shown}: The answer is another booking, or none.")
        return found

    async def changed(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Booking]]:
        """Yield pages of the bookings of a window; none where the file names no list. Raises UpstreamError."""
        if self._changed is None:
            return
        values = {
            "since": _moment(since),
            "until": _moment(until),
            "since_day": since.date().isoformat(),
            "until_day": until.date().isoformat(),
        }
        async for rows in self._changed.read(values):
            bookings = [self._reader.booking(row) for row in rows]
            known = [one for one in bookings if one is not None]
            if len(known) < len(rows):
                # one that has no id would be missed in silence
                raise UpstreamError(f"{len(rows) - len(known)} bookings of a list have no id.")
            yield known

    async def probe(self) -> list[Probe]:
        """Return whether bookings may be read."""
        try:
            await self.booking("0")
        except NotThereError:
            pass
        except UpstreamError as error:
            return [Probe("bookings", ok=False, sentence=str(error), status=error.status)]
        return [Probe("bookings", ok=True, sentence="Bookings may be read.")]


class Verifier:
    """Judges signatures by the secrets in force: two of them while one takes the other's place."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Keep the secrets. Raises InvalidFieldError."""
        self._secrets = [Secret.parse(secret) for secret in secrets]

    def __call__(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Signature:
        """Return what was found out; headers by lower-case name."""
        if not self._secrets:
            return Signature.NO_KEY
        if not all(headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature")):
            return Signature.MISSING
        timestamp = headers["webhook-timestamp"]
        if not (timestamp.isascii() and timestamp.isdigit()):
            return Signature.MALFORMED
        try:
            verify(self._secrets, headers, body, now.timestamp())
        except SignatureError:
            behind_s = now.timestamp() - int(timestamp[:15])
            if abs(behind_s) > TOLERANCE_S:
                return Signature.TOO_OLD if behind_s > 0 else Signature.TOO_NEW
            return Signature.MISMATCH
        return Signature.VALID


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
