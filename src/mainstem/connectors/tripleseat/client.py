"""Tripleseat's API as a source of bookings: one event, and searches read to their last page or not at all."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from mainstem.connectors.calling import Caller, Patience, Reply, Request
from mainstem.connectors.oauth import Access, MemoryStore, TokenKeeper, TokenStore
from mainstem.connectors.pace import Pace
from mainstem.connectors.ports import Booking, NotThereError, Probe, UpstreamError
from mainstem.connectors.tripleseat.parse import UnreadableError, booking_of
from mainstem.connectors.tripleseat.values import days_around
from mainstem.connectors.tripleseat.webhook import clean_id, unwrapped
from mainstem.platform.outbound import Outbound

LOGIN_URL: Final = "https://login.tripleseat.com/oauth2/authorize"
"""Where admins sign in."""
CALLS_PER_S: Final = 10
"""Tripleseat's own bound for events and leads."""
_LOOKS_LIKE_LOGIN: Final = frozenset({200, 301, 302, 303, 307})
"""A page for people where JSON was due: so a token that holds no more may show itself."""
_MOST_PAGES: Final = 2_000


class TripleseatSource:
    """Reads bookings (Tripleseat: events)."""

    def __init__(
        self, caller: Caller, keeper: TokenKeeper, *, base_url: str, zone: ZoneInfo, site_id: str = ""
    ) -> None:
        """Keep the parts. `zone`: the site's, for days of searches and times without an offset."""
        self._caller = caller
        self.keeper = keeper
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._site_id = site_id

    @classmethod
    def made(  # noqa: PLR0913 - what a client is made of
        cls,
        outbound: Outbound,
        access: Access,
        *,
        base_url: str,
        zone: ZoneInfo,
        site_id: str = "",
        store: TokenStore | None = None,
        patience: Patience | None = None,
        calls_per_s: int = CALLS_PER_S,
    ) -> "TripleseatSource":
        """Return a source with its own pace: one for each account and process."""
        caller = Caller(outbound, Pace(calls_per_s), patience)
        keeper = TokenKeeper(caller, access, store or MemoryStore())
        return cls(caller, keeper, base_url=base_url, zone=zone, site_id=site_id)

    async def booking(self, booking_id: str) -> Booking:
        """Return an event as it is now. Raises NotThereError, UpstreamError."""
        event_id = clean_id(booking_id)
        if event_id is None:
            raise NotThereError("That is no id of an event.")
        reply = await self._get(f"/v1/events/{event_id}.json", {"show_financial": "true"})
        if reply.status in {404, 410} and reply.is_json:
            raise NotThereError(f"Tripleseat has no event {event_id}.")
        given = self._checked(reply, f"event {event_id}")
        event = unwrapped(given, "event")
        if event is not None and "documents" not in event and isinstance(given.get("documents"), list):
            event = {**event, "documents": given["documents"]}
        booking = self._booking(event)
        if booking.booking_id != event_id:
            raise UpstreamError(f"Asked for event {event_id}, Tripleseat sent another one.", status=reply.status)
        return booking

    async def changed(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Booking]]:
        """Yield pages of the events that were changed, or take place, in a window; each event once.

        Searches know days only and not in which zone, so those of changes look at a day more on each side. Raises
        UpstreamError when any page fails: then what has come is a part, and nothing may be concluded from the rest.
        """
        first, last = days_around(since, until, self._zone)
        start, end = since.astimezone(self._zone).date(), until.astimezone(self._zone).date()
        known: set[str] = set()
        for query in (_days("event_updated", first, last), _days("event", start, end)):
            async for page in self._search(query):
                fresh = {one.booking_id: one for one in page if one.booking_id not in known}
                known.update(fresh)
                if fresh:
                    yield list(fresh.values())

    async def probe(self) -> list[Probe]:
        """Return whether a token is to be had, events may be searched, and webhooks are on."""
        found = [await self._probed("token", self.keeper.token())]
        if not found[0].ok:
            return found
        today = datetime.now(self._zone).date()
        found.append(await self._probed("events/search", self._page(_days("event", today, today), 1)))
        if self._site_id:
            found.append(await self._webhooks())
        return found

    async def _search(self, query: Mapping[str, str]) -> AsyncIterator[list[Booking]]:
        page, pages = 1, 1
        while page <= pages:
            bookings, pages = await self._page(query, page)
            if not bookings and page < pages:
                raise UpstreamError(f"Page {page} of {pages} came empty.")
            if pages > _MOST_PAGES:
                raise UpstreamError(f"A search has {pages} pages: that is no answer to it.")
            yield bookings
            page += 1

    async def _page(self, query: Mapping[str, str], page: int) -> tuple[list[Booking], int]:
        # in the order of their making, which no change moves: a page turned meanwhile neither skips nor repeats
        order = {"order": "created_at", "sort_direction": "asc", "page": str(page)}
        given = self._checked(await self._get("/v1/events/search.json", {**query, **order}), "search of events")
        results, pages = given.get("results"), given.get("total_pages")
        if not isinstance(results, list) or isinstance(pages, bool) or not isinstance(pages, int) or pages < 0:
            raise UpstreamError("A search of events came without results or total_pages.")
        return [self._booking(one) for one in results], pages

    def _booking(self, given: object) -> Booking:
        try:
            return booking_of(given, self._zone)
        except UnreadableError as error:
            raise UpstreamError(f"Tripleseat sent something else than an event. {error}") from None

    async def _get(self, path: str, query: Mapping[str, str]) -> Reply:
        token = await self.keeper.token()
        reply: Reply | None = None
        try:
            reply = await self._caller.ask(self._request(path, query, token), final=_LOOKS_LIKE_LOGIN)
        except UpstreamError as error:
            if error.status not in _LOOKS_LIKE_LOGIN:
                raise
        if reply is None or reply.status == 401:
            token = await self.keeper.renew(token)
            reply = await self._caller.ask(self._request(path, query, token))
        if reply.status in {401, 403}:
            raise UpstreamError(f"GET {path}: Tripleseat does not permit it ({reply.status}).", status=reply.status)
        return reply

    def _request(self, path: str, query: Mapping[str, str], token: str) -> Request:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return Request("GET", f"{self._base_url}{path}?{urlencode(query)}", headers)

    def _checked(self, reply: Reply, what: str) -> Mapping[str, Any]:
        if reply.status >= 400 or not isinstance(reply.json, Mapping):
            raise UpstreamError(f"Tripleseat answered the {what} with {reply.status}.", status=reply.status)
        return reply.json

    async def _probed(self, resource: str, asking: Awaitable[object]) -> Probe:
        try:
            await asking
        except UpstreamError as error:
            return Probe(resource, ok=False, sentence=str(error), status=error.status)
        return Probe(resource, ok=True, sentence="may be used", status=200)

    async def _webhooks(self) -> Probe:
        resource = f"sites/{self._site_id}/webhook_endpoints"
        try:
            reply = await self._get(f"/api/v1/{resource}", {})
        except UpstreamError as error:
            return Probe(resource, ok=False, sentence=str(error), status=error.status)
        if reply.status >= 400:
            return Probe(resource, ok=False, sentence=f"can't be read ({reply.status})", status=reply.status)
        endpoints = list(_endpoints(reply.json))
        live = [one for one in endpoints if not one.get("disabled_at")]
        failing = [one for one in live if one.get("failed_count")]
        if not live:
            what = "all webhooks are switched off" if endpoints else "there is no webhook"
            return Probe(resource, ok=False, sentence=what, status=reply.status)
        if failing:
            counts = ", ".join(str(one["failed_count"]) for one in failing)[:100]
            return Probe(resource, ok=False, sentence=f"deliveries fail, in a row: {counts}", status=reply.status)
        return Probe(resource, ok=True, sentence=f"{len(live)} on, none failing", status=reply.status)


def _days(name: str, first: date, last: date) -> dict[str, str]:
    return {f"{name}_start_date": f"{first:%m/%d/%Y}", f"{name}_end_date": f"{last:%m/%d/%Y}"}


def _endpoints(given: object) -> Iterator[Mapping[str, Any]]:
    listed = given
    if isinstance(given, Mapping):
        listed = next((given[name] for name in ("webhook_endpoints", "results") if name in given), None)
    for one in listed if isinstance(listed, list) else ():
        endpoint = unwrapped(one, "webhook_endpoint")
        if endpoint is not None:
            yield endpoint
