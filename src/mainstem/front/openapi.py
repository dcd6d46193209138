"""The hot path's part of openapi.json. FastAPI never sees these routes, so they describe themselves here."""

from typing import Any, Final

_Schema = dict[str, Any]


def _text(description: str, **more: object) -> _Schema:
    return {"type": "string", "description": description, **more}


def _object(properties: dict[str, _Schema], *, required: list[str], description: str = "") -> _Schema:
    shape: _Schema = {"type": "object", "properties": properties, "required": required}
    return {**shape, "description": description} if description else shape


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SCALAR_ID: Final[_Schema] = {"anyOf": [{"type": "string", "maxLength": 128}, {"type": "number"}, {"type": "null"}]}
_TIME: Final[_Schema] = {
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
    "description": "ISO 8601 (no offset means UTC) or Unix time in seconds or milliseconds.",
}

SCHEMAS: Final[dict[str, _Schema]] = {
    "SiteEvent": _object(
        {
            "page_url": _text("Full address of the page; required for a page_view.", maxLength=4096),
            "event_type": _text("page_view or any other word.", maxLength=100, default="page_view"),
            "event_data": {
                "type": "object",
                "description": "Anything else: page_title, referrer, utm_*, scroll_depth, …",
            },
            "session_id": {**_SCALAR_ID, "description": "The sender's own session, if it keeps sessions."},
            "user_id": {**_SCALAR_ID, "description": "The signed-in user."},
            "visitor_id": {
                **_SCALAR_ID,
                "description": "First-party visitor id; without one a cookieless key is made.",
            },
            "event_id": {**_SCALAR_ID, "description": "Idempotency: the same id is never counted twice."},
            "timestamp": _TIME,
            "sent_at": {**_TIME, "description": "The sender's clock when it sent this; corrects a wrong clock."},
            "user_agent": _text("The visitor's user agent, where a server speaks for its visitor."),
            "ip_address": _text("The visitor's address, where a server speaks for its visitor."),
        },
        required=[],
    ),
    "SiteEventBatch": _object(
        {
            "batch_id": _text("A name for this batch, echoed in the answer.", maxLength=128),
            "events": {"type": "array", "items": _ref("SiteEvent"), "minItems": 1, "maxItems": 1000},
        },
        required=["events"],
    ),
    "TrackAnswer": _object(
        {
            "success": {"type": "boolean"},
            "message": {"type": "string"},
            "event_id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "processing": {"type": "string", "enum": ["automatic", "background"]},
            "status": {"type": "string", "enum": ["processed", "queued", "duplicate", "accepted"]},
        },
        required=["success", "message", "event_id", "timestamp", "processing", "status"],
    ),
    "ItemResult": _object(
        {
            "index": {"type": "integer"},
            "success": {"type": "boolean"},
            "event_id": {"type": "string"},
            "status": {"type": "string", "enum": ["accepted", "queued", "rejected"]},
            "code": {"type": "string"},
            "error": {"type": "string"},
            "field": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        required=["index", "success", "status"],
    ),
    "BatchAnswer": _object(
        {
            "success": {"type": "boolean"},
            "batch_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "events_processed": {"type": "integer"},
            "events_failed": {"type": "integer"},
            "results": {"type": "array", "items": _ref("ItemResult")},
            "processing_summary": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
        },
        required=["success", "events_processed", "events_failed", "results", "processing_summary", "timestamp"],
    ),
    "CustomEvent": _object(
        {
            "kind": _text(
                "Dotted lower-case words, such as order.paid.", pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", maxLength=100
            ),
            "data": {"type": "object"},
            "occurred_at": _TIME,
            "message_id": {**_SCALAR_ID, "description": "Idempotency, together with source."},
            "source": _text("The sending system.", default="api", maxLength=128),
            "subject": {**_SCALAR_ID, "description": "What the event is about."},
            "sent_at": _TIME,
        },
        required=["kind"],
    ),
    "CustomEventBatch": _object(
        {"events": {"type": "array", "items": _ref("CustomEvent"), "minItems": 1, "maxItems": 1000}},
        required=["events"],
    ),
    "EventAnswer": _object(
        {
            "success": {"type": "boolean"},
            "event_id": {"type": "string"},
            "status": {"type": "string", "enum": ["accepted", "queued"]},
            "timestamp": {"type": "string", "format": "date-time"},
        },
        required=["success", "event_id", "status", "timestamp"],
    ),
    "Click": _object(
        {
            "tracking_id": _text(
                "Name of the link; one that was never registered is welcome.", minLength=1, maxLength=100
            ),
            "clicked_at": {
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
                "description": "ISO 8601; now when absent.",
            },
            **{
                name: {"anyOf": [{"type": "string", "maxLength": limit}, {"type": "null"}], "description": text}
                for name, limit, text in (
                    ("ip_address", 45, "The visitor's address; kept as IP_MODE says."),
                    ("user_agent", 500, "The visitor's user agent."),
                    ("referrer_url", 1000, "Address of the page before."),
                    ("click_source", 50, "Where it was seen; external_domain when absent."),
                    ("session_id", 100, "The sender's session."),
                    ("event_id", 128, "Idempotency: the same id is never counted twice."),
                )
            },
            "metadata": {"anyOf": [{"type": "object"}, {"type": "null"}], "description": "Anything else."},
        },
        required=["tracking_id"],
    ),
    "ClickBatch": _object(
        {"events": {"type": "array", "items": _ref("Click"), "minItems": 1, "maxItems": 1000}}, required=["events"]
    ),
    "ClickBatchAnswer": _object(
        {
            "success": {"type": "boolean"},
            "message": {"type": "string"},
            "warning": {"type": "string"},
            "results": _object(
                {
                    **{name: {"type": "integer"} for name in ("total_events", "successful", "failed", "duplicates")},
                    "errors": {"type": "array", "items": {"type": "string"}},
                    "error_details": {"type": "array", "items": {"type": "object"}},
                },
                required=["total_events", "successful", "failed", "duplicates", "errors"],
            ),
            "durable": _text("`spool` when the database is away: stored, and loaded when it is back."),
            "timestamp": {"type": "string", "format": "date-time"},
        },
        required=["success", "message", "results", "timestamp"],
    ),
    "ClickRefusal": _object(
        {
            "success": {"type": "boolean"},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "validation_errors": {"type": "array", "items": {"type": "string"}},
            "error_details": {"type": "array", "items": {"type": "object"}},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
        },
        required=["success", "error", "message", "code", "request_id", "timestamp"],
        description="A refusal in the shape of the tracking-ingest contract.",
    ),
    "ClickHealth": _object(
        {name: {"type": "string"} for name in ("status", "service", "version", "timestamp")},
        required=["status", "service", "version", "timestamp"],
    ),
    "ClickTest": _object(
        {
            **{name: {"type": "boolean"} for name in ("success", "authenticated")},
            **{name: {"type": "string"} for name in ("message", "timestamp")},
        },
        required=["success", "message", "authenticated", "timestamp"],
    ),
    "Problem": _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
            "field": {"type": "string"},
        },
        required=["type", "title", "status", "detail", "code", "request_id"],
        description="An error, as RFC 9457 problem details.",
    ),
}

