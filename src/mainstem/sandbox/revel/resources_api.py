"""Revel's resources over HTTP, as Tastypie serves them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from mainstem.sandbox.answers import NotJsonError, answer, read_object
from mainstem.sandbox.revel.columns import COLUMNS
from mainstem.sandbox.revel.query import QueryError, chosen, page
from mainstem.sandbox.revel.tables import RESOURCES, Resource, Row, Tables
from mainstem.sandbox.revel.till import ClosedError, Till

Handler = Callable[[Request], Awaitable[Response]]
_NUMBERS: Final = frozenset({"quantity", "price", "amount"})


class RefusedError(Exception):
    """A body that Tastypie refuses, with its answer."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Keep the answer."""
        super().__init__(content)
        self.content = content


class ResourcesApi:
    """The routes, on the till of the moment."""

    def __init__(self, till: Callable[[], Till]) -> None:
        """Keep how to get at the till."""
        self._till = till

    def routes(self, guarded: Callable[[Handler, str], Handler]) -> list[BaseRoute]:
        """Return lists and details of all resources behind the checks of `guarded`."""
        found: list[BaseRoute] = []
        for name, resource in RESOURCES.items():
            root = f"/{resource.root}/{name}"
            many = guarded(self._for(resource, self.listed, self.made), name)
            one = guarded(self._for(resource, self.one, None), name)
            found += [
                Route(f"{root}/", many, methods=["GET", "POST"]),
                Route(f"{root}/{{key:int}}/", one, methods=["GET", "PUT", "PATCH", "DELETE"]),
                # Django sends a reader on to the address with the slash
                Route(root, with_slash),
                Route(f"{root}/{{key:int}}", with_slash),
            ]
        return found

    def _for(
        self,
        resource: Resource,
        read: Callable[[Request, Resource], Response],
        write: Callable[[Request, Resource, dict[str, Any]], Response] | None,
    ) -> Handler:
        async def handle(request: Request) -> Response:
            if request.method != "GET" and not resource.writable:
                return Response(status_code=405, headers={"Allow": "GET"})
            try:
                if request.method == "GET":
                    return read(request, resource)
                return (write or self.changed)(request, resource, await read_object(request))
            except NotJsonError:
                return answer({"error": "The request body is no valid JSON object."}, 400)
            except (QueryError, ClosedError) as error:
                return answer({"error": str(error)}, 400)
            except RefusedError as error:
                return answer(error.content, 400)

        return handle

    def listed(self, request: Request, resource: Resource) -> Response:
        """Return a page of a resource."""
        till = self._till()
        rows = list(till.tables.all(resource.name))
        columns = COLUMNS.get(resource.name, frozenset(rows[0] if rows else ())) | {"id", "resource_uri"}
        given = request.query_params.multi_items()
        return answer(page(resource, rows, columns, given, till.config.revel_most_objects))

    def one(self, request: Request, resource: Resource) -> Response:
        """Return one object."""
        row = self._till().tables.get(resource.name, request.path_params["key"])
        return Response(status_code=404) if row is None else answer(chosen(row, request.query_params.get("fields")))

    def made(self, _request: Request, resource: Resource, given: dict[str, Any]) -> Response:
        """Make an object of a body."""
        till = self._till()
        for name in ("id", "resource_uri"):
            if name in given:
                raise RefusedError({"error": f"The '{name}' field can not be set on creation."})
        missing = {
            name: ["This field is required."]
            for name in resource.required
            if given.get(name) is None or given[name] == ""
        }
        if missing:
            raise RefusedError({resource.name.lower(): missing})
        fields = _checked(till.tables, resource, given)
        match resource.name:
            case "Order":
                if till.config.unique_uuid and any(row["uuid"] == fields["uuid"] for row in till.tables.all("Order")):
                    raise RefusedError({"order": {"uuid": ["Order with this uuid already exists."]}})
                row = till.insert_order(fields)
            case "OrderItem":
                row = till.insert_item(fields)
            case _:
                row = till.tables.insert(resource.name, fields)
                till.paid(row)
        return answer(row, 201, {"Location": row["resource_uri"]})

    def changed(self, request: Request, resource: Resource, given: dict[str, Any]) -> Response:
        """Change or delete one object."""
        till = self._till()
        row = till.tables.get(resource.name, request.path_params["key"])
        if row is None:
            return Response(status_code=404)
        if request.method == "DELETE":
            return self._deleted(till, resource, row)
        fields = _checked(
            till.tables, resource, {name: given[name] for name in given if name not in {"id", "resource_uri"}}
        )
        match resource.name:
            case "Order":
                till.change_order(row, fields)
            case "OrderItem":
                till.change_item(row, fields)
            case _:
                row.update(fields)
        return answer(row, 202 if request.method == "PATCH" else 200)

    @staticmethod
    def _deleted(till: Till, resource: Resource, row: Row) -> Response:
        if resource.name != "OrderItem":
            # an order that was rung up leaves a trace: it can be voided, not deleted
            return Response(status_code=405, headers={"Allow": "GET,PUT,PATCH"})
        till.remove_item(row)
        return Response(status_code=204)


async def with_slash(request: Request) -> Response:
    """Redirect to the same address with a slash at its end."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{request.url.path}/{query}", status_code=301)


def _checked(tables: Tables, resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that may be written, foreign keys looked up. Raises RefusedError."""
    columns = COLUMNS[resource.name]
    fields = {name: value for name, value in given.items() if name in columns and name not in resource.computed}
    for name, value in fields.items():
        if name in resource.links and value is not None:
            _linked(tables, resource, name, value)
        elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RefusedError({resource.name.lower(): {name: ["Enter a number."]}})
    return fields


def _linked(tables: Tables, resource: Resource, name: str, value: object) -> None:
    if not (isinstance(value, str) and value.startswith("/")):
        sentence = f"The '{name}' field was given data that was not a URI: {value!r}."
        raise RefusedError({"error": sentence})
    if tables.at(value, resource.links[name]) is None:
        raise RefusedError({"error": f"Could not find the provided object via resource URI '{value}'."})
