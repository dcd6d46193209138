"""The model as a Markdown page: the diagram, then a table per structure and one of its views."""

from collections.abc import Iterator

from mainstem.vault.docs.describe import Described, Description
from mainstem.vault.docs.mermaid import flowchart


def markdown_page(description: Description, intro: str = "") -> str:
    """Return the page; `intro` is a paragraph under the title."""
    lines = [f"# {description.title}", ""]
    if intro:
        lines += [intro, ""]
    lines += ["```mermaid", flowchart(description).rstrip(), "```", ""]
    lines += ["| structure | kind | loaded from | read it as |", "|---|---|---|---|"]
    lines += [_row(one) for one in description.structures]
    lines.append("")
    for one in description.structures:
        lines += [*_section(one), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(one: Described) -> str:
    link = f"[`{one.spec.table}`](#{_anchor(one.spec.table)})"
    views = ", ".join(f"`{view.name}`" for view in one.views)
    return f"| {link} | {one.kind} | {_kinds(one)} | {views} |"


def _section(one: Described) -> Iterator[str]:
    yield f"## {one.spec.table}"
    yield ""
    yield _text(one.spec.comment)
    yield ""
    loaded = f"loaded from {_kinds(one)}" if one.kinds else "built daily"
    yield f"{str(one.kind).capitalize()}, {loaded}. Key: {', '.join(f'`{name}`' for name in one.spec.primary_key)}."
    yield ""
    yield "| column | type | role | meaning |"
    yield "|---|---|---|---|"
    roles = one.role
    for column in one.spec.columns:
        type_ = column.type + (" not null" if column.required else "")
        yield f"| `{column.name}` | {type_} | {roles[column.name]} | {_text(column.comment)} |"
    for view in one.views:
        columns = ", ".join(f"`{column.name}`" for column in view.columns)
        yield ""
        yield f"View `{view.name}`: {_text(view.comment)} Columns: {columns}."


def _kinds(one: Described) -> str:
    return ", ".join("all other kinds" if kind == "*" else f"`{kind}`" for kind in one.kinds)


def _anchor(table: str) -> str:
    """Return the anchor that Markdown gives the heading."""
    return table.replace(".", "")


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
