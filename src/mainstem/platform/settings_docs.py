"""The reference pages that are generated: settings, `.env.example`, error codes; and their check for drift.

`make docs` writes them; `check()` tells which files differ from their source.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

import mainstem
from mainstem.platform.errors import MainstemError
from mainstem.platform.refusal_codes import MEANINGS, refusal_codes
from mainstem.platform.settings import PREFIX, environment_names
from mainstem.platform.settings_fields import SECTIONS

_GENERATED: Final = "Generated from the source by `make docs`; changes here are lost."
_BOUNDS: Final = (("ge", "≥ {}"), ("gt", "> {}"), ("le", "≤ {}"), ("lt", "< {}"))
_TYPE_NAMES: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret text",
}


def settings_page() -> str:
    """Return `docs/reference/settings.md`: a table for each section."""
    lines = [
        "# Settings",
        "",
        f"<!-- {_GENERATED} -->",
        "",
        "Read from the environment, then from the file `.env` of the working folder. An empty value counts as",
        f"absent. Every name also works with the prefix `{PREFIX}`, which wins where both are set; a `{PREFIX}` name",
        "that is no setting is reported at the start, with the nearest one that is. A value that can't be used stops",
        "the start with one sentence and exit code 2.",
    ]
    for section in SECTIONS:
        lines += ["", f"## {_title(section)}", "", "| name | type | default | meaning |", "|---|---|---|---|"]
        lines += [_row(name, field) for name, field in section.model_fields.items()]
    return "\n".join(lines) + "\n"


def env_example() -> str:
    """Return `.env.example`: every setting, commented out, with its default."""
    lines = [
        "# Settings of Mainstem; all are optional. Meaning and bounds: docs/reference/settings.md",
        f"# {_GENERATED}",
    ]
    for section in SECTIONS:
        lines += ["", f"# --- {_title(section)}"]
        for name, field in section.model_fields.items():
            lines += [f"# {field.description}", f"#{environment_names(name, field)[0]}={_default(field)}"]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return `docs/reference/errors.md`: every kind of error, and the narrower codes that single places give."""
    lines = [
        "# Errors",
        "",
        f"<!-- {_GENERATED} -->",
        "",
        "Errors are `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `request_id`,",
        "and where one field is at fault `field`; wrong payloads list all of them in `errors` as",
        "`{field, code, message}`. The paths of the older systems keep their own shapes and carry `code` and",
        "`request_id` too. Programs should read `code`: it is stable. Quote `request_id` (also the header",
        "`X-Request-ID`) when asking for help.",
        "",
        "| code | status | meaning |",
        "|---|---|---|",
    ]
    classes = {kind.name: kind for kind in _error_kinds()}
    lines += [f"| `{kind.code}` | {_status(kind, classes)} | {kind.meaning} |" for kind in classes.values()]
    narrower = _narrower_codes()
    if narrower:
        lines += ["", "Narrower codes, given where more is known:", "", "| code | kind |", "|---|---|"]
        lines += [f"| `{code}` | `{kind}` |" for code, kind in narrower]
    lines += [
        "",
        "In `errors`, the `code` of a field is the kind of the mistake (`missing`, `enum`, `string_too_long`, …), as pydantic",
        "names it.",
        "",
        "## Refused events",
        "",
        "An event may be refused for itself. Codes of the stage `intake` are in the answer: of the event in a bulk request",
        "(207), or as a 422 when it was sent alone. Those of `load` and `import` come after the answer; `mainstem rejects",
        "list` and `staging.rejected` show all of them, with the payload.",
        "",
        "| code | stage | meaning |",
        "|---|---|---|",
    ]
    stages: dict[str, list[str]] = {}
    for code, stage in refusal_codes(_sources()):
        stages.setdefault(code, []).append(stage)
    lines += [f"| `{code}` | {', '.join(given)} | {MEANINGS[code]} |" for code, given in stages.items()]
    return "\n".join(lines) + "\n"


PAGES: Final = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/errors.md": errors_page,
    ".env.example": env_example,
}


def check(root: Path) -> list[str]:
    """Return the generated files below `root` that are missing or differ from their source."""
    return [path for path, page in PAGES.items() if not _same(root / path, page())]


def write(root: Path) -> list[str]:
    """Write the generated files below `root`; return those that changed."""
    changed = check(root)
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(PAGES[path](), encoding="utf-8")
    return changed


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _title(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _row(name: str, field: FieldInfo) -> str:
    first, *others = environment_names(name, field)
    names = f"`{first}`" + "".join(f"<br>or `{other}`" for other in others)
    default = _default(field)
    shown = f"`{default}`" if default else "(none)"
    meaning = (field.description or "").replace("|", "\\|")
    return f"| {names} | {_type(field)} | {shown} | {meaning} |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(str, value))
        case StrEnum():
            return value.value
        case _:
            return str(value)


def _type(field: FieldInfo) -> str:
    kind = _type_name(field.annotation)
    bounds = [
        text.format(f"{value:,}".replace(",", " "))
        for name, text in _BOUNDS
        for rule in field.metadata
        if (value := getattr(rule, name, None)) is not None
    ]
    return ", ".join([kind, *bounds])


def _type_name(annotation: Any) -> str:  # noqa: ANN401 - any annotation of a field
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        return _type_name(next(part for part in get_args(annotation) if part is not type(None)))
    if origin is list:
        return "comma-separated list"
    if origin is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    return _TYPE_NAMES.get(annotation, "text")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One class of the error tree, as its source says it."""

    name: str
    parents: tuple[str, ...]
    meaning: str
    code: str | None
    status: int | None


def _error_kinds() -> list[_Kind]:
    """Return the classes below MainstemError that have a code of their own, by status and code."""
    classes = {kind.name: kind for tree in _sources() for kind in _classes(tree)}
    inside = {kind.name for kind in classes.values() if _descends(kind, classes)}
    # a class without a code of its own is only another way to build its parent
    kinds = [kind for kind in classes.values() if kind.name in inside and kind.code is not None]
    return sorted(kinds, key=lambda kind: (_status(kind, classes), str(kind.code)))


def _classes(tree: ast.Module) -> Iterator[_Kind]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            values = dict(_constants(node))
            code, status = values.get("code"), values.get("status")
            yield _Kind(
                name=node.name,
                parents=tuple(base.id for base in node.bases if isinstance(base, ast.Name)),
                meaning=(ast.get_docstring(node) or "").partition("\n")[0],
                code=code if isinstance(code, str) else None,
                status=status if isinstance(status, int) else None,
            )


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for line in node.body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        value = getattr(line, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            yield target.id, value.value


def _descends(kind: _Kind, classes: Mapping[str, _Kind]) -> bool:
    return kind.name == MainstemError.__name__ or any(
        _descends(classes[parent], classes) for parent in kind.parents if parent in classes
    )


def _status(kind: _Kind, classes: Mapping[str, _Kind]) -> int:
    if kind.status is not None:
        return kind.status
    return next((_status(classes[parent], classes) for parent in kind.parents if parent in classes), 500)


def _sources() -> Iterator[ast.Module]:
    """Yield every source file of the package, parsed: nothing is imported, so nothing runs."""
    package = Path(str(files(mainstem)))
    for path in sorted(package.rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def _narrower_codes() -> list[tuple[str, str]]:
    """Return (code, class) of each `SomeError(…, code="…")` in the source."""
    found = {
        (keyword.value.value, node.func.id)
        for tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error")
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }
    return sorted(found)
