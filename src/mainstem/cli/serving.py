"""`mainstem serve` and `mainstem work`: the parts of `mainstem up` as processes of their own."""

from typing import Annotated

import typer

from mainstem.cli.context import DataDir, data_folder, database, load
from mainstem.cli.stopping import ended_by_signal, ignore_signals

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="API_HOST, 127.0.0.1")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.", show_default="API_PORT, 8000"),
]


def serve(
    *,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes.", show_default="API_WORKERS, 1")
    ] = None,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Serve HTTP only, in one or several processes; `mainstem work` does the loading."""
    settings = load()
    folder = data_folder(settings, data_dir)
    address = host or settings.api_host
    number = settings.api_port if port is None else port
    from mainstem import app
    from mainstem.cli.up import prepare, require_port

    require_port(address, number)
    with ended_by_signal(), database(settings, folder, make=True) as dsn:
        prepare(dsn, folder)
        try:
            code = app.serve(
                settings, dsn, data_dir=folder, host=address, port=number, workers=workers or settings.api_workers
            )
        finally:
            ignore_signals()
    raise typer.Exit(code)


def work(*, data_dir: DataDir = None) -> None:
    """Load and maintain only; `mainstem serve` takes the events in. Run as many as there are lanes."""
    settings = load()
    folder = data_folder(settings, data_dir)
    from mainstem import worker
    from mainstem.cli.up import prepare

    with ended_by_signal(), database(settings, folder, make=True) as dsn:
        prepare(dsn, folder)
        try:
            code = worker.run(settings, dsn, data_dir=folder)
        finally:
            ignore_signals()
    raise typer.Exit(code)
