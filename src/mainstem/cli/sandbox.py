"""`mainstem sandbox`: Tripleseat, Revel and a language model to try the hub on, without an account."""

import asyncio
import shlex
from typing import Annotated

import typer

from mainstem.cli.context import Json, load, print_json
from mainstem.cli.stopping import ended_by_signal


def sandbox(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the admin API answers this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8900,
    target: Annotated[
        str, typer.Option(help="Where Tripleseat sends webhooks of its first site; empty sends none.")
    ] = "http://127.0.0.1:8000/webhooks/tripleseat",
    seed: Annotated[int, typer.Option(help="What the made-up data, credentials and dice come from.")] = 1,
    assistant: Annotated[
        bool,
        typer.Option(help="Print the settings that point the assistant at the stand-in for a language model, too."),
    ] = False,
    print_only: Annotated[bool, typer.Option("--print", help="Print the settings of a sandbox, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Run stand-ins for Tripleseat, Revel and a language model, and print the settings that point a hub at them.

    All is made up and in memory. docs/guides/sandbox.md tells how to book, to look and to break things.
    """
    from mainstem.platform.addresses import parse_networks
    from mainstem.sandbox.box import Sandbox
    from mainstem.sandbox.pointing import assistant_settings, settings
    from mainstem.sandbox.server import listen, serve, shown_address

    def pointing(address: str) -> dict[str, str]:
        return {**settings(box, address), **(assistant_settings(box, address) if assistant else {})}

    allow = parse_networks(["127.0.0.0/8", "::1", *load().outbound_allow])
    box = Sandbox(seed, target=target or None, allow=allow)
    if print_only:
        if not port:
            raise typer.BadParameter("which port will be free can't be told", param_hint="--port")
        _tell(pointing(shown_address(host, port)), as_json=as_json)
        return
    try:
        opened, address = listen(host, port)
    except OSError as error:
        raise typer.BadParameter(f"{host} port {port} can't be had: {error.strerror}", param_hint="--port") from None
    with ended_by_signal(), opened:
        _tell(pointing(address), as_json=as_json)
        asyncio.run(serve(box, opened))


def _tell(pointing: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(pointing)
        return
    address = pointing["SANDBOX_URL"]
    for name, value in pointing.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(
        f"""
# Put these into the environment of `mainstem up`. Then, in another terminal:
#   curl -X POST {address}/admin/events -d '{{}}'         books an event of today and sends its webhook
#   curl {address}/admin/orders                         shows what has reached the point of sale
#   curl -X POST {address}/admin/faults -d '{{"kind": "timeout_after_commit", "route": "/specialresources/cart/submit", "count": 1}}'
# Ctrl-C ends it; nothing is kept. docs/guides/sandbox.md has the rest."""
    )
