"""`mainstem subject`: people whose personal data is kept: find, export, erase, and the change of the key."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.pii.box import Keyring
    from mainstem.pii.identify import Identifier
    from mainstem.pii.theirs import Kept
    from mainstem.platform.db import Connection
    from mainstem.subjects.find import Found

app = typer.Typer(help="People: what is known of them, and their erasure.", no_args_is_help=True)

Email = Annotated[str | None, typer.Option(help="E-mail address of the person.")]
Phone = Annotated[str | None, typer.Option(help="Phone number of the person.")]
UserId = Annotated[str | None, typer.Option(help="The sender's id of the person.")]
Subject = Annotated[UUID | None, typer.Option(help="Id of the person, as `subject find` prints it.")]

_COLUMNS: Final = ["subject_id", "created_at", "erased_at", "known_by"]
_REWRAPPED: Final = 1_000
_CONNECT_TIMEOUT_S: Final = 10

_Action = Callable[["Connection", "Keyring"], Awaitable[None]]


@app.command("find")
def find(
    tenant: TenantSlug,
    *,
    email: Email = None,
    phone: Phone = None,
    user_id: UserId = None,
    subject: Subject = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find people by what they are known by; prints ids, nothing personal."""

    async def action(connection: "Connection", keyring: "Keyring") -> None:
        _, people, _ = await _people(connection, keyring, tenant, (email, phone, user_id), subject)
        if as_json:
            print_json([asdict(one) for one in people])
        elif people:
            print_table(_COLUMNS, [_row(one) for one in people])
        else:
            typer.echo("nobody is known by that", err=True)

    _run(data_dir, action)


