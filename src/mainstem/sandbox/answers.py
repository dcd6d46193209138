"""Answers that both services share."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response


def html(status: int, title: str, sentence: str) -> Response:
    """Return a page as web frameworks send it when something is wrong."""
    page = (
        f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n"
        f"<body>\n  <h1>{title}</h1>\n  <p>{sentence}</p>\n</body>\n</html>\n"
    )
    return HTMLResponse(page, status_code=status)


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON."""
    return JSONResponse(content, status_code=status, headers=dict(headers or {}))


class NotJsonError(Exception):
    """A body is no JSON object."""


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request, whatever content type it names; an empty body is an empty object.

    Raises NotJsonError.
    """
    body = await request.body()
    if not body.strip():
        return {}
    try:
        found = json.loads(body)
    except ValueError as error:
        raise NotJsonError(str(error)) from error
    if not isinstance(found, dict):
        raise NotJsonError("not an object")
    return found
