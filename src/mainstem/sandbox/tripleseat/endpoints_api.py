"""The API of webhook endpoints: /api/v1/sites/{site_id}/webhook_endpoints."""

from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mainstem.platform.clock import utc_now
from mainstem.sandbox.answers import NotJsonError, answer, read_object
from mainstem.sandbox.tripleseat.desk import Desk
from mainstem.sandbox.tripleseat.endpoints import Endpoint, EndpointFields
from mainstem.sandbox.venues import SITES

Handler = Callable[[Request], Awaitable[Response]]
_SCOPE = "webhooks:write"


class EndpointsApi:
    """The routes, on the desk of the moment."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        """Keep how to get at the desk."""
        self._desk = desk

    def routes(self, guarded: Callable[[Handler, str], Handler]) -> list[BaseRoute]:
        """Return the routes behind the checks of `guarded`, with and without `.json`."""
        table: list[tuple[str, str, Handler]] = [
            ("", "GET", self.listed),
            ("", "POST", self.made),
            ("/{endpoint_id:int}", "GET", self.one),
            ("/{endpoint_id:int}", "PUT", self.changed),
            ("/{endpoint_id:int}", "DELETE", self.removed),
            ("/{endpoint_id:int}/enable", "POST", self.enabled),
            ("/{endpoint_id:int}/enable", "PUT", self.enabled),
            ("/{endpoint_id:int}/disable", "POST", self.disabled),
            ("/{endpoint_id:int}/disable", "PUT", self.disabled),
        ]
        return [
            Route(
                f"{root}/sites/{{site_id:int}}/webhook_endpoints{path}{suffix}",
                guarded(handler, _SCOPE),
                methods=[verb],
            )
            for root in ("/api/v1", "/v1")
            for suffix in (".json", "")
            for path, verb, handler in table
        ]

    async def listed(self, request: Request) -> Response:
        """Return the endpoints of a site."""
        site_id = request.path_params["site_id"]
        if all(site.site_id != site_id for site in SITES):
            return _missing("Site")
        return answer({"webhook_endpoints": [found.shown() for found in self._desk().endpoints.of_site(site_id)]})

    async def made(self, request: Request) -> Response:
        """Make an endpoint."""
        site_id = request.path_params["site_id"]
        if all(site.site_id != site_id for site in SITES):
            return _missing("Site")
        try:
            fields = EndpointFields.model_validate(await _fields(request))
        except (NotJsonError, ValidationError) as error:
            return _refused(error)
        return answer({"webhook_endpoint": self._desk().endpoints.add(site_id, fields, utc_now()).shown()}, 201)

    async def one(self, request: Request) -> Response:
        """Return an endpoint."""
        return _shown(self._found(request))

    async def changed(self, request: Request) -> Response:
        """Change the fields that are given."""
        endpoint = self._found(request)
        if endpoint is not None:
            try:
                endpoint.fields = EndpointFields.model_validate(endpoint.fields.model_dump() | await _fields(request))
            except (NotJsonError, ValidationError) as error:
                return _refused(error)
        return _shown(endpoint)

    async def removed(self, request: Request) -> Response:
        """Delete an endpoint."""
        endpoint = self._found(request)
        if endpoint is None:
            return _missing("Webhook endpoint")
        self._desk().endpoints.remove(endpoint.endpoint_id)
        return Response(status_code=204)

    async def enabled(self, request: Request) -> Response:
        """Switch an endpoint on; its failures are forgotten."""
        endpoint = self._found(request)
        if endpoint is not None:
            endpoint.enable()
        return _shown(endpoint)

    async def disabled(self, request: Request) -> Response:
        """Switch an endpoint off."""
        endpoint = self._found(request)
        if endpoint is not None:
            endpoint.disabled_at = utc_now()
        return _shown(endpoint)

    def _found(self, request: Request) -> Endpoint | None:
        return self._desk().endpoints.get(request.path_params["site_id"], request.path_params["endpoint_id"])


async def _fields(request: Request) -> dict[str, object]:
    given = await read_object(request)
    inner = given.get("webhook_endpoint", given)
    return inner if isinstance(inner, dict) else {}


def _shown(endpoint: Endpoint | None) -> Response:
    return _missing("Webhook endpoint") if endpoint is None else answer({"webhook_endpoint": endpoint.shown()})


def _missing(what: str) -> Response:
    return answer({"error": f"{what} not found"}, 404)


def _refused(error: NotJsonError | ValidationError) -> Response:
    if isinstance(error, NotJsonError):
        return answer({"errors": [f"The body is no JSON object: {error}"]}, 400)
    return answer({"errors": [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]}, 422)
