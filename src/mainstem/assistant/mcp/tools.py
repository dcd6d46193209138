"""The registry's tools as MCP has them: listed for the caller, called by the one way, asked about in the client's own words.

A client that can ask its person (elicitation, in the era without sessions) gets the question as an `InputRequiredResult` and
comes back with the answer. Any other is told what would be done, and says `confirm: true` once its person has said yes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mainstem.assistant.mcp.requests import Context, caller_of, guarded, one_page
from mainstem.assistant.mcp.schemas import APPROVAL, CONFIRM, input_schema, output_schema, structured
from mainstem.assistant.mcp.summaries import summary_of
from mainstem.assistant.ports import ConfirmationNeeded, Denied, Done, Door, Failed, Outcome, Tool
from mainstem.assistant.registry import Registry
from mainstem.platform.errors import InvalidFieldError

META: Final = "mainstem/error"
META_APPROVAL: Final = "mainstem/approval"
_QUESTION: Final = "confirm"
"""Name of the one question that an `InputRequiredResult` has."""
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes, do it"}},
    "required": ["confirm"],
}


class Tools:
    """Handlers of `tools/list` and `tools/call`."""

    def __init__(self, registry: Registry) -> None:
        """Keep the registry; a tool's schemas are made once."""
        self._registry = registry
        self._listed: dict[str, types.Tool] = {}

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the schema of a tool's arguments, for the check of headers that repeat them."""
        tool = self._registry.get(name)
        return None if tool is None else self._as_listed(tool).input_schema

    @guarded
    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """Return the tools that the caller may call, by name."""
        one_page(params)
        found = self._registry.for_caller(caller_of(context))
        return types.ListToolsResult(tools=[self._as_listed(tool) for tool in found])

    @guarded
    async def call(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Call a tool. Raises MCPError where there is none of this name."""
        tool = self._registry.get(params.name)
        try:
            outcome = await self._called(context, tool, params)
        except InvalidFieldError as error:
            outcome = Failed(params.name, error.code, error.status, error.detail, error.field)
        match outcome:
            case Done():
                return _done(outcome, tool.title if tool else outcome.tool)
            case ConfirmationNeeded():
                return _question(outcome) if _can_ask(context) else _told_to_ask(outcome)
            case Denied():
                return _failed("The person said no, so nothing was done.", {META: {"code": "denied"}})
            case Failed():
                if tool is None:
                    raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
                where = {} if outcome.field is None else {"field": outcome.field}
                return _failed(_sentence(outcome), {META: {"code": outcome.code, "status": outcome.status, **where}})

    async def _called(
        self, context: Context, tool: Tool[Any] | None, params: types.CallToolRequestParams
    ) -> Outcome | Denied:
        caller, name = caller_of(context), params.name
        arguments, confirmed, approval_id = dict(params.arguments or {}), False, None
        if tool is not None and tool.question is not None:
            confirmed, approval_id = _confirmation(arguments)
            if _can_ask(context):
                # whoever can ask a person, asks: a model sets an argument as easily as any other
                confirmed, approval_id = _answered(params)
                if approval_id is None:
                    return await self._registry.call(caller, name, arguments, door=Door.MCP)
                only = (name, arguments)
                return await self._registry.approve(caller, approval_id, approved=confirmed, door=Door.MCP, only=only)
            if confirmed and approval_id is not None:
                only = (name, arguments)
                return await self._registry.approve(caller, approval_id, approved=True, door=Door.MCP, only=only)
        return await self._registry.call(caller, name, arguments, door=Door.MCP, confirmed=confirmed)

    def _as_listed(self, tool: Tool[Any]) -> types.Tool:
        if tool.name not in self._listed:
            self._listed[tool.name] = types.Tool(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                input_schema=input_schema(tool.argument_schema, asks=tool.question is not None),
                output_schema=output_schema(tool.result_schema),
                annotations=types.ToolAnnotations(
                    title=tool.title,
                    read_only_hint=tool.hints.read_only,
                    destructive_hint=tool.hints.destructive,
                    idempotent_hint=tool.hints.idempotent,
                    open_world_hint=tool.hints.open_world,
                ),
            )
        return self._listed[tool.name]


def _can_ask(context: Context) -> bool:
    """Tell whether a question can reach the person: earlier eras need a session for the way back, and there is none."""
    capabilities = context.session.client_capabilities
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS or capabilities is None:
        return False
    asking = capabilities.elicitation
    return asking is not None and (asking.form is not None or asking.url is None)


def _confirmation(arguments: dict[str, Any]) -> tuple[bool, UUID | None]:
    """Take the words that confirm out of the arguments. Raises InvalidFieldError."""
    confirmed, approval = arguments.pop(CONFIRM, False), arguments.pop(APPROVAL, None)
    if not isinstance(confirmed, bool):
        raise InvalidFieldError("This is true or false.", field=CONFIRM)
    try:
        return confirmed, None if approval is None else UUID(approval)
    except (ValueError, TypeError, AttributeError):
        raise InvalidFieldError("This is the id of an approval.", field=APPROVAL) from None


def _answered(params: types.CallToolRequestParams) -> tuple[bool, UUID | None]:
    """Return what a person answered and to which approval; no id: nobody was asked yet. Raises MCPError."""
    if params.request_state is None:
        return False, None
    answer = (params.input_responses or {}).get(_QUESTION)
    if not isinstance(answer, types.ElicitResult):
        raise MCPError(code=types.INVALID_PARAMS, message="The answer to `confirm` is missing.")
    yes = answer.action == "accept" and (answer.content or {}).get("confirm") is True
    # sealed by us and opened before this
    return yes, UUID(params.request_state)


def _done(outcome: Done, title: str) -> types.CallToolResult:
    data = outcome.data
    found = structured(data)
    texts = (summary_of(outcome.tool, title, data), json.dumps(found, ensure_ascii=False))
    return types.CallToolResult(content=[types.TextContent(text=text) for text in texts], structured_content=found)


def _failed(sentence: str, meta: dict[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=sentence)], is_error=True, _meta=meta)


def _sentence(failed: Failed) -> str:
    """Say what failed, and name the field that it is about."""
    if failed.field is None or failed.detail.startswith(failed.field):
        return failed.detail
    return f"{failed.field}: {failed.detail}"


def _question(asked: ConfirmationNeeded) -> types.InputRequiredResult:
    form = types.ElicitRequestFormParams(message=asked.question, requested_schema=_FORM)
    return types.InputRequiredResult(
        input_requests={_QUESTION: types.ElicitRequest(params=form)}, request_state=str(asked.approval_id)
    )


def _told_to_ask(asked: ConfirmationNeeded) -> types.CallToolResult:
    approval = {"approval_id": str(asked.approval_id), "expires_at": asked.expires_at.isoformat()}
    sentence = (
        f"Nothing is done yet. Ask the person: {asked.question} "
        f"When they say yes, call {asked.tool} again with the same arguments and "
        f'"confirm": true, "approval_id": "{asked.approval_id}".'
    )
    return _failed(sentence, {META_APPROVAL: {**approval, "question": asked.question}})
