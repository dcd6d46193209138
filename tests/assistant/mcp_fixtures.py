"""The tools, resources and prompts that the official conformance suite calls by name, on the product's own engine.

Nothing of the product's tools is here: it shows that the engine speaks the protocol in what those tools don't need.
"""

import base64
import json
import re
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError

PIXEL = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
).decode()
SOUND = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0").decode()
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
RICH: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
HEADERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "x-mcp-header": "Priority"},
        "query": {"type": "string"},
    },
}


def text(words: str) -> types.TextContent:
    return types.TextContent(text=words)


def image() -> types.ImageContent:
    return types.ImageContent(data=PIXEL, mime_type="image/png")


def embedded(uri: str, mime_type: str, words: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=words))


CONTENT: dict[str, list[Any]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [image()],
    "test_audio_content": [types.AudioContent(data=SOUND, mime_type="audio/wav")],
    "test_embedded_resource": [embedded("test://embedded-resource", "text/plain", "This is an embedded resource.")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        image(),
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
    "json_schema_2020_12_tool": [text("ok")],
    "test_custom_headers": [text("ok")],
    "test_logging_tool": [text("Nothing is logged.")],
    "test_tool_with_logging": [text("Nothing is logged.")],
    "test_tool_with_progress": [text("There is no progress to tell.")],
}
ASKING = (
    *("elicitation", "sampling", "list_roots", "request_state", "multiple_inputs", "multi_round", "tampered_state"),
    "capabilities",
)
SCHEMAS = {"json_schema_2020_12_tool": RICH, "test_custom_headers": HEADERS}
TOOLS = (
    *CONTENT,
    "test_error_handling",
    "test_missing_capability",
    "test_streaming_elicitation",
    *(f"test_input_required_result_{word}" for word in ASKING),
)


def elicit(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema: dict[str, Any] = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=text(words))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


NAME = {"user_name": elicit("What is your name?", "name")}
ROUNDS: dict[str, list[tuple[dict[str, Any], str | None]]] = {
    "elicitation": [(NAME, None)],
    "sampling": [({"capital_question": sample("What is the capital of France?")}, None)],
    "list_roots": [({"client_roots": types.ListRootsRequest()}, None)],
    "request_state": [({"confirm": elicit("Please confirm", "ok", "boolean")}, "state-1")],
    "tampered_state": [({"confirm": elicit("Please confirm", "ok", "boolean")}, "state-1")],
    "multiple_inputs": [
        (NAME | {"greeting": sample("Generate a greeting"), "client_roots": types.ListRootsRequest()}, "state-1")
    ],
    "multi_round": [
        ({"step1": elicit("Step 1: What is your name?", "name")}, "state-1"),
        ({"step2": elicit("Step 2: What is your favorite color?", "color")}, "state-2"),
    ],
}


def answered(word: str, params: Any) -> Any:
    """Return the next question of a tool that asks, or its result once all were answered."""
    rounds = ROUNDS[word]
    given = params.input_responses or {}
    for requests, state in rounds:
        seen = all(key in given for key in requests) and params.request_state == state
        later = state is not None and (params.request_state or "") > state
        if not seen and not later:
            return types.InputRequiredResult(input_requests=requests, request_state=state)
    told = " ".join(json.dumps(one.model_dump(mode="json", by_alias=True)) for one in given.values())
    return types.CallToolResult(content=[text(f"state-ok {told}")])


def capable(context: Any) -> Any:
    able = context.session.client_capabilities
    asked = {
        **({"question": elicit("What is your name?", "name")} if able and able.elicitation else {}),
        **({"sample": sample("Say hello")} if able and able.sampling else {}),
    }
    return types.InputRequiredResult(input_requests=asked) if asked else types.CallToolResult(content=[text("ok")])


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(
        tools=[
            types.Tool(name=name, description=f"A fixture: {name}.", input_schema=SCHEMAS.get(name, NOTHING))
            for name in sorted(TOOLS)
        ]
    )


async def call_tool(context: Any, params: Any) -> Any:
    name = params.name
    if name in CONTENT:
        return types.CallToolResult(content=CONTENT[name])
    if name == "test_error_handling":
        words = "This tool intentionally returns an error for testing"
        return types.CallToolResult(content=[text(words)], is_error=True)
    if name in {"test_missing_capability", "test_streaming_elicitation"}:
        able = context.session.client_capabilities
        wanted = "sampling" if name == "test_missing_capability" else "elicitation"
        if able is None or getattr(able, wanted) is None:
            raise MCPError(
                code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                message="A capability is missing",
                data={"requiredCapabilities": {wanted: {}}},
            )
        return answered("sampling" if wanted == "sampling" else "elicitation", params)
    word = name.removeprefix("test_input_required_result_")
    if word == "capabilities":
        return capable(context)
    if word in ROUNDS and word != name:
        return answered(word, params)
    raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {name}")


async def list_resources(_context: Any, _params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult(
        resources=[
            types.Resource(uri="test://static-text", name="text", mime_type="text/plain"),
            types.Resource(uri="test://static-binary", name="binary", mime_type="image/png"),
        ]
    )


async def list_templates(_context: Any, _params: Any) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_context: Any, params: Any) -> types.ReadResourceResult:
    uri = str(params.uri)
    made = re.fullmatch(r"test://template/([^/]+)/data", uri)
    if uri == "test://static-text":
        words = "This is the content of the static text resource."
        found: Any = types.TextResourceContents(uri=uri, mime_type="text/plain", text=words)
    elif uri == "test://static-binary":
        found = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)
    elif made is not None:
        data = {"id": made[1], "templateTest": True, "data": f"Data for ID: {made[1]}"}
        found = types.TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(data))
    else:
        raise MCPError(code=types.INVALID_PARAMS, message="Resource not found", data={"uri": uri})
    return types.ReadResourceResult(contents=[found])


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_context: Any, _params: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=f"A fixture: {name}.",
                arguments=[types.PromptArgument(name=one, description=one, required=True) for one in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(_context: Any, params: Any) -> Any:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            content: list[Any] = [text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            content = [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
        case "test_prompt_with_embedded_resource":
            uri = given["resourceUri"]
            content = [
                embedded(uri, "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ]
        case "test_prompt_with_image":
            content = [image(), text("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            if not params.input_responses:
                asked = {"user_context": elicit("What context should the prompt use?", "context")}
                return types.InputRequiredResult(input_requests=asked)
            content = [text("Thank you.")]
        case _:
            raise MCPError(code=types.INVALID_PARAMS, message="Unknown prompt")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=one) for one in content])


async def complete(_context: Any, _params: Any) -> types.CompleteResult:
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))


def fixture_server() -> Server[Any]:
    """Return a server with the suite's fixtures."""
    server: Server[Any] = Server(
        "fixtures",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.middleware.append(
        RequestStateBoundary(RequestStateSecurity(keys=[b"k" * 32], bind_principal=None), default_audience="fixtures")
    )
    return server
