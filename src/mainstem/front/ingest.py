"""The hot path: events in over HTTP, answered only when they are durable (CONTRACTS parts B and G)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final

import msgspec

from mainstem.events.group import Receipt
from mainstem.events.model import NewEvent, Reject
from mainstem.events.receive import Accepted, RefusedError, Sender, custom_event, refusal
from mainstem.front.admit import caller_in_body, caller_of, spend
from mainstem.front.body import check_depth, decode_json, is_shallow, mend_surrogates, read_body
from mainstem.front.request import Reply, Request, json_reply
from mainstem.front.services import Services
from mainstem.platform.addresses import client_address, stored_ip, visitor_key
from mainstem.platform.auth import Caller
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Pool, is_transient, load_queries, transaction
from mainstem.platform.errors import BadRequestError, InvalidFieldError, PayloadTooLargeError, UnauthorizedError
from mainstem.site.receive import KNOWN_MEMBERS, known_event, site_event, without_address

Decode = Callable[[bytes, Sender], Accepted]
DecodeKnown = Callable[[bytes, Sender], Accepted | None]
_QUERIES: Final = load_queries("mainstem.front")
_MAX_UNKNOWN_CALLER_BYTES: Final = 262_144


class _Batch(msgspec.Struct):
    """The envelope of a bulk request."""

    events: list[msgspec.Raw]
    batch_id: str | None = None


_BATCH: Final = msgspec.json.Decoder(_Batch)


class _Item(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one event of a batch."""

    index: int
    success: bool
    status: str
    event_id: str | None = None
    code: str | None = None
    error: str | None = None
    field: str | None = None


class Ingest:
    """The ingest handlers of one process."""

    def __init__(self, services: Services) -> None:
        """Bind the process's parts and precompute what every request shares."""
        settings = services.settings
        self._services = services
        self.sealer = services.sealer
        self.commit = services.intake.commit
        # where PII_FIELDS names one of its members, such an event may hold personal data after all
        personal = any(services.sealer.names.find(name) for name in KNOWN_MEMBERS)
        self._decode_known = None if personal else known_event
        self.max_body = settings.max_body_bytes
        self.max_event = settings.max_event_bytes
        self._max_events = settings.max_events_per_request
        self._future = timedelta(seconds=settings.future_tolerance_seconds)
        # a visitor sends several events in a row
        self._stored_ip = lru_cache(8_192)(partial(stored_ip, mode=settings.ip_mode, salt=services.ip_secret))
        self._visitor_key = partial(
            visitor_key, secret=services.visitor_secret, rotation=settings.visitor_salt_rotation
        )

    async def track(self, request: Request) -> Reply:
        """POST /api/v1/track: store, wait (bounded) for the load, say what became of it."""
        (event, event_id), receipt = await self._one(request, site_event)
        if receipt.durable == "spool":
            return _track_reply(202, event_id, "automatic", "queued")
        loaded = await self._services.waiter.wait(receipt.batch_ids, self._services.settings.sync_wait_seconds)
        status = await outcome(self._services.pool, event, receipt.batch_ids[0]) if loaded else "queued"
        return _track_reply(200, event_id, "automatic", status)

    async def track_async(self, request: Request) -> Reply:
        """POST /api/v1/track/async: store and answer."""
        (_, event_id), receipt = await self._one(request, site_event)
        status = 202 if receipt.durable == "spool" else 200
        return _track_reply(status, event_id, "background", "accepted")

    async def track_bulk(self, request: Request) -> Reply:
        """POST /api/v1/track/bulk: store the good ones, name the bad ones."""
        return await self._many(request, site_event, self._decode_known)

    async def event(self, request: Request) -> Reply:
        """POST /api/v1/events: store one event of the sender's own kind."""
        (_, event_id), receipt = await self._one(request, custom_event)
        status = "queued" if receipt.durable == "spool" else "accepted"
        return json_reply(
            202, {"success": True, "event_id": event_id, "status": status, "timestamp": rfc3339(utc_now())}
        )

    async def event_batch(self, request: Request) -> Reply:
        """POST /api/v1/events/batch: store the good ones, name the bad ones."""
        return await self._many(request, custom_event)

    async def _admit(self, request: Request) -> tuple[Caller, Sender, bytes]:
        caller = await caller_of(self._services, request)
        headers = request.headers
        body = await read_body(
            request.receive,
            limit=self.max_body if caller else _MAX_UNKNOWN_CALLER_BYTES,
            encoding=headers.get(b"content-encoding"),
            length=headers.get(b"content-length"),
        )
        # one character is looked for many times as fast as two
        if b"\\" in body and b"\\u" in body:
            body = mend_surrogates(body)
        if caller is None:
            caller = await caller_in_body(self._services, request, body)
        return caller, self.sender(request, caller), body

    async def caller(self, request: Request) -> Caller:
        """Return the caller that the headers name. Raises UnauthorizedError, ForbiddenError."""
        caller = await caller_of(self._services, request)
        if caller is None:
            raise UnauthorizedError
        return caller

    def sender(self, request: Request, caller: Caller) -> Sender:
        """Return what all events of a request share."""
        user_agent = request.text(b"user-agent")
        return Sender(
            caller.tenant_id,
            utc_now(),
            client_address(request.scope, self._services.trusted_proxies),
            user_agent[:512] if user_agent else None,
            not caller.public,
            self._future,
            self._stored_ip,
            self._visitor_key,
        )

    async def spend(self, caller: Caller, ip: str | None, events: int) -> None:
        """Take events from the caller's quota. Raises RateLimitedError."""
        await spend(self._services, caller, ip, events)

    async def _one(self, request: Request, decode: Decode) -> tuple[Accepted, Receipt]:
        caller, sender, body = await self._admit(request)
        await spend(self._services, caller, sender.ip, 1)
        if len(body) > self.max_event:
            raise PayloadTooLargeError(f"An event may have at most {self.max_event:,} bytes.")
        check_depth(body)
        try:
            accepted = decode(body, sender)
        except RefusedError as error:
            if error.code == "invalid_json":
                raise BadRequestError(error.reason) from None
            await self._services.intake.commit((), rejects=(reject_of(sender, error, body),))
            raise InvalidFieldError(error.reason, field=error.field, code=error.code) from None
        if self._services.sealer.in_body(body):
            accepted = (self._services.sealer.mark(accepted[0]), accepted[1])
        return accepted, await self._services.intake.commit((accepted[0],))

    async def _many(self, request: Request, decode: Decode, decode_known: DecodeKnown | None = None) -> Reply:
        caller, sender, body = await self._admit(request)
        try:
            batch = decode_json(_BATCH, body)
        except msgspec.ValidationError as error:
            refused = refusal(error)
            raise InvalidFieldError(refused.reason, field=refused.field, code=refused.code) from None
        count = len(batch.events)
        if count == 0:
            raise InvalidFieldError("events must not be empty.", field="events")
        if count > self._max_events:
            raise PayloadTooLargeError(f"A request may have at most {self._max_events:,} events.", field="events")
        await spend(self._services, caller, sender.ip, count)
        sealer = self._services.sealer
        if sealer.in_values(body):
            decode_known = None
        events, results, rejects, known = self._sort(batch.events, sender, decode, decode_known)
        if not known and sealer.in_body(body):
            events = list(map(sealer.mark, events))
        receipt = await self._services.intake.commit(events, rejects=rejects)
        return _batch_reply(batch.batch_id, receipt, results, failed=len(rejects))

    def _sort(
        self, raws: Sequence[msgspec.Raw], sender: Sender, decode: Decode, decode_known: DecodeKnown | None
    ) -> tuple[list[NewEvent], list[_Item], list[Reject], bool]:
        """Split a batch into accepted events and rejects, with a result for each in the order they came.

        The last value tells whether all were known to `decode_known`: such an event needs no further look. After the
        first that is not, it is asked no more.
        """
        events: list[NewEvent] = []
        rejects: list[Reject] = []
        results: list[_Item] = []
        for index, raw in enumerate(raws):
            text = bytes(raw)
            try:
                if len(text) > self.max_event:
                    reason = f"An event may have at most {self.max_event:,} bytes."
                    raise RefusedError("payload_too_large", reason)  # noqa: TRY301 - one exit per refused item
                accepted = None if decode_known is None else decode_known(text, sender)
                if accepted is None:
                    decode_known = None
                    if not is_shallow(text):
                        check_item(text)
                    accepted = decode(text, sender)
            except RefusedError as error:
                rejects.append(reject_of(sender, error, text))
                refused = _Item(index, success=False, status="rejected")
                refused.code, refused.error, refused.field = error.code, error.reason, error.field
                results.append(refused)
            else:
                event, event_id = accepted
                events.append(event)
                results.append(_Item(index, True, "accepted", event_id))
        return events, results, rejects, decode_known is not None


