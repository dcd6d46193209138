"""Revel's API: `API-AUTHENTICATION`, and lists in Tastypie's manner read to their end or not at all.

Tastypie ignores a filter that it does not know and answers with everything, so that whoever filters compares himself, too.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from mainstem.connectors.calling import Caller, Patience, Reply, Request
from mainstem.connectors.pace import Pace
from mainstem.connectors.ports import NotThereError, RefusedError, UpstreamError
from mainstem.platform.outbound import Outbound

Row = Mapping[str, Any]
CALLS_PER_S: Final = 100
"""Revel publishes no bound; where there is one it says so (429), and is heeded."""
_PAGE: Final = 200
_MOST_PAGES: Final = 500
_LONGEST_SENTENCE: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_KEY: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class RevelClient:
    """Calls one instance of Revel with one key."""

    def __init__(self, caller: Caller, base_url: str, api_key: str, api_secret: str) -> None:
        """Keep what is needed; nothing is called yet."""
        self._caller = caller
        self._base_url = base_url.rstrip("/")
        self._authentication = f"{api_key}:{api_secret}"
        self._secrets = tuple(secret for secret in (api_key, api_secret) if secret)

    @classmethod
    def made(  # noqa: PLR0913 - what a client is made of
        cls,
        outbound: Outbound,
        *,
        base_url: str,
        api_key: str,
        api_secret: str,
        patience: Patience | None = None,
        calls_per_s: int = CALLS_PER_S,
    ) -> "RevelClient":
        """Return a client with its own pace: one for each key and process."""
        return cls(Caller(outbound, Pace(calls_per_s), patience), base_url, api_key, api_secret)

    async def pages(
        self, path: str, filters: Mapping[str, str], *, most: int | None = None
    ) -> AsyncIterator[list[Row]]:
        """Yield the pages of a list, oldest first; whole only when it ends by itself. Raises UpstreamError.

        `most`: more objects than this can't be the answer; the filter was passed over.
        """
        seen: list[str] = []
        for _ in range(_MOST_PAGES):
            # each page begins with the last of the one before: where it does not, the list has moved meanwhile
            query = {**filters, "order_by": "id", "limit": str(_PAGE), "offset": str(max(len(seen) - 1, 0))}
            meta, rows = self._envelope(path, await self._asked("GET", f"{path}?{urlencode(query)}"))
            total = meta.get("total_count")
            if not isinstance(total, int):
                raise UpstreamError(f"GET {path}: A list came without its count.")
            if most is not None and total > most:
                raise UpstreamError(f"GET {path}: {total} objects: the filter does not hold.")
            if seen and (not rows or str(rows[0].get("id")) != seen[-1]):
                raise UpstreamError(f"GET {path}: The list moved while it was read.")
            fresh = rows[1:] if seen else rows
            seen += [str(row.get("id")) for row in fresh]
            if fresh:
                yield fresh
            if not meta.get("next"):
                if len(set(seen)) != total:
                    raise UpstreamError(f"GET {path}: {len(set(seen))} of {total} objects came.")
                return
            if not fresh:
                break
        raise UpstreamError(f"GET {path}: A list does not end.")

    async def all(self, path: str, filters: Mapping[str, str], *, most: int | None = None) -> list[Row]:
        """Return a whole list. Raises UpstreamError."""
        return [row async for page in self.pages(path, filters, most=most) for row in page]

    async def first_page(self, path: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to one GET. Raises UpstreamError."""
        return (await self._asked("GET", f"{path}?{urlencode(query)}")).json

    async def one(self, path: str) -> Row:
        """Return one object. Raises NotThereError, UpstreamError."""
        reply = await self._asked("GET", path, missing_ok=True)
        if reply.status in {404, 410}:
            raise NotThereError(f"Revel has no {path}.")
        if not isinstance(reply.json, Mapping):
            raise UpstreamError(f"GET {path}: It is no object.", status=reply.status)
        return reply.json

    async def asked(self, path: str, body: Mapping[str, Any], *, content_type: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to a POST that changes nothing. Raises RefusedError, UpstreamError."""
        request = self._request("POST", path, body, content_type)
        return self._taken(request, await self._caller.ask(request)).json

    async def changed(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        may_repeat: bool = False,
        content_type: str = "application/json",
    ) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to a change. Raises RefusedError, UpstreamError (not made), OutcomeUnknownError."""
        request = self._request(method, path, body, content_type)
        return self._taken(request, await self._caller.change(request, may_repeat=may_repeat)).json

    def sentence_of(self, given: object) -> str:
        """Return what an answer gives as its reason, as a sentence that may be told: short, and without our secrets."""
        text = _CONTROL.sub(" ", _reason(given)).strip()
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:_LONGEST_SENTENCE] or "no reason given"

    async def _asked(self, method: str, path: str, *, missing_ok: bool = False) -> Reply:
        request = self._request(method, path, None, None)
        reply = await self._caller.ask(request)
        if reply.status >= 400 and not (missing_ok and reply.status in {404, 410} and reply.is_json):
            raise UpstreamError(f"{request.shown}: Revel does not answer it ({reply.status}).", status=reply.status)
        return reply

    def _taken(self, request: Request, reply: Reply) -> Reply:
        if reply.status < 400:
            return reply
        if reply.status in {401, 403} or not reply.is_json:
            # not a word about the order: it never got there
            raise UpstreamError(f"{request.shown}: Revel does not take it ({reply.status}).", status=reply.status)
        raise RefusedError(f"{request.shown}: {self.sentence_of(reply.json)} ({reply.status})")

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str | None) -> Request:
        headers = {"API-AUTHENTICATION": self._authentication, "Accept": "application/json"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        sent = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return Request(method, self._base_url + path, headers, sent)

    def _envelope(self, path: str, reply: Reply) -> tuple[Row, list[Row]]:
        given = reply.json if isinstance(reply.json, Mapping) else {}
        meta, rows = given.get("meta"), given.get("objects")
        if (
            not isinstance(meta, Mapping)
            or not isinstance(rows, list)
            or not all(isinstance(row, Mapping) for row in rows)
        ):
            raise UpstreamError(f"GET {path}: It is no list.", status=reply.status)
        return meta, rows


def key_of(uri: object) -> str | None:
    """Return the id at the end of a URI, or an id as text; None when it is neither."""
    if isinstance(uri, bool):
        return None
    text = str(uri) if isinstance(uri, int) else uri.rstrip("/").rpartition("/")[2] if isinstance(uri, str) else ""
    return text if _KEY.fullmatch(text) else None


def _reason(given: object) -> str:
    """Return the words of an error in any of Revel's forms: a text, `{"error": …}`, `details.message`, lists by field."""
    if isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        for name in ("error", "details", "message", "error_message"):
            if name in given:
                return _reason(given[name])
        parts = [f"{name}: {_reason(value)}" for name, value in list(given.items())[:5]]
        return "; ".join(parts)
    if isinstance(given, Sequence):
        return ", ".join(_reason(one) for one in given[:5])
    return ""
