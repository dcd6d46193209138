"""`mainstem connector`: how connectors are, runs, what differs, the ledger of orders, from the command line."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mainstem.cli.bar import Bar
from mainstem.cli.connector_authorize import authorize
from mainstem.cli.connector_desk import Desk, Name, run
from mainstem.cli.connector_mapping import app as mapping_app
from mainstem.cli.context import DataDir, Json, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.connectors.models import DiffOut, SyncOut

app = typer.Typer(help="Connectors: bookings of one system as orders of another.", no_args_is_help=True)
app.add_typer(mapping_app, name="mapping")
app.command("authorize")(authorize)

_COLUMNS: Final = ["name", "state", "establishment", "bookings", "orders", "open_deliveries", "next_run_at", "last_run"]
_PROBE_COLUMNS: Final = ["side", "resource", "ok", "sentence"]
_EVENT_COLUMNS: Final = ["id", "date", "status", "reason", "order_id", "name", "error"]
_DIFF_COLUMNS: Final = ["kind", "booking_id", "order_id", "sentence", "done"]
_ORDER_COLUMNS: Final = ["id", "booking_id", "date", "state", "reason", "order_id", "total", "attempts", "name"]
_STEP_COLUMNS: Final = ["at", "was", "state", "reason", "order_id", "by"]
_DELIVERY_COLUMNS: Final = ["id", "received_at", "signature", "trigger", "booking_id", "outcome", "error"]
_LISTED: Final = 50
Limit = Annotated[int, typer.Option(help="Most rows.", min=1, max=10_000)]
Hours = Annotated[
    int, typer.Option(help="Bookings that changed or take place since so many hours ago.", min=1, max=744)
]


@app.command("list")
def list_(data_dir: DataDir = None, *, as_json: Json = False) -> None:
    """List connectors and how they are."""

    async def action(desk: Desk) -> list[dict[str, Any]]:
        return [await _state(desk, name) for name in desk.connectors.all]

    rows = run(data_dir, action)
    if not as_json:
        for row in rows:
            row["orders"] = " ".join(f"{state}:{count}" for state, count in row["orders"].items())
    _print(rows, _COLUMNS, "no connectors", as_json=as_json)


@app.command("probe")
def probe(name: Name, data_dir: DataDir = None, *, as_json: Json = False) -> None:
    """Ask both ends whether they may be used; changes nothing. Exit code 1 where one may not."""

    async def action(desk: Desk) -> list[dict[str, Any]]:
        connector = (await desk.one(name)).connector
        sides = (("source", await connector.source.probe()), ("sink", await connector.sink.probe()))
        return [
            {"side": side, "resource": one.resource, "ok": one.ok, "sentence": one.sentence, "status": one.status}
            for side, found in sides
            for one in found
        ]

    rows = run(data_dir, action)
    _print(rows, _PROBE_COLUMNS, "nothing to ask", as_json=as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@app.command("run")
def run_(
    name: Name,
    *,
    event_id: Annotated[str | None, typer.Option(help="One booking, by its id at the source.")] = None,
    hours_back: Hours = 48,
    dry_run: Annotated[bool, typer.Option(help="Tell what would be done, and write nothing.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Bring orders to where their bookings are, now. Exit code 1 where something failed."""
    report = _run(name, event_id, hours_back, dry_run=dry_run, data_dir=data_dir)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print([one.model_dump(mode="json") for one in report.events], _EVENT_COLUMNS, "no bookings", as_json=False)
        figures = ", ".join(f"{count} {what}" for what, count in report.summary.model_dump().items())
        typer.echo(f"run {report.run_id}{' (dry run)' if report.dry_run else ''}: {figures}", err=True)
        if report.differences:
            typer.echo(f"{report.differences} differences: mainstem connector diff {name}", err=True)
        if report.error:
            typer.echo(report.error, err=True)
    if not report.success:
        raise typer.Exit(ExitCode.FAILED)


