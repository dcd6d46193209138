"""The files that are generated from the source and committed: written by `make docs`, checked by `make check`."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import typer
from typer.testing import CliRunner

from mainstem.cli import app
from mainstem.cli.vault_docs import reference_page
from mainstem.events import catalogue
from mainstem.platform import settings_docs
from mainstem.platform.settings import Settings

_OPENAPI_INDENT: Final = 2


def openapi_json() -> str:
    """Return `openapi.json`: every route, with the defaults of all settings, whatever this machine is set to."""
    from mainstem.api import create_api

    schema = create_api(Settings.model_construct()).openapi()
    return json.dumps(schema, indent=_OPENAPI_INDENT, ensure_ascii=False) + "\n"


def cli_page() -> str:
    """Return `docs/reference/cli.md`: the help of every command, as the program prints it."""
    lines = [
        "# Commands",
        "",
        "Generated from the source by `make docs`; changes here are lost.",
        "",
        "Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the database can't be reached. Data goes to standard",
        "output, everything else to standard error.",
        "",
    ]
    for path in _commands(app, ()):
        shown = CliRunner().invoke(app, [*path, "--help"], prog_name="mainstem", env={"COLUMNS": "100"})
        text = "\n".join(line.rstrip() for line in shown.output.rstrip().splitlines())
        lines += [f"## `{' '.join(('mainstem', *path))}`", "", "```text", text, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: typer.Typer, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for command in group.registered_commands:
        yield (*path, str(command.name))
    for child in group.registered_groups:
        if child.typer_instance is not None:
            yield from _commands(child.typer_instance, (*path, str(child.name)))


PAGES: Final[dict[str, Callable[[], str]]] = {
    **settings_docs.PAGES,
    "docs/reference/cli.md": cli_page,
    "docs/reference/events.md": catalogue.page,
    "docs/reference/vault-model.md": reference_page,
    "openapi.json": openapi_json,
}


def differing(root: Path) -> list[str]:
    """Return the generated files below `root` that are missing or differ from their source."""
    return [path for path, page in PAGES.items() if not _same(root / path, page())]


def write(root: Path) -> None:
    """Write the generated files below `root`."""
    for path, page in PAGES.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(), encoding="utf-8")


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    """Write the files below the current folder, or with `--check` name those that differ; return the exit code."""
    root = Path.cwd()
    if arguments != ["--check"]:
        write(root)
        return 0
    stale = differing(root)
    if stale:
        typer.echo(f"not up to date: {', '.join(stale)}; run make docs and commit them", err=True)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
