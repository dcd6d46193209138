"""`mainstem migrate`: the schema, forth, back, and where it stands."""

from typing import Annotated

import typer

from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json

app = typer.Typer(help="The database's schema.", no_args_is_help=True)
Sql = Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")]


@app.command("up")
def up(*, sql: Sql = False, data_dir: DataDir = None) -> None:
    """Bring the schema to the newest revision; makes the embedded database when there is none."""
    from mainstem.platform import migrate

    settings = load()
    with database(settings, data_folder(settings, data_dir), make=not sql) as dsn:
        if sql:
            at = migrate.status(dsn)
            typer.echo("-- nothing to do" if at.is_current else migrate.upgrade_sql(at.current))
            return
        before = migrate.upgrade(dsn)
    typer.echo(f"{before.current or 'empty'} -> {before.head}" if before.pending else f"{before.current} is the newest")


@app.command("down")
def down(
    revision: Annotated[str, typer.Argument(help="-1 for one step, a revision, or base for an empty database.")] = "-1",
    *,
    sql: Sql = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Take the schema back. What the later revisions keep is lost."""
    from mainstem.platform import migrate

    settings = load()
    with database(settings, data_folder(settings, data_dir)) as dsn:
        at = migrate.status(dsn)
        if sql:
            typer.echo(migrate.downgrade_sql(at.current or at.head, revision))
            return
        if not yes:
            typer.confirm(f"Take {at.current} back to {revision}? Its tables and their rows are dropped.", abort=True)
        migrate.downgrade(dsn, revision)
        now = migrate.status(dsn)
    typer.echo(f"{at.current or 'empty'} -> {now.current or 'empty'}")


@app.command("status")
def status(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show the revision of the schema; exit code 1 while something is pending."""
    from mainstem.platform import migrate

    settings = load()
    with database(settings, data_folder(settings, data_dir)) as dsn:
        at = migrate.status(dsn)
    if as_json:
        print_json({"current": at.current, "head": at.head, "pending": list(at.pending), "is_current": at.is_current})
    else:
        pending = f"pending: {', '.join(at.pending)}" if at.pending else "up to date"
        typer.echo(f"{at.current or 'empty'} of {at.head}, {pending}")
    raise typer.Exit(0 if at.is_current else 1)
