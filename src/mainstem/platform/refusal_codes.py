"""What the codes of refused events mean, for `docs/reference/errors.md`, and which of them the source gives where.

A code without a meaning, and a meaning without a code, fail a test.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "data_invalid": "The event's data is no JSON object.",
    "incomplete_line": "The last line of a log has no line end; the next import brings the whole line.",
    "invalid_event": "A click of a batch is no JSON object.",
    "invalid_field": "A field has the wrong type, is too long, or is no time.",
    "invalid_json": "The event is not JSON. Sent alone it is answered with `bad_request`.",
    "invalid_kind": "The kind is not made of dotted lower-case words, such as `order.paid`.",
    "invalid_value": "A value does not fit the column that your vault model has for it.",
    "key_too_long": "The key of a hub of your vault model has more than 500 characters.",
    "malformed_line": "A line of a log can't be read; the reason names the part that is wrong.",
    "malformed_time": "The time of a log line does not exist or is before 1970.",
    "missing_field": "A field that every such event needs is not there.",
    "missing_value": "A value that your vault model requires is not there.",
    "page_url_missing": "A page view came without an address.",
    "payload_too_large": "The event has more than MAX_EVENT_BYTES. Sent alone it is a 413.",
    "raw_event_missing": "The landing no longer holds the event.",
    "refused_by_database": "PostgreSQL did not take the event when the spool was emptied.",
    "reserved_kind": "Kinds `page.*` and `site.*` come in by `/api/v1/track`, clicks by `/api/tracking-ingest/batch`; other `link.*` are the product's own.",
    "sql_…": "PostgreSQL did not take a value; its SQLSTATE stands in place of the dots.",
    "staging_error": "The loader failed on the event: a fault of the program.",
    "too_deep": "The JSON is nested too deep. Sent alone it is answered with `bad_request`.",
    "tracking_id_missing": "A click came without the tracking id of its link.",
    "unknown_kind": "No feed takes events of this kind.",
    "unstorable_value": "A value can't be stored, such as a number out of range.",
}
_STAGES: Final[Mapping[str, str]] = {
    "RefusedError": "intake",
    "RejectedError": "load",
    "Refused": "load",
    "Malformed": "import",
    "_reject": "import",
    "Reject": "",
}
"""Stage by the name of what is called; empty where the call itself says the stage."""
_CODE: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")


def refusal_codes(sources: Iterable[ast.Module]) -> list[tuple[str, str]]:
    """Return (code, stage) of each refusal in the source, sorted; an f-string's code ends in `…` (`sql_…`)."""
    calls = (node for tree in sources for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sorted({found for call in calls for found in _of(call)})


def _of(call: ast.Call) -> Iterator[tuple[str, str]]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in _STAGES:
        return
    words = [word for value in (*call.args, *(one.value for one in call.keywords)) if (word := _word(value))]
    code = next((word for word in words if word.endswith("…") or _CODE.fullmatch(word)), None)
    stage = _STAGES[name] or next((word for word in words if word in _STAGES.values()), "")
    if code:
        yield code, stage


def _word(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str() as start), ast.FormattedValue()]):
            return f"{start}…"
        case _:
            return ""
