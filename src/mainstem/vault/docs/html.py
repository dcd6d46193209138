"""The model as one HTML page that needs nothing else: no network, no script."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from mainstem.vault.docs.describe import Described, Description
from mainstem.vault.docs.mermaid import family
from mainstem.vault.docs.svg import svg


def html_page(description: Description, intro: str = "") -> str:
    """Return the page; `intro` is a sentence under the title."""
    css = files("mainstem.vault.docs").joinpath("page.css").read_text(encoding="utf-8")
    sections = "\n".join("\n".join(_section(one)) for one in description.structures)
    title = escape(description.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{css}</style>\n</head>\n'
        f'<body>\n<main>\n<h1>{title}</h1>\n<p class="quiet">{escape(intro)}</p>\n'
        f'<div class="drawing">\n{svg(description)}\n</div>\n{sections}\n</main>\n</body>\n</html>\n'
    )


def _section(one: Described) -> Iterator[str]:
    table = escape(one.spec.table)
    yield f'<h2 id="{table}">{table}</h2>'
    kinds = ", ".join("all other kinds" if kind == "*" else f"<code>{escape(kind)}</code>" for kind in one.kinds)
    loaded = f"loaded from {kinds}" if kinds else "built daily"
    yield f'<p><span class="tag {family(one.kind)}">{escape(one.kind)}</span> <span class="quiet">{loaded}</span></p>'
    yield f"<p>{escape(one.spec.comment)}</p>"
    rows = [
        (column.name, column.type + (" not null" if column.required else ""), one.role[column.name], column.comment)
        for column in one.spec.columns
    ]
    yield _table(("column", "type", "role", "meaning"), rows)
    for view in one.views:
        yield f"<p><b>View <code>{escape(view.name)}</code></b> {escape(view.comment)}</p>"
        yield _table(("column", "meaning"), [(column.name, column.comment) for column in view.columns])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "\n".join(
        f"<tr><td><code>{escape(row[0])}</code></td>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f'<div class="table"><table>\n<tr>{titles}</tr>\n{body}\n</table></div>'