async def outcome(pool: Pool, event: NewEvent, batch_id: int) -> str:
    """Tell processed from duplicate for an event whose batch is loaded; queued when the database went away since.

    Only an event with the sender's own id can be a repeat.
    """
    if event.message_id is None:
        return "processed"
    try:
        async with transaction(pool, tenant_id=event.tenant_id) as connection:
            repeat = await connection.fetchval(_QUERIES["is_repeat"], event.tenant_id, event.event_uid, batch_id)
    except Exception as error:
        # the event is safe, so whatever keeps us from knowing more must not look like a failure
        if not is_transient(error):
            raise
        return "queued"
    return "duplicate" if repeat else "processed"


def check_item(text: bytes) -> None:
    """Refuse an event that is nested too deep. Raises RefusedError."""
    try:
        check_depth(text)
    except BadRequestError as error:
        raise RefusedError("too_deep", str(error)) from None


def reject_of(sender: Sender, error: RefusedError, text: bytes) -> Reject:
    """Return what is kept of a refused event."""
    payload = text[:65_536].decode(errors="replace").replace("\x00", "\ufffd")
    payload = without_address(payload, sender)
    return Reject(sender.tenant_id, None, "intake", error.code, error.reason, error.field, None, "http", payload)


def _track_reply(status: int, event_id: str, processing: str, outcome: str) -> Reply:
    return json_reply(
        status,
        {
            "success": True,
            "message": "Event tracked successfully",
            "event_id": event_id,
            "timestamp": rfc3339(utc_now()),
            "processing": processing,
            "status": outcome,
        },
    )


def _batch_reply(batch_id: str | None, receipt: Receipt, results: list[_Item], *, failed: int) -> Reply:
    accepted = len(results) - failed
    spooled = receipt.durable == "spool"
    if spooled:
        for result in results:
            if result.success:
                result.status = "queued"
    status = 422 if accepted == 0 else 207 if failed else 202 if spooled else 200
    return json_reply(
        status,
        {
            "success": failed == 0,
            "batch_id": batch_id,
            "events_processed": accepted,
            "events_failed": failed,
            "results": results,
            "processing_summary": f"{accepted} of {len(results)} events accepted, {failed} rejected",
            "timestamp": rfc3339(utc_now()),
        },
    )
