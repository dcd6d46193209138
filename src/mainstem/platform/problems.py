"""How an error looks on the wire: problem+json (RFC 9457), or a contract's own shape under its paths.

Pure: from an error and a request id to a dict, to bytes. `mainstem.platform.http` sends them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import BaseModel, Field

from mainstem.platform.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidFieldError,
    MainstemError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitedError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedMediaTypeError,
)

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS: Final = 100
_WHERE: Final = frozenset({"body", "query", "path", "header", "cookie"})

Shape = Callable[[MainstemError, str], Mapping[str, object]]
"""Renders an error, with the request id, as the JSON object that one contract's clients know."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path (`events[3].page_url`), a stable code and a sentence."""

    field: str
    code: str
    message: str


class InvalidFieldsError(InvalidFieldError):
    """A field of the request is missing or wrong."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Keep all wrong fields; the first one is the error's own `detail` and `field`. Needs at least one."""
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(errors[0].message + more, field=errors[0].field or None)
        self.errors = tuple(errors)


class MethodNotAllowedError(MainstemError):
    """Another method is needed at this address."""

    code = "method_not_allowed"
    status = 405


class HttpError(MainstemError):
    """The request was refused; the status says why."""

    code = "http_error"
    status = 400


class Rendered(NamedTuple):
    """A ready answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class ProblemField(BaseModel):
    """One wrong field of a request."""

    field: str
    code: str
    message: str


class Problem(BaseModel):
    """An error, by RFC 9457, with a stable code and the id to quote to support."""

    type: str = Field(examples=["/docs/errors#not_found"])
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None
    errors: list[ProblemField] | None = None


def problem(error: MainstemError, request_id: str) -> dict[str, object]:
    """Return the problem object of an error; `field` and `errors` only where the error has them."""
    found: dict[str, object] = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.field is not None:
        found["field"] = error.field
    if isinstance(error, InvalidFieldsError):
        found["errors"] = [{"field": one.field, "code": one.code, "message": one.message} for one in error.errors]
    return found


def problem_bytes(error: MainstemError, request_id: str) -> bytes:
    """Return the problem object as JSON."""
    return _json(problem(error, request_id))


def _json(value: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # half a surrogate pair out of what a caller sent, which UTF-8 can't hold
        return json.dumps(value).encode()


def render(error: MainstemError, request_id: str, shape: Shape | None = None) -> Rendered:
    """Return status, headers and body of an error, in a contract's shape where one is given."""
    body = problem_bytes(error, request_id) if shape is None else _json(shape(error, request_id))
    headers = [
        (b"content-type", (MEDIA_TYPE if shape is None else "application/json").encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((_header(name).lower(), _header(value)) for name, value in error.headers.items()),
    ]
    return Rendered(error.status, headers, body)


def _header(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def shape_for(path: str, shapes: Mapping[str, Shape]) -> Shape | None:
    """Return the shape of the longest registered prefix of a path; a prefix ends at a segment's end."""
    fitting = [prefix for prefix in shapes if path == prefix or path.startswith(prefix.rstrip("/") + "/")]
    return shapes[max(fitting, key=len)] if fitting else None


_BY_STATUS: Final[Mapping[int, type[MainstemError]]] = {
    kind.status: kind
    for kind in (
        BadRequestError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        ConflictError,
        PayloadTooLargeError,
        UnsupportedMediaTypeError,
        InvalidFieldError,
    )
}


def from_status(status: int, detail: object, headers: Mapping[str, str] | None = None) -> MainstemError:
    """Return the error of the tree that a bare HTTP status stands for, with its sentence where it has one."""
    told = detail if isinstance(detail, str) and detail != _phrase(status) else ""
    given = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        return UnauthorizedError(told)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(told or RateLimitedError.title(), retry_after_s=_seconds(given), headers=given)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return UnavailableError(told, retry_after_s=_seconds(given))
    if status in _BY_STATUS:
        return _BY_STATUS[status](told, headers=given)
    internal = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    error = MainstemError(headers=given) if internal else HttpError(told, headers=given)
    error.status = status
    return error


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _seconds(headers: Mapping[str, str]) -> int:
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(value) if value.isascii() and value.isdigit() else 5


def from_validation(found: Sequence[Mapping[str, Any]]) -> MainstemError:
    """Return the error that stands for pydantic's findings: 400 for a body that isn't JSON, else 422.

    Only places, types and bounds are told, never the value that was sent: it may be a secret.
    """
    if any(one.get("type") == "json_invalid" for one in found):
        return BadRequestError("The body is not valid JSON.")
    errors = [
        FieldError(_path(one.get("loc", ())), str(one.get("type", "invalid")), _sentence(one))
        for one in found[:_MOST_ERRORS]
    ]
    return InvalidFieldsError(errors) if errors else InvalidFieldError()


def _path(loc: Sequence[object]) -> str:
    parts = list(loc[1:]) if loc and loc[0] in _WHERE else list(loc)
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _sentence(one: Mapping[str, Any]) -> str:
    path = _path(one.get("loc", ())) or "The body"
    # of lists and sets pydantic tells when it counted them, which is nothing to the sender
    message = str(one.get("msg", "is invalid")).removeprefix("Value error, ").replace(" after validation", "")
    if one.get("type") == "missing":
        return f"{path} is required."
    if message.startswith(("Input should be", "String should", "List should", "Dictionary should", "Value should")):
        return f"{path} should{message.partition('should')[2]}."
    return f"{path}: {message.rstrip('.')}."


def document_errors(openapi: dict[str, Any]) -> dict[str, Any]:
    """Put the problem object into an OpenAPI document as the `default` answer of every operation; returns it."""
    schemas: dict[str, Any] = openapi.setdefault("components", {}).setdefault("schemas", {})
    problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem_schema.pop("$defs", {}))
    schemas["Problem"] = problem_schema
    answer = {
        "description": "An error, as problem+json.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for methods in openapi.get("paths", {}).values():
        for operation in methods.values():
            if isinstance(operation, dict) and "responses" in operation:
                _drop_stock_validation_answer(operation["responses"])
                operation["responses"].setdefault("default", answer)
    for stock in ("HTTPValidationError", "ValidationError"):
        schemas.pop(stock, None)
    return openapi


def _drop_stock_validation_answer(responses: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
