"""`mainstem connector mapping`: which product an item is, as a CSV file out and in, and what is missing in it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mainstem.cli.connector_desk import Desk, Name, run
from mainstem.cli.context import DataDir, Json, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.connectors.mapping import Entry

app = typer.Typer(help="Which product of the sink an item of the source is.", no_args_is_help=True)

_COLUMNS: Final = ["item", "bookings", "product", "product_name", "score"]
_LARGEST_BYTES: Final = 16_777_216


@app.command("export")
def export(
    name: Name,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output when absent.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the mapping as a CSV file: item,product,product_name,ignore."""

    async def action(desk: Desk) -> "list[Entry]":
        from mainstem.connectors import items
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            found = await items.item_map(connection, one.tenant_id, name, one.connector.rules.establishment)
        return list(found.values())

    from mainstem.connectors.mapping import write_csv

    text = write_csv(run(data_dir, action))
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command("import")
def import_(
    name: Name,
    file: Annotated[
        str, typer.Argument(help="CSV file with the columns item,product,product_name,ignore; - reads standard input.")
    ],
    *,
    replace: Annotated[bool, typer.Option(help="The file is the whole mapping: others are deleted.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take a CSV file in: all of it, or nothing. Bookings that waited for it are looked at again."""
    text = _read(file)

    async def action(desk: Desk) -> dict[str, int]:
        from mainstem.connectors import items
        from mainstem.connectors.mapping import read_csv
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        place = one.connector.rules.establishment
        entries = read_csv(text, place)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            gone = await items.put(connection, one.tenant_id, name, place, entries, by="cli", whole=replace)
        return {"imported": len(entries), "deleted": gone}

    done = run(data_dir, action)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done['imported']} items, {done['deleted']} deleted")


@app.command("propose")
def propose(
    name: Name,
    *,
    csv: Annotated[
        bool, typer.Option(help="Print lines to look through and import, the best proposal of each.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show items that hold bookings up, and products with a name like theirs. Nothing is chosen: a person imports it."""

    async def action(desk: Desk) -> list[dict[str, Any]]:
        from mainstem.connectors import items, mapping
        from mainstem.connectors.ports import UpstreamError
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        place = one.connector.rules.establishment
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            missing = await items.unmapped(connection, one.tenant_id, name, place)
        products: list[tuple[str, str]] = []
        if missing and one.connector.products is not None:
            try:
                products = await one.connector.products(place)
            except UpstreamError as error:
                typer.echo(f"the products can't be read: {error}", err=True)
        return [
            {"item": item, "bookings": bookings, "proposals": mapping.propose(item, products)}
            for item, bookings in missing
        ]

    found = run(data_dir, action)
    if csv:
        from mainstem.connectors.mapping import Entry, write_csv

        best = [(one["item"], next(iter(one["proposals"]), None)) for one in found]
        entries = [Entry(item, two.product if two else None, two.product_name if two else "") for item, two in best]
        # an item without a product reads as one that is ignored: that is for a person to say
        typer.echo(write_csv(entries).replace(",yes\n", ",\n"), nl=False)
    elif as_json:
        print_json([{**one, "proposals": [_proposal(two) for two in one["proposals"]]} for one in found])
    elif not found:
        typer.echo("no item is missing", err=True)
    else:
        rows = []
        for one in found:
            proposals = one["proposals"] or [None]
            rows += [{**one, **_proposal(two)} for two in proposals]
        print_table(_COLUMNS, rows)


def _proposal(given: Any) -> dict[str, Any]:  # noqa: ANN401 - a proposal, or none
    return {name: None if given is None else getattr(given, name) for name in ("product", "product_name", "score")}


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(_LARGEST_BYTES + 1) if file == "-" else Path(file).read_bytes()
        text = data.decode()
    except UnicodeDecodeError:
        line = f"{file}: is no UTF-8 text"
        raise CliError(line, ExitCode.USAGE) from None
    if len(data) > _LARGEST_BYTES:
        line = f"{file}: is larger than {_LARGEST_BYTES} bytes"
        raise CliError(line, ExitCode.USAGE)
    return text
