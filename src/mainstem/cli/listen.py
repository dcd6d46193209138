"""`mainstem webhooks listen`: a receiver on this machine that checks signatures and shows what comes."""

import asyncio
import json
import time
from typing import Annotated, Any

import typer

from mainstem.cli.context import Json, print_json


def listen(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 9000,
    secret: Annotated[
        str | None, typer.Option(help="Secret of the endpoint, whsec_…", envvar="WEBHOOK_SECRET", show_envvar=True)
    ] = None,
    status: Annotated[int, typer.Option(help="Status to answer: 500 shows what retries do.", min=200, max=599)] = 200,
    as_json: Json = False,
) -> None:
    """Receive webhooks on this machine, check their signatures and show them, until Ctrl-C.

    The hub reaches it only with OUTBOUND_ALLOW=127.0.0.0/8.
    """
    from mainstem.platform.errors import InvalidFieldError
    from mainstem.webhooks.sign import Secret

    try:
        secrets = [] if secret is None else [Secret.parse(secret)]
    except InvalidFieldError as error:
        raise typer.BadParameter(error.detail, param_hint="--secret") from None
    try:
        asyncio.run(_serve(port, secrets, status, as_json=as_json))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise typer.BadParameter(f"port {port} can't be had: {error.strerror}", param_hint="--port") from None


async def _serve(port: int, secrets: list[Any], status: int, *, as_json: bool) -> None:
    from aiohttp import web

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        _show(_told(request, body, secrets), as_json=as_json)
        return web.Response(status=status)

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/{path:.*}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        if as_json:
            print_json({"listening": address})
        else:
            typer.echo(f"listening at {address}" + ("" if secrets else "; without --secret signatures are not checked"))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _told(request: Any, body: bytes, secrets: list[Any]) -> dict[str, Any]:  # noqa: ANN401 - aiohttp is loaded late
    from mainstem.webhooks.sign import SignatureError, verify

    headers = {name.lower(): value for name, value in request.headers.items()}
    verified: bool | None = None
    reason = None
    if secrets:
        try:
            verify(secrets, headers, body, time.time())
            verified = True
        except SignatureError as error:
            verified, reason = False, str(error)
    try:
        shown = json.loads(body)
    except ValueError:
        shown = body.decode(errors="replace")
    return {
        "path": request.path,
        "webhook_id": headers.get("webhook-id"),
        "verified": verified,
        "reason": reason,
        "body": shown,
    }


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    colour, word = {
        True: (typer.colors.GREEN, "verified"),
        False: (typer.colors.RED, f"refused: {told['reason']}"),
        None: (typer.colors.YELLOW, "unchecked"),
    }[told["verified"]]
    typer.echo(f"{typer.style(word, fg=colour)}  {told['path']}  {told['webhook_id'] or ''}")
    typer.echo(json.dumps(told["body"], indent=2, ensure_ascii=False))
