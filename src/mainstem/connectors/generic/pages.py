"""Lists page by page, read to their end or not at all."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from mainstem.connectors.calling import Caller, Reply, Request
from mainstem.connectors.generic.file import List
from mainstem.connectors.generic.place import Place
from mainstem.connectors.generic.template import Values, address
from mainstem.connectors.ports import UpstreamError

_MOST_PAGES: Final = 1_000


class Pages:
    """One list of an upstream."""

    def __init__(self, caller: Caller, part: List, headers: Mapping[str, str]) -> None:
        """Parse the places."""
        self._caller = caller
        self._part = part
        self._headers = {"Accept": "application/json", **headers}
        self._list = Place.parse(part.list)
        self._next = None if part.next is None else Place.parse(part.next)

    async def read(self, values: Values) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Yield the pages; whole only when it ends by itself. Raises UpstreamError."""
        url = address(self._part.url, values)
        seen: set[str] = set()
        while url not in seen:
            if len(seen) == _MOST_PAGES:
                raise UpstreamError("A list does not end.")
            seen.add(url)
            request = Request("GET", url, self._headers)
            reply = await self._caller.ask(request)
            if reply.status == 404 and reply.is_json and self._part.none_is_404 and len(seen) == 1:
                return
            rows = self._list.of(_answered(request, reply).json)
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise UpstreamError(f"{request.shown}: There is no list at {self._part.list or 'the top'!r}.")
            yield rows
            following = None if self._next is None else self._next.of(reply.json)
            if following is None or following == "":
                return
            url = _following(request, url, following)
        raise UpstreamError("A list goes in a circle.")

    async def all(self, values: Values) -> list[Mapping[str, Any]]:
        """Return a whole list. Raises UpstreamError."""
        return [row async for page in self.read(values) for row in page]


def _answered(request: Request, reply: Reply) -> Reply:
    if reply.status >= 400:
        raise UpstreamError(f"{request.shown}: It does not answer this ({reply.status}).", status=reply.status)
    return reply


def _following(request: Request, url: str, following: object) -> str:
    """Return the address of the next page: our credentials go to no other host."""
    found = urljoin(url, following) if isinstance(following, str) else ""
    if urlsplit(found)[:2] != urlsplit(url)[:2]:
        raise UpstreamError(f"{request.shown}: The next page is elsewhere.")
    return found
