"""What a client may read without a tool: the person's tasks, and a customer's journey. Each is the result of a tool."""

import json
from typing import Any, Final
from urllib.parse import unquote

import mcp_types as types
from mcp.shared.exceptions import MCPError

from mainstem.assistant.mcp.requests import Context, caller_of, guarded, one_page, refused
from mainstem.assistant.mcp.schemas import structured
from mainstem.assistant.ports import Done, Door, Failed
from mainstem.assistant.registry import Registry

TASKS: Final = "mainstem://tasks"
JOURNEY: Final = "mainstem://journey/"
_JSON: Final = "application/json"
_TASKS: Final = types.Resource(
    uri=TASKS,
    name="tasks",
    title="My tasks",
    description="The tasks of the person who is signed in, pending ones and completed ones.",
    mime_type=_JSON,
)
_JOURNEY: Final = types.ResourceTemplate(
    uri_template=JOURNEY + "{customer}",
    name="journey",
    title="A customer's journey",
    description="Clicks, visits and events of a customer (id) or a visitor (v:<id>, u:<id> or h:<hash>), the latest first.",
    mime_type=_JSON,
)


class Resources:
    """Handlers of `resources/list`, `resources/templates/list` and `resources/read`."""

    def __init__(self, registry: Registry) -> None:
        """Keep the registry, whose tools give the contents."""
        self._registry = registry

    @guarded
    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        """Return what the caller may read."""
        one_page(params)
        return types.ListResourcesResult(resources=[_TASKS] if self._may(context, "list_tasks") else [])

    @guarded
    async def templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """Return the forms of addresses that the caller may read."""
        one_page(params)
        found = [_JOURNEY] if self._may(context, "customer_journey") else []
        return types.ListResourceTemplatesResult(resource_templates=found)

    @guarded
    async def read(self, context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """Return a resource as JSON. Raises MCPError where there is none."""
        uri = str(params.uri)
        called = _behind(uri)
        if called is None:
            raise MCPError(code=types.INVALID_PARAMS, message="Resource not found", data={"uri": uri})
        outcome = await self._registry.call(caller_of(context), *called, door=Door.MCP)
        if isinstance(outcome, Failed):
            raise refused(outcome, uri=uri)
        if not isinstance(outcome, Done):
            msg = f"the tool behind {uri} asked a person"
            raise TypeError(msg)
        return types.ReadResourceResult(contents=[contents(uri, outcome.data)])

    def _may(self, context: Context, tool: str) -> bool:
        return any(one.name == tool for one in self._registry.for_caller(caller_of(context)))


def contents(uri: str, data: Any) -> types.TextResourceContents:  # noqa: ANN401 - any JSON
    """Return the result of a tool as the contents of a resource."""
    return types.TextResourceContents(uri=uri, mime_type=_JSON, text=json.dumps(structured(data), ensure_ascii=False))


def _behind(uri: str) -> tuple[str, dict[str, Any]] | None:
    """Return the tool call behind an address; None: there is nothing."""
    if uri == TASKS:
        return "list_tasks", {"limit": 100}
    customer = unquote(uri.removeprefix(JOURNEY)) if uri.startswith(JOURNEY) else ""
    return ("customer_journey", {"customer": customer}) if customer and "/" not in customer else None
