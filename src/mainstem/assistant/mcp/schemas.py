"""JSON schemas as MCP wants them: an object at the root, with the words that confirm, and without noise. Pure."""

from collections.abc import Mapping
from typing import Any, Final

CONFIRM: Final = "confirm"
APPROVAL: Final = "approval_id"
WRAPPED: Final = "result"
"""Where the structured content of a tool has a result that is no object."""
_CONFIRMING: Final[Mapping[str, Any]] = {
    CONFIRM: {
        "type": "boolean",
        "default": False,
        "description": "true only when the person has said yes to exactly this; nothing is done before.",
    },
    APPROVAL: {
        "type": "string",
        "format": "uuid",
        "description": "From the answer that asked, so that it is done once at most.",
    },
}
_MAPS: Final = ("properties", "$defs")


def input_schema(schema: Mapping[str, Any], *, asks: bool) -> dict[str, Any]:
    """Return the schema of a tool's arguments; one that asks a person takes their word as arguments, too."""
    found: dict[str, Any] = plain(schema)
    found.setdefault("properties", {})
    if asks:
        found["properties"] = {**found["properties"], **_CONFIRMING}
    return found


def output_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool's structured content: an object, for older clients take nothing else."""
    found: dict[str, Any] = plain(schema)
    if found.get("type") == "object":
        return found
    definitions = found.pop("$defs", None)
    wrapped: dict[str, Any] = {"type": "object", "properties": {WRAPPED: found}, "required": [WRAPPED]}
    return wrapped if definitions is None else {**wrapped, "$defs": definitions}


def structured(data: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a result as its schema describes it."""
    return data if isinstance(data, dict) else {WRAPPED: data}


def plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema without the titles that are only the names of fields and classes again: models pay for each word."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        word: {name: plain(one) for name, one in value.items()} if word in _MAPS else plain(value)
        for word, value in schema.items()
        if word != "title"
    }