@app.command("export")
def export(
    tenant: TenantSlug,
    *,
    email: Email = None,
    phone: Phone = None,
    user_id: UserId = None,
    subject: Subject = None,
    file: Annotated[Path | None, typer.Option(help="File to write, for its owner alone; else standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write all that is known of one person as JSON, opened."""
    from mainstem.subjects.export import export as parts_of

    async def action(connection: "Connection", keyring: "Keyring") -> None:
        tenant_id, people, _ = await _people(connection, keyring, tenant, (email, phone, user_id), subject)
        parts = parts_of(connection, keyring, tenant_id, _one(people).subject_id, kept=_kept(keyring))
        if file is None:
            async for part in parts:
                sys.stdout.write(part)
            return
        draft = file.with_name(file.name + ".new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        try:
            with draft.open("w", encoding="utf-8") as stream:
                async for part in parts:
                    stream.write(part)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        typer.echo(f"{file}: {file.stat().st_size:,} bytes", err=True)

    _run(data_dir, action)


@app.command("erase")
def erase(
    tenant: TenantSlug,
    *,
    email: Email = None,
    phone: Phone = None,
    user_id: UserId = None,
    subject: Subject = None,
    ticket: Annotated[str | None, typer.Option(help="Reference of the request; it is kept.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Erase people for good: everybody to whom the identifiers lead. Erasing again changes nothing."""
    from mainstem.subjects.erase import erase as erase_one

    async def action(connection: "Connection", keyring: "Keyring") -> None:
        tenant_id, people, known_as = await _people(connection, keyring, tenant, (email, phone, user_id), subject)
        if not people:
            line = "nobody is known by that: nothing to erase"
            raise CliError(line)
        if not yes:
            print_table(_COLUMNS, [_row(one) for one in people])
            typer.confirm("Erase for good?", abort=True, err=True)
        done = [
            await erase_one(
                connection,
                keyring,
                tenant_id,
                one.subject_id,
                by="cli",
                ticket=ticket,
                known_as=known_as,
                kept=_kept(keyring),
            )
            for one in people
        ]
        if as_json:
            print_json([asdict(one) for one in done])
            return
        for proof in done:
            when = "was erased before" if proof.repeated else "erased"
            counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in proof.counts.items())
            typer.echo(f"{proof.subject_id} {when} ({counts})")

    _run(data_dir, action)


@app.command("erasures")
def erasures(tenant: TenantSlug, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List who was erased, the latest first: ids and proofs, nothing personal."""
    from mainstem.platform.tenants import get_tenant
    from mainstem.subjects.erase import list_erasures

    async def action(connection: "Connection", _: "Keyring") -> None:
        done = await list_erasures(connection, (await get_tenant(connection, tenant)).id)
        rows = [asdict(one) for one in done]
        if as_json:
            print_json(rows)
        elif rows:
            print_table(["subject_id", "erased_at", "erased_by", "ticket"], rows)
        else:
            typer.echo("nobody was erased", err=True)

    _run(data_dir, action)


@app.command("rewrap")
def rewrap(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Wrap all keys of people, secrets of webhooks and what connectors keep sealed by the current PII_KEY; afterwards PII_KEY_PREVIOUS may go.

    Safe to repeat, and to interrupt.
    """
    from rich.console import Console
    from rich.progress import Progress

    from mainstem.connectors import rewrap as connectors
    from mainstem.pii import store as people
    from mainstem.webhooks import rewrap as webhooks

    async def action(connection: "Connection", keyring: "Keyring") -> None:
        done = 0
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            kinds = (people, webhooks, connectors)
            total = sum([await kind.not_current(connection, keyring) for kind in kinds])
            task = bar.add_task("rewrapping", total=total)
            for kind in kinds:
                while True:
                    async with connection.transaction():
                        wrapped = await kind.rewrap(connection, keyring, _REWRAPPED)
                    if not wrapped:
                        break
                    done += wrapped
                    bar.update(task, completed=done)
        if as_json:
            print_json({"rewrapped": done, "key_id": keyring.key_id})
        else:
            typer.echo(f"{done:,} keys wrapped anew, by the key {keyring.key_id}")

    _run(data_dir, action, one_transaction=False)


async def _people(
    connection: "Connection",
    keyring: "Keyring",
    tenant: str,
    given: tuple[str | None, str | None, str | None],
    subject: UUID | None,
) -> "tuple[int, list[Found], list[Identifier]]":
    """Return the tenant, the people who are meant and the identifiers that were given. Raises CliError, NotFoundError."""
    from mainstem.pii.store import Subjects
    from mainstem.platform.tenants import get_tenant
    from mainstem.subjects import find as found

    email, phone, user_id = given
    if subject is None and not any(given):
        line = "say who: --email, --phone, --user-id or --subject"
        raise CliError(line, ExitCode.USAGE)
    tenant_id = (await get_tenant(connection, tenant)).id
    known_as = found.identifiers_of(email=email, phone=phone, user_id=user_id) if any(given) else []
    met = await found.find_or_meet(connection, Subjects(keyring), tenant_id, known_as, _kept(keyring))
    people = {one.subject_id: one for one in met}
    if subject is not None:
        people[subject] = await found.get(connection, tenant_id, subject)
    return tenant_id, list(people.values()), known_as


def _kept(keyring: "Keyring") -> "Sequence[Kept]":
    """Return what other parts of the product keep of people."""
    from mainstem.connectors.erasing import KeptByConnectors

    return (KeptByConnectors(keyring),)


def _one(people: "list[Found]") -> "Found":
    if len(people) == 1:
        return people[0]
    line = "nobody is known by that" if not people else "that leads to several people: say which with --subject"
    raise CliError(line)


def _row(one: "Found") -> dict[str, object]:
    known_by = [f"{kind} ({count})" if count > 1 else kind for kind, count in one.identifiers.items()]
    return {**asdict(one), "known_by": known_by}


def _run(data_dir: Path | None, action: _Action, *, one_transaction: bool = True) -> None:
    import asyncpg

    from mainstem.pii.box import Keyring
    from mainstem.platform.secrets import pii_keys

    settings = load()
    folder = data_folder(settings, data_dir)

    async def run(dsn: str) -> None:
        server = {"application_name": "mainstem-cli", "timezone": "UTC"}
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=server)
        try:
            keyring = Keyring(*pii_keys(settings, folder))
            if not one_transaction:
                await action(connection, keyring)
                return
            async with connection.transaction():
                await action(connection, keyring)
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)

    with database(settings, folder) as dsn:
        asyncio.run(run(dsn))