_PROBLEMS: Final = {
    "400": "The body is not JSON or is nested too deep.",
    "401": "No valid API key.",
    "403": "The key doesn't allow that, or belongs to another tenant.",
    "413": "The body, an event, or the number of events is too large.",
    "415": "The content encoding is not accepted.",
    "422": "A field is missing or wrong.",
    "429": "Too many events; Retry-After says when to try again.",
    "503": "Nothing can be stored right now; Retry-After says when to try again.",
}


def _operation(  # noqa: PLR0913 - the parts of an operation
    name: str,
    summary: str,
    tag: str,
    body: str,
    answers: dict[str, tuple[str, str]],
    *,
    whole_body_422: str | None = None,
) -> _Schema:
    responses = {
        status: {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
        for status, (text, schema) in answers.items()
    }
    for status, text in _PROBLEMS.items():
        media = {"application/problem+json": {"schema": _ref("Problem")}}
        if status == "422" and whole_body_422:
            media["application/json"] = {"schema": _ref(whole_body_422)}
        responses[status] = {"description": text, "content": media}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "tags": [tag],
            "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
            "parameters": [
                {
                    "name": "X-Customer-ID",
                    "in": "header",
                    "required": False,
                    "description": "Tenant slug; must be the key's tenant.",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(body)}}},
            "responses": dict(sorted(responses.items())),
        }
    }


