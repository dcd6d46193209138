"""`mainstem connector authorize`: an admin of the source signs in once, in a browser."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from mainstem.cli.connector_desk import Desk, Name, run
from mainstem.cli.context import DataDir, Json, print_json
from mainstem.cli.failures import CliError

if TYPE_CHECKING:
    from mainstem.connectors.sign_in import SignIn

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_WAIT_S = 600.0


def authorize(
    name: Name,
    *,
    answer: Annotated[
        str | None,
        typer.Option(help="The whole address at which the browser ended, of a sign-in that was begun before."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the browser, or for the address to be pasted.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let an admin of the source sign in: prints where, and takes the code that comes back.

    Where TRIPLESEAT_REDIRECT_URI is an address of this machine the code is taken there; where it is the hub's own
    /oauth/callback the hub takes it; else paste the address at which the browser ended.
    """

    async def action(desk: Desk) -> None:
        sign_in = (await desk.one(name)).connector.sign_in
        if sign_in is None:
            line = f"{name} needs no sign-in: TRIPLESEAT_OAUTH_GRANT=authorization_code asks for one"
            raise CliError(line)
        await _signed_in(sign_in, answer, wait=wait, as_json=as_json)

    run(data_dir, action)


async def _signed_in(sign_in: "SignIn", answer: str | None, *, wait: bool, as_json: bool) -> None:
    from mainstem.connectors.ports import UpstreamError
    from mainstem.connectors.sign_in import code_of
    from mainstem.platform.errors import MainstemError

    try:
        if answer is None:
            begun = await sign_in.begin("cli")
            if as_json:
                told = {"url": begun.url, "redirect_uri": begun.redirect_uri}
                print_json({**told, "expires_at": begun.expires_at})
            else:
                typer.echo(f"sign in as an admin of the source, within ten minutes:\n{begun.url}")
            if not wait:
                return
            parts = urlsplit(begun.redirect_uri)
            if parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port is not None:
                answer = await asyncio.wait_for(_came_back(parts.hostname, parts.port), _WAIT_S)
            else:
                prompt = "address at which the browser ended (empty: the hub has taken it)"
                answer = await asyncio.to_thread(typer.prompt, prompt, default="", show_default=False, err=True)
        if answer:
            await sign_in.end(*code_of(answer))
        elif not await sign_in.is_done():
            line = "nobody has signed in yet"
            raise CliError(line)
    except MainstemError as error:
        raise CliError(error.detail) from error
    except (UpstreamError, TimeoutError, OSError) as error:
        line = str(error) or "nobody came back in time"
        raise CliError(line) from error
    if not as_json:
        typer.echo("signed in", err=True)


async def _came_back(host: str, port: int) -> str:
    """Return the address at which a browser comes to this machine with a code, or with a refusal."""
    from aiohttp import web

    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def page(request: web.Request) -> web.Response:
        if not {"state", "error"} & set(request.query):
            # icons and the like
            return web.Response(status=404)
        if not came.done():
            came.set_result(str(request.rel_url))
        return web.Response(text="You can close this page; the command line tells how it went.")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        return await came
    finally:
        await runner.cleanup()
