"""The tracking-ingest contract (CONTRACTS part A): clicks in from other domains, with the answers their clients know."""

from typing import Any, Final

import msgspec

from mainstem.events.model import NewEvent, Reject
from mainstem.events.receive import RefusedError
from mainstem.front.body import check_depth, decode_json, is_shallow, mend_surrogates, read_body
from mainstem.front.ingest import Ingest, check_item, reject_of
from mainstem.front.request import Reply, Request, json_reply
from mainstem.links.receive import click_event
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.errors import BadRequestError, MainstemError, UnauthorizedError, UnsupportedMediaTypeError

HEALTH: Final = "/api/tracking-ingest/health"
TEST: Final = "/api/tracking-ingest/test"
BATCH: Final = "/api/tracking-ingest/batch"
SERVICE: Final = "tracking_ingest_api"
MAX_EVENTS: Final = 1_000
_UNAUTHORIZED: Final = "Valid API key required in X-API-Key header"
_ERRORS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class _Body(msgspec.Struct):
    """The envelope of a batch; what `events` holds is looked at later."""

    events: msgspec.Raw = msgspec.Raw(b"")


_BODY: Final = msgspec.json.Decoder(_Body)
_EVENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder()


class ClickIngest:
    """The handlers of the contract."""

    def __init__(self, ingest: Ingest, version: str) -> None:
        """Share the parts of the other ingest."""
        self._ingest = ingest
        self._version = version

    async def health(self, _: Request) -> Reply:
        """GET /health: open, and says that this process answers."""
        told = {"status": "healthy", "service": SERVICE, "version": self._version, "timestamp": rfc3339(utc_now())}
        return json_reply(200, told)

    async def test(self, request: Request) -> Reply:
        """POST /test: tell whether the key is right; any body will do."""
        await self._ingest.caller(request)
        told = {
            "success": True,
            "message": "API connection successful",
            "authenticated": True,
            "timestamp": rfc3339(utc_now()),
        }
        return json_reply(200, told)

    async def batch(self, request: Request) -> Reply:
        """POST /batch: store the good clicks, name the bad ones."""
        caller = await self._ingest.caller(request)
        _check_type(request)
        body = await read_body(
            request.receive,
            limit=self._ingest.max_body,
            encoding=request.headers.get(b"content-encoding"),
            length=request.headers.get(b"content-length"),
        )
        if b"\\u" in body:
            body = mend_surrogates(body)
        raws = _raws(body)
        sender = self._ingest.sender(request, caller)
        await self._ingest.spend(caller, sender.ip, len(raws))
        sorted_ = _Sorted()
        for index, raw in enumerate(raws):
            text = bytes(raw)
            try:
                if len(text) > self._ingest.max_event:
                    reason = f"Event too large (max {self._ingest.max_event} bytes)"
                    raise RefusedError("payload_too_large", reason)  # noqa: TRY301 - one exit per refused item
                if not is_shallow(text):
                    check_item(text)
                event, _ = click_event(text, sender)
            except RefusedError as error:
                sorted_.refuse(index, error, reject_of(sender, error, text))
            else:
                sorted_.take(event)
        events = sorted_.events
        if self._ingest.sealer.in_body(body):
            events = list(map(self._ingest.sealer.mark, events))
        receipt = await self._ingest.commit(events, rejects=sorted_.rejects)
        return sorted_.reply(len(raws), request.request_id, spooled=receipt.durable == "spool")


class _Sorted:
    """The clicks of a batch, good and bad."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.rejects: list[Reject] = []
        self._seen: set[Any] = set()
        self._duplicates = 0
        self._errors: list[str] = []
        self._details: list[dict[str, object]] = []

    def take(self, event: NewEvent) -> None:
        """Keep a good click once, however often the batch has it."""
        if event.message_id is not None:
            if event.event_uid in self._seen:
                self._duplicates += 1
                return
            self._seen.add(event.event_uid)
        self.events.append(event)

    def refuse(self, index: int, error: RefusedError, reject: Reject) -> None:
        """Keep a bad one with its reason."""
        self.rejects.append(reject)
        self._errors.append(f"Event {index + 1}: {error.reason}")
        self._details.append({"index": index, "field": error.field, "code": error.code, "message": error.reason})

    def reply(self, total: int, request_id: str, *, spooled: bool) -> Reply:
        """Return the answer of the contract."""
        failed = len(self._errors)
        timestamp = rfc3339(utc_now())
        if failed == total:
            told: dict[str, object] = {
                "success": False,
                "error": "Validation Failed",
                "message": "All events failed validation",
                "validation_errors": self._errors,
                "error_details": self._details,
                "code": "validation_failed",
                "request_id": request_id,
                "timestamp": timestamp,
            }
            return json_reply(400, told)
        told = {
            "success": failed == 0,
            "message": f"Processed {total} events",
            "results": {
                "total_events": total,
                "successful": len(self.events),
                "failed": failed,
                "duplicates": self._duplicates,
                "errors": self._errors,
                "error_details": self._details,
            },
            "timestamp": timestamp,
        }
        if failed:
            told["warning"] = f"{failed} of {total} events failed validation"
        if spooled:
            told["durable"] = "spool"
        return json_reply(207 if failed else 200, told)


def shape(error: MainstemError, request_id: str) -> dict[str, object]:
    """Return an error as the clients of this contract know it."""
    message = _UNAUTHORIZED if isinstance(error, UnauthorizedError) else error.detail
    return {
        "success": False,
        "error": _ERRORS.get(error.status, "Internal Server Error"),
        "message": message,
        "code": error.code,
        "request_id": request_id,
        "timestamp": rfc3339(utc_now()),
    }


def _check_type(request: Request) -> None:
    kind = (request.text(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaTypeError("Content-Type must be application/json", field="Content-Type")


def _raws(body: bytes) -> list[msgspec.Raw]:
    """Return the events of a batch, unread. Raises BadRequestError with the contract's sentences."""
    not_json = "Request body must be JSON"
    check_depth(body)
    try:
        found = decode_json(_BODY, body)
    except (BadRequestError, msgspec.ValidationError):
        raise BadRequestError(not_json) from None
    text = bytes(found.events)
    if not text:
        # an empty object says as little as no body at all
        raise BadRequestError(not_json if not _ANY.decode(body) else "Missing required field: events (array)")
    if not text.startswith(b"["):
        raise BadRequestError('Field "events" must be an array')
    raws = _EVENTS.decode(text)
    if not raws:
        raise BadRequestError("Events array cannot be empty")
    if len(raws) > MAX_EVENTS:
        raise BadRequestError(f"Batch size too large (max {MAX_EVENTS} events per request)")
    return raws
