"""The command line. Every command imports what it needs when it runs, so that `mainstem --help` answers at once.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the database can't be reached. Data goes to standard output
(`--json` for programs), everything else to standard error; an error is one line.
"""

import sys
from collections.abc import Sequence

import typer

from mainstem.cli import (
    alerts,
    archive,
    connectors,
    database,
    docs,
    importing,
    keys,
    links,
    migrations,
    rejects,
    sandbox,
    serving,
    subjects,
    tasks,
    tenants,
    up,
    user_links,
    users,
    vault,
    vault_check,
    vault_docs,
    vault_model,
    vault_query,
    vault_rebuild,
    webhooks,
)
from mainstem.cli.failures import explain

__all__ = ["app", "main"]

app = typer.Typer(
    name="mainstem",
    help="A self-hosted hub that follows one customer from click to visit to booking to order to follow-up.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("up")(up.up)
app.command("serve")(serving.serve)
app.command("work")(serving.work)
app.add_typer(migrations.app, name="migrate")
app.add_typer(database.app, name="db")
app.add_typer(tenants.app, name="tenant")
app.add_typer(keys.app, name="key")
app.add_typer(users.app, name="user")
users.app.command("invite")(user_links.invite)
users.app.command("reset")(user_links.reset)
app.add_typer(links.app, name="links")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(alerts.app, name="alerts")
app.add_typer(connectors.app, name="connector")
app.add_typer(importing.app, name="import")
app.add_typer(rejects.app, name="rejects")
vault.app.command("check")(vault_check.check)
vault.app.command("rebuild")(vault_rebuild.rebuild)
app.add_typer(archive.app, name="archive")
app.add_typer(subjects.app, name="subject")
app.add_typer(tasks.app, name="task")
vault.app.command("plan")(vault_model.plan)
vault.app.command("apply")(vault_model.apply)
vault.app.command("backfill")(vault_model.backfill)
vault.app.command("docs")(vault_docs.docs)
app.add_typer(vault.app, name="vault")
vault.app.command("query")(vault_query.query)
app.command("sandbox")(sandbox.sandbox)
app.command("settings")(docs.settings)
app.command("openapi")(docs.openapi)
app.command("version")(docs.version)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; Typer itself answers wrong usage."""
    try:
        app(arguments)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        typer.echo(f"mainstem: {failure.line}", err=True)
        sys.exit(failure.code)
