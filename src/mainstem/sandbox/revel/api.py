"""Revel's HTTP API: who may call, the cart, and products of the web shop; `resources_api` has the rest."""

from collections.abc import Awaitable, Callable
from time import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mainstem.sandbox.answers import NotJsonError, answer, html, read_object
from mainstem.sandbox.revel.cart import Cart, CartError, read_cart
from mainstem.sandbox.revel.resources_api import ResourcesApi
from mainstem.sandbox.revel.till import Till

Handler = Callable[[Request], Awaitable[Response]]


class Revel:
    """The routes, on the till of the moment: a reset brings a new one."""

    def __init__(self, till: Callable[[], Till]) -> None:
        """Keep how to get at the till."""
        self._till = till

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        cart = "/specialresources/cart"
        return [
            Route(f"{cart}/validate", self.guarded(self.validate, "Cart"), methods=["POST"]),
            Route(f"{cart}/validate/", self.guarded(self.validate, "Cart"), methods=["POST"]),
            Route(f"{cart}/calculate", self.guarded(self.calculate, "Cart"), methods=["POST"]),
            Route(f"{cart}/calculate/", self.guarded(self.calculate, "Cart"), methods=["POST"]),
            Route(f"{cart}/submit", self.guarded(self.submit, "Cart"), methods=["POST"]),
            Route(f"{cart}/submit/", self.guarded(self.submit, "Cart"), methods=["POST"]),
            Route("/weborders/products/", self.guarded(self.products, "weborders")),
            *ResourcesApi(self._till).routes(self.guarded),
            Route("/{path:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def guarded(self, handler: Handler, resource: str) -> Handler:
        """Return the handler behind the checks of key, permission and pace."""

        async def handle(request: Request) -> Response:
            till = self._till()
            if credentials(request) != (till.api_key, till.api_secret):
                return Response(status_code=401)
            name = request.path_params.get("resource", resource)
            if name in till.config.revel_denied:
                return Response(status_code=401)
            wait_s = till.pace.wait_s(till.api_key, till.config.revel_per_minute, time())
            if wait_s is not None:
                return answer({"error": "Too many requests"}, 429, {"Retry-After": str(int(wait_s) + 1)})
            return await handler(request)

        return handle

    async def validate(self, request: Request) -> Response:
        """Check a cart."""
        return await self._with_cart(request, lambda _cart: {"valid": True})

    async def calculate(self, request: Request) -> Response:
        """Return what a cart comes to."""
        return await self._with_cart(request, lambda cart: cart.totals())

    async def submit(self, request: Request) -> Response:
        """Make an order of a cart, whole; nothing here knows whether it was sent before."""

        def ring_up(cart: Cart) -> dict[str, object]:
            till = self._till()
            taken = till.config.unique_uuid and any(
                order["uuid"] == cart.fields.get("uuid") for order in till.tables.all("Order")
            )
            if taken:
                raise CartError("Order with this uuid already exists")
            order = till.ring_up(cart.site, cart.wares, cart.fields)
            return {"orderId": order["id"], "uuid": order["uuid"], "local_id": order["local_id"], **cart.totals()}

        return await self._with_cart(request, ring_up)

    async def products(self, request: Request) -> Response:
        """Return the products of an establishment, as the web shop shows them."""
        number = request.query_params.get("establishment", "")
        rows = [row for row in self._till().tables.all("Product") if row["establishment"].endswith(f"/{number}/")]
        limit = int(request.query_params.get("limit", "20") or 20)
        shown = [{"id": row["id"], "name": row["name"], "price": row["price"]} for row in rows if row["active"]]
        return answer({"count": len(shown), "next": None, "previous": None, "results": shown[:limit]})

    async def _with_cart(self, request: Request, use: Callable[[Cart], object]) -> Response:
        till = self._till()
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if till.config.cart_text_plain_only and kind != "text/plain":
            return _refused("Unhandled error", 500)
        try:
            return answer(use(read_cart(till, await read_object(request))))
        except NotJsonError:
            return _refused("Malformed JSON")
        except CartError as error:
            return _refused(str(error))


async def unknown(_request: Request) -> Response:
    """Answer a route that does not exist."""
    return html(404, "Page not found", "The requested URL was not found on this server.")


def credentials(request: Request) -> tuple[str, str]:
    """Return the key and secret of a request: of its header, else of its query."""
    given = request.headers.get("API-AUTHENTICATION")
    if given is not None:
        key, _, secret = given.partition(":")
        return key.strip(), secret.strip()
    return request.query_params.get("api_key", ""), request.query_params.get("api_secret", "")


def _refused(message: str, status: int = 400) -> Response:
    return answer({"error": {"details": {"message": message}}}, status)
