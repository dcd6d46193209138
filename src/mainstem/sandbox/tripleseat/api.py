"""Tripleseat's HTTP API. Whoever may not call gets a page, not JSON; a route that does not exist is a 500."""

from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from mainstem.sandbox.answers import answer, html
from mainstem.sandbox.tripleseat.desk import Desk
from mainstem.sandbox.tripleseat.endpoints_api import EndpointsApi
from mainstem.sandbox.tripleseat.model import Event
from mainstem.sandbox.tripleseat.oauth import GrantError
from mainstem.sandbox.tripleseat.render import booking_json, event_json, location_json, site_json
from mainstem.sandbox.tripleseat.search import BadQueryError, search
from mainstem.sandbox.venues import SITES

Handler = Callable[[Request], Awaitable[Response]]
_WRAPPED: Final = 3
"""Every third result of a search is wrapped in `{"event": …}`: nobody knows when the real ones are."""


class Tripleseat:
    """The routes, on the desk of the moment: a reset brings a new one."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        """Keep how to get at the desk."""
        self._desk = desk

    def routes(self) -> list[BaseRoute]:
        """Return all routes; the last takes whatever the others don't."""
        found: list[BaseRoute] = [
            Route("/oauth2/authorize", self.authorize),
            Route("/oauth2/token", self.token, methods=["POST"]),
            Route("/oauth/token", self.token, methods=["POST"]),
        ]
        reads: Sequence[tuple[str, Handler, str]] = (
            ("/v1/events/search", self.search, "events:read"),
            ("/v1/events", self.search, "events:read"),
            ("/v1/events/{event_id:int}", self.event, "events:read"),
            ("/v1/bookings/{booking_id:int}", self.booking, "bookings:read"),
            ("/v1/locations", self.locations, "locations:read"),
            ("/v1/sites", self.sites, "locations:read"),
        )
        for path, handler, scope in reads:
            guarded = self.guarded(handler, scope)
            # the suffix first: without it {id:int} would not match, with it alone the other form would be unknown
            found += [Route(f"{path}.json", guarded), Route(path, guarded)]
        found += EndpointsApi(self._desk).routes(self.guarded)
        return [*found, Route("/{path:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]

    def guarded(self, handler: Handler, scope: str) -> Handler:
        """Return the handler behind the checks of token, scope and pace."""

        async def handle(request: Request) -> Response:
            desk = self._desk()
            token = desk.oauth.token(request.headers.get("Authorization"), time())
            if token is None:
                return html(401, "Sign in to Tripleseat", "You need to sign in before continuing.")
            if scope not in token.scopes:
                return answer({"error": "insufficient_scope", "scope": scope}, 403)
            if desk.pace.wait_s(desk.oauth.client_id, desk.config.tripleseat_per_second, time()) is not None:
                return answer({"error": "Rate limit exceeded"}, 429)
            return await handler(request)

        return handle

    async def authorize(self, request: Request) -> Response:
        """Send the browser back with a code, as if an administrator had agreed."""
        given = request.query_params
        try:
            code = self._desk().oauth.authorize(given, time())
        except GrantError as error:
            return html(error.status, "An error has occurred", error.description)
        back = urlencode({"code": code} | ({"state": given["state"]} if "state" in given else {}))
        redirect_uri = given["redirect_uri"]
        return RedirectResponse(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{back}", status_code=302)

    async def token(self, request: Request) -> Response:
        """Grant a token for a form; credentials may come in it or as HTTP Basic."""
        desk = self._desk()
        form = _basic(request) | dict(parse_qsl((await request.body()).decode(errors="replace")))
        try:
            granted = desk.oauth.grant(form, desk.config.token_lifetime_s, time())
        except GrantError as error:
            return answer({"error": error.code, "error_description": error.description}, error.status)
        return answer(granted, headers={"Cache-Control": "no-store"})

    async def search(self, request: Request) -> Response:
        """Return a page of the events that fit."""
        desk, given = self._desk(), request.query_params
        try:
            found = search(desk.events, given.multi_items())
            page = max(1, int(given.get("page", "1") or 1))
        except (BadQueryError, ValueError):
            return broken()
        size = desk.config.tripleseat_page_size
        results = [self._result(event, given) for event in found[(page - 1) * size : page * size]]
        return answer({"total_pages": max(1, -(-len(found) // size)), "results": results})

    def _result(self, event: Event, given: QueryParams) -> object:
        shown = self._shown(event, given)
        return shown if event.event_id % _WRAPPED else {"event": shown}

    def _shown(self, event: Event, given: QueryParams) -> dict[str, object]:
        financial = given.get("show_financial") == "true"
        return event_json(event, financial=financial, lines=financial and self._desk().config.line_items_in_api)

    async def event(self, request: Request) -> Response:
        """Return one event."""
        event = self._desk().events.get(request.path_params["event_id"])
        if event is None:
            return answer({"error": "Event not found"}, 404)
        shown = self._shown(event, request.query_params)
        return answer({"event": shown, "documents": shown["documents"]})

    async def booking(self, request: Request) -> Response:
        """Return one booking with its events."""
        events = self._desk().events.of_booking(request.path_params["booking_id"])
        if not events:
            return answer({"error": "Booking not found"}, 404)
        return answer({"booking": booking_json(events)})

    async def locations(self, _request: Request) -> Response:
        """Return all locations on one page."""
        return answer({"total_pages": 1, "results": [location_json(site) for site in SITES]})

    async def sites(self, _request: Request) -> Response:
        """Return all sites on one page."""
        return answer({"total_pages": 1, "results": [site_json(site) for site in SITES]})


def _basic(request: Request) -> dict[str, str]:
    """Return a client's credentials sent as HTTP Basic."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        sent = b64decode(encoded, validate=True).decode() if kind.lower() == "basic" else ""
    except ValueError:
        return {}
    client_id, colon, secret = sent.partition(":")
    return {"client_id": client_id, "client_secret": secret} if colon else {}


async def unknown(_request: Request) -> Response:
    """Answer a route that does not exist."""
    return broken()


def broken() -> Response:
    """Return the page that Tripleseat shows when it did not expect something."""
    return html(500, "We're sorry, but something went wrong (500)", "We've been notified about this issue.")