@app.command("diff")
def diff(
    name: Name,
    *,
    run_id: Annotated[int | None, typer.Option(help="A certain run; the latest when absent.", min=1)] = None,
    fresh: Annotated[bool, typer.Option(help="Look now, by a dry run over --hours-back.")] = False,
    hours_back: Hours = 48,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show what differs between bookings, ledger and sink. Exit code 1 where something still does."""
    if fresh:
        if run_id is not None:
            line = "--fresh makes a run of its own: leave out --run-id"
            raise CliError(line, ExitCode.USAGE)
        report = _run(name, None, hours_back, dry_run=True, data_dir=data_dir)
        if report.error:
            raise CliError(report.error)
        run_id = report.run_id

    async def action(desk: Desk) -> "DiffOut":
        from mainstem.connectors import runs
        from mainstem.connectors.answers import diff_out
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            found = await runs.read(connection, one.tenant_id, name, run_id)
        if found is None and run_id is not None:
            line = f"there is no run {run_id}"
            raise CliError(line)
        return diff_out(found)

    found = run(data_dir, action)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print([one.model_dump(mode="json") for one in found.items], _DIFF_COLUMNS, _nothing(found), as_json=False)
    if any(one.done is None for one in found.items):
        raise typer.Exit(ExitCode.FAILED)


@app.command("orders")
def orders(
    name: Name,
    *,
    state: Annotated[
        str | None, typer.Option(help="deferred, planned, submitting, confirmed, failed, unknown, …")
    ] = None,
    event_id: Annotated[str | None, typer.Option(help="Those of one booking.")] = None,
    steps: Annotated[int | None, typer.Option(help="Every step of the order with this id.", min=1)] = None,
    limit: Limit = _LISTED,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the order ledger, the latest rows first."""

    async def action(desk: Desk) -> list[dict[str, Any]]:
        from mainstem.connectors import runs
        from mainstem.connectors.answers import order_out
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            if steps is not None:
                return [dict(row) for row in await runs.steps(connection, one.tenant_id, name, steps)]
            rows, _ = await runs.orders(
                connection, one.tenant_id, name, state=state, booking_id=event_id, limit=limit, offset=0
            )
        return [order_out(row).model_dump(mode="json") for row in rows]

    _print(run(data_dir, action), _ORDER_COLUMNS if steps is None else _STEP_COLUMNS, "no orders", as_json=as_json)


@app.command("deliveries")
def deliveries_(
    name: Name,
    *,
    event_id: Annotated[str | None, typer.Option(help="Those of one booking.")] = None,
    limit: Limit = _LISTED,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show deliveries as they came, the latest first."""

    async def action(desk: Desk) -> list[dict[str, Any]]:
        from mainstem.connectors import deliveries
        from mainstem.connectors.answers import delivery_out
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            rows, _ = await deliveries.page(connection, one.tenant_id, name, booking_id=event_id, limit=limit, offset=0)
        return [delivery_out(row).model_dump(mode="json") for row in rows]

    _print(run(data_dir, action), _DELIVERY_COLUMNS, "no deliveries", as_json=as_json)


@app.command("replay")
def replay(
    name: Name,
    deliveries: Annotated[list[int], typer.Argument(help="Ids of deliveries, as `connector deliveries` prints them.")],
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Work on deliveries again. Exit code 1 where one can't be: it is not done with, repeats another, or is not kept."""

    async def action(desk: Desk) -> list[int]:
        from mainstem.connectors import deliveries as store
        from mainstem.platform.db import transaction

        one = await desk.one(name)
        async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
            asked = dict.fromkeys(number for number in deliveries if 0 < number < 2**63)
            queued = [number for number in asked if await store.replay(connection, one.tenant_id, name, number)]
        # whatever else waits is worked on, too: a working process would do the same
        while queued and await one.inbox.work_due():
            pass
        return queued

    queued = run(data_dir, action)
    if as_json:
        print_json({"replayed": queued})
    else:
        typer.echo(f"{len(queued)} of {len(set(deliveries))} worked on: mainstem connector deliveries {name}")
    if len(queued) < len(set(deliveries)):
        raise typer.Exit(ExitCode.FAILED)


def _run(name: str, event_id: str | None, hours_back: int, *, dry_run: bool, data_dir: Any) -> "SyncOut":  # noqa: ANN401 - an option
    async def action(desk: Desk) -> "SyncOut":
        from mainstem.connectors.answers import sync_out
        from mainstem.connectors.sync import OverlapError, Sync

        one = await desk.one(name)
        if not one.connector.enabled:
            line = f"{name} is switched off or not set up: see mainstem connector list"
            raise CliError(line)
        with Bar() as bar:
            sync = Sync(one.flow, bar.step)
            if event_id is not None:
                return sync_out(await sync.single(event_id, dry_run=dry_run, by="cli"))
            now = one.flow.clock()
            try:
                report = await sync.bulk(now - timedelta(hours=hours_back), now, dry_run=dry_run, by="cli")
            except OverlapError:
                line = f"another run of {name} is under way"
                raise CliError(line) from None
        return sync_out(report)

    return run(data_dir, action)


async def _state(desk: Desk, name: str) -> dict[str, Any]:
    from mainstem.connectors import runs
    from mainstem.platform.db import transaction

    one = await desk.one(name)
    connector = one.connector
    async with transaction(desk.pool, tenant_id=one.tenant_id) as connection:
        found = await runs.state(connection, one.tenant_id, name)
        latest, _ = await runs.page(connection, one.tenant_id, name, limit=1, offset=0)
        next_at = await runs.next_at(connection, one.tenant_id, name)
    state = ("dry run" if connector.dry_run else "on") if connector.enabled else "off"
    return {
        "name": name,
        "tenant": connector.tenant,
        "state": state,
        "establishment": connector.rules.establishment,
        "paths": list(connector.paths),
        "bookings": found["bookings"],
        "orders": runs.counts(found["orders"]),
        "open_deliveries": found["open_deliveries"],
        "last_delivery_at": found["last_delivery_at"],
        "next_run_at": next_at if connector.enabled else None,
        "last_run": _outcome(latest[0]) if latest else None,
    }


def _outcome(row: Any) -> str:  # noqa: ANN401 - a row
    if row["success"] is None:
        return f"{row['run_id']} under way"
    return f"{row['run_id']} {'done' if row['success'] else 'failed'}"


def _nothing(found: "DiffOut") -> str:
    return "no run yet" if found.run is None else "nothing differs"


def _print(rows: list[dict[str, Any]], columns: list[str], nothing: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_table(columns, rows)
    else:
        typer.echo(nothing, err=True)
