"""`mainstem up`: everything in one process, with an embedded PostgreSQL unless another is configured."""

import errno
import fcntl
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, data_folder, load
from mainstem.cli.failures import CliError
from mainstem.cli.serving import Host, Port
from mainstem.cli.stopping import ended_by_signal, ignore_signals

if TYPE_CHECKING:
    from mainstem.cli.demo import Demo
    from mainstem.cli.demo_bookings import StandIns
    from mainstem.platform.settings import Settings


def up(
    *,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Start without the demo tenant.")] = False,
) -> None:
    """Run everything in this process: HTTP, loader, maintenance, and PostgreSQL unless DATABASE_URL names one."""
    settings = load()
    folder = data_folder(settings, data_dir)
    address = host or settings.api_host
    number = settings.api_port if port is None else port
    try:
        require_port(address, number)
    except CliError as error:
        raise _already_up(folder) or error from error
    with ended_by_signal(), _own_database(settings, folder) as dsn:
        prepare(dsn, folder)
        code = _serve(settings, dsn, folder, address, number, demo=not no_demo)
    raise typer.Exit(code)


def require_port(host: str, port: int) -> None:
    """Refuse in one line when the port can't be had, before anything is started. Raises CliError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as error:
        line = f"{host} is no address of this machine: choose another with --host"
        raise CliError(line) from error
    except OSError as error:
        reason = {
            errno.EADDRINUSE: f"port {port} of {host} is in use: stop what uses it, or choose another with --port",
            errno.EACCES: f"port {port} needs root: choose one from 1024 up with --port",
            errno.EADDRNOTAVAIL: f"{host} is no address of this machine: choose another with --host",
        }.get(error.errno or 0, f"can't listen on {host} port {port}: {error.strerror}")
        raise CliError(reason) from error


def _already_up(data_dir: Path) -> CliError | None:
    """Return the better reason when the port is taken by a Mainstem on the same data: the second `make up`."""
    path = data_dir / "mainstem.lock"
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = path.read_text(encoding="utf-8").strip()
        return CliError(f"Mainstem is up on {data_dir} already: process {holder}")
    except OSError:
        return None
    return None


def prepare(dsn: str, data_dir: Path) -> None:
    """Bring the schema to the newest revision, and make the data folder for spool and secrets."""
    from mainstem.platform import migrate

    before = migrate.upgrade(dsn)
    if before.pending:
        typer.echo(f"schema: {before.current or 'empty'} -> {before.head}", err=True)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _own_database(settings: "Settings", data_dir: Path) -> Iterator[str]:
    from mainstem.platform.embedded import EmbeddedPostgres
    from mainstem.platform.settings import database_dsn

    dsn = database_dsn(settings)
    if dsn is not None:
        yield dsn
        return
    with EmbeddedPostgres(data_dir) as server:
        server.supervise()
        yield server.dsn


def _serve(settings: "Settings", dsn: str, data_dir: Path, host: str, port: int, *, demo: bool) -> int:
    from mainstem import app
    from mainstem.cli.demo import ensure_demo
    from mainstem.cli.demo_bookings import near, stand_ins, wanted
    from mainstem.platform import log

    log.configure(settings)
    shown = ensure_demo(settings, dsn, data_dir) if demo else None
    with ExitStack() as stack:
        others: StandIns | None = None
        if shown is not None and wanted(settings) and near(host):
            others, settings = stack.enter_context(stand_ins(settings, data_dir, tenant=shown.tenant, port=port))

        def on_ready(url: str) -> None:
            if others is not None:
                others.begin(url)
            typer.echo(f"ready {url}")
            typer.echo(_welcome(url, data_dir, shown, others, mcp=settings.mcp_enabled))
            sys.stdout.flush()

        beside = None if others is None else others.beside
        try:
            return app.run(settings, dsn, data_dir=data_dir, host=host, port=port, on_ready=on_ready, beside=beside)
        finally:
            ignore_signals()


def _welcome(url: str, data_dir: Path, demo: "Demo | None", others: "StandIns | None", *, mcp: bool) -> str:
    folder = _short(data_dir)
    script = Path(sys.executable).with_name("mainstem")
    program = shlex.quote(_short(script)) if script.exists() else "mainstem"
    option = "" if folder == "data" else f" --data-dir {shlex.quote(folder)}"
    lines = [f"  API docs   {url}/docs", f"  SQL        {program} db psql{option}"]
    if mcp:
        lines.append(f"  MCP        {url}/mcp")
    if demo is None:
        lines.append(f"  API key    {program} key create --tenant default --scope ingest,read{option}")
    else:
        lines.extend(_ways_in(url, demo))
    if others is not None:
        lines.append(
            f"  Bookings   curl {others.address}/admin/events -d '{{}}'    a stand-in for Tripleseat books an event of today"
        )
        lines.append(
            f"             {program} connector orders tripleseat{option}    the order that a stand-in for Revel has got"
        )
    return "\n".join(lines)


def _ways_in(url: str, demo: "Demo") -> Iterator[str]:
    key_file, password_file = (shlex.quote(_short(path)) for path in (demo.key_file, demo.password_file))
    bearer = f'-H "Authorization: Bearer $(cat {key_file})"'
    yield f"  API key    {f'{demo.key}  (kept in {key_file})' if demo.fresh else f'in {key_file}'}"
    if demo.password is None:
        yield f"  Sign in    {demo.email}, with the password that was in {password_file}"
    else:
        shown = f"{demo.password}  (kept in {password_file})" if demo.fresh else f"in {password_file}"
        yield f"  Sign in    {demo.email}, password {shown}"
        yield f'             curl {url}/api/v1/auth/token -d username={demo.email} -d "password=$(cat {password_file})"'
    yield f"  Try        curl {url}/api/v1/track {bearer} -H 'Content-Type: application/json' \\"
    yield """               -d '{"page_url": "https://www.example.com/menu"}'"""
    yield f'             curl "{url}/api/v1/track/dashboard?limit=3" {bearer}'


def _short(path: Path) -> str:
    """Return the path as the person can type it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
