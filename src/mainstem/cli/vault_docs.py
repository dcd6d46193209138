"""`mainstem vault docs`: the model as a diagram and a page, for people."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.context import DataDir, data_folder, load
from mainstem.cli.vault_model import ModelFile, read_file

if TYPE_CHECKING:
    from mainstem.vault.docs import Description

TITLE: Final = "The vault's model"
INTRO: Final = "Hubs name things, links relate them, satellites keep their history, facts are events."


class Format(StrEnum):
    """How the model is shown."""

    MARKDOWN = "markdown"
    HTML = "html"
    MERMAID = "mermaid"


_SUFFIXES: Final = {Format.MARKDOWN: "md", Format.HTML: "html", Format.MERMAID: "mmd"}


def docs(
    format: Annotated[
        Format, typer.Option(help="markdown and mermaid are texts, html is one page without network.")
    ] = Format.MARKDOWN,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the file vault-model.*; else standard output.", file_okay=False)
    ] = None,
    model: ModelFile = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Draw the vault's model, with yours where there is a model file, and describe its tables. Needs no database."""
    from mainstem.features import FEEDS
    from mainstem.vault.custom import files
    from mainstem.vault.docs import describe
    from mainstem.vault.model import TAKEN

    settings = load()
    path = files.find(model or settings.vault_model, data_folder(settings, data_dir))
    found = None if path is None else read_file(path)
    feeds = FEEDS if found is None else (*FEEDS, *found.feeds)
    text = _page(describe(TITLE, feeds, () if found is None else found.snapshots, taken=TAKEN), format)
    if out is None:
        typer.echo(text, nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"vault-model.{_SUFFIXES[format]}"
    target.write_text(text, encoding="utf-8")
    typer.echo(target)


def _page(description: "Description", format_: Format) -> str:
    from mainstem.vault.docs import flowchart, html_page, markdown_page

    match format_:
        case Format.MARKDOWN:
            return markdown_page(description, INTRO)
        case Format.HTML:
            return html_page(description, INTRO)
        case Format.MERMAID:
            return flowchart(description)


def reference_page() -> str:
    """Return `docs/reference/vault-model.md`: the built-in model."""
    from mainstem.features import FEEDS
    from mainstem.vault.docs import describe, markdown_page
    from mainstem.vault.model import TAKEN

    generated = "Generated from the source by `make docs`; changes here are lost."
    return markdown_page(describe(TITLE, FEEDS, taken=TAKEN), f"{generated} {INTRO}")
