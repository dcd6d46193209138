"""`mainstem settings`, `openapi`, `version`: what the program knows about itself."""

from typing import Annotated

import typer

import mainstem
from mainstem.cli.context import Json, print_json


def settings(
    *,
    env: Annotated[bool, typer.Option("--env", help="As .env.example.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the reference page.")] = False,
    as_json: Json = False,
) -> None:
    """Print every setting with its meaning and default."""
    from mainstem.platform import settings_docs

    del env  # the default form
    if as_json:
        print_json(_settings())
        return
    typer.echo(settings_docs.settings_page() if markdown else settings_docs.env_example(), nl=False)


def _settings() -> list[dict[str, object]]:
    from mainstem.platform.settings import Settings, environment_names

    rows: list[dict[str, object]] = []
    for field, info in Settings.model_fields.items():
        name, *other_names = environment_names(field, info)
        default = info.get_default(call_default_factory=True)
        rows.append({"name": name, "other_names": other_names, "description": info.description, "default": default})
    return rows


def openapi() -> None:
    """Print the OpenAPI description of the HTTP interface."""
    from mainstem.cli.generated import openapi_json

    typer.echo(openapi_json(), nl=False)


def version(*, as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": mainstem.__version__})
    else:
        typer.echo(mainstem.__version__)