_STORED = "Stored durably."
_SPOOLED = "Stored durably in the local spool; loaded when the database is back."
_PARTLY = "Some events were refused; the good ones are stored."
_TRACK = {"200": (_STORED, "TrackAnswer"), "202": (_SPOOLED, "TrackAnswer")}
_BATCH = {"200": (_STORED, "BatchAnswer"), "202": (_SPOOLED, "BatchAnswer"), "207": (_PARTLY, "BatchAnswer")}

PATHS: Final[dict[str, _Schema]] = {
    "/api/v1/track": _operation(
        "track", "Track one site event and wait until it is loaded", "site tracking", "SiteEvent", _TRACK
    ),
    "/api/v1/track/async": _operation(
        "track_async", "Track one site event without waiting for its load", "site tracking", "SiteEvent", _TRACK
    ),
    "/api/v1/track/bulk": _operation(
        "track_bulk",
        "Track up to 1,000 site events",
        "site tracking",
        "SiteEventBatch",
        _BATCH,
        whole_body_422="BatchAnswer",
    ),
    "/api/v1/events": _operation(
        "send_event", "Send one event of your own kind", "events", "CustomEvent", {"202": (_STORED, "EventAnswer")}
    ),
    "/api/v1/events/batch": _operation(
        "send_events",
        "Send up to 1,000 events of your own kinds",
        "events",
        "CustomEventBatch",
        _BATCH,
        whole_body_422="BatchAnswer",
    ),
}

_KEYED: Final[list[_Schema]] = [{"apiKey": []}, {"bearer": []}]
_REFUSED: Final = {
    "400": "The body, or every event in it, is refused; nothing is stored.",
    "401": "No valid API key.",
    "403": "The key lacks the scope ingest.",
    "413": "The body is too large.",
    "415": "The body is no JSON.",
    "429": "Too many events; Retry-After says when to try again.",
    "503": "Nothing can be stored right now; Retry-After says when to try again.",
}
_UNCHECKED: Final = "The key can't be checked right now; Retry-After says when to try again."


def _click_answers(answers: dict[str, tuple[str, str]], refused: tuple[str, ...]) -> _Schema:
    told = {**answers, **{status: (_REFUSED[status], "ClickRefusal") for status in refused}}
    return {
        status: {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
        for status, (text, schema) in sorted(told.items())
    }


CLICK_PATHS: Final[dict[str, _Schema]] = {
    "/api/tracking-ingest/health": {
        "get": {
            "operationId": "tracking_ingest_health",
            "summary": "Whether clicks are taken",
            "tags": ["links"],
            "security": [],
            "responses": _click_answers({"200": ("This process answers.", "ClickHealth")}, ()),
        }
    },
    "/api/tracking-ingest/test": {
        "post": {
            "operationId": "tracking_ingest_test",
            "summary": "Check an API key",
            "tags": ["links"],
            "security": _KEYED,
            "responses": _click_answers(
                {"200": ("The key is right.", "ClickTest"), "503": (_UNCHECKED, "ClickRefusal")}, ("401", "403")
            ),
        }
    },
    "/api/tracking-ingest/batch": {
        "post": {
            "operationId": "tracking_ingest_batch",
            "summary": "Send up to 1,000 clicks",
            "tags": ["links"],
            "security": _KEYED,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("ClickBatch")}}},
            "responses": _click_answers(
                {"200": ("Stored durably.", "ClickBatchAnswer"), "207": (_PARTLY, "ClickBatchAnswer")}, tuple(_REFUSED)
            ),
        }
    },
}

TRACKER: Final[_Schema] = {
    "get": {
        "operationId": "tracker_script",
        "summary": "The browser tracker",
        "tags": ["site tracking"],
        "security": [],
        "responses": {
            "200": {"description": "JavaScript.", "content": {"text/javascript": {"schema": {"type": "string"}}}},
            "304": {"description": "Unchanged."},
        },
    }
}


def merge_into(document: dict[str, Any]) -> dict[str, Any]:
    """Add the hot path's paths and schemas to FastAPI's OpenAPI document, in place."""
    document["paths"] = dict(sorted({**document.get("paths", {}), **PATHS, **CLICK_PATHS, "/t.js": TRACKER}.items()))
    components = document.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **SCHEMAS}.items()))
    return document
