"""`mainstem connector authorize`: where to sign in is printed, and the code is taken however it comes back."""

import asyncio
import json
from urllib.parse import urlsplit

import httpx
import pytest
from e2e_server import free_port
from sandboxing import running

from mainstem.cli.connector_authorize import _came_back


@pytest.fixture
def signing(on_database, monkeypatch: pytest.MonkeyPatch):
    """Return `cli` with a connector whose source asks for a sign-in."""
    with running("--json") as process:
        told = json.loads(process.stdout.readline())
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TRIPLESEAT_OAUTH_GRANT", "authorization_code")
        monkeypatch.setenv("TRIPLESEAT_LOGIN_URL", f"{told['TRIPLESEAT_BASE_URL']}/oauth2/authorize")
        monkeypatch.setenv("TRIPLESEAT_REDIRECT_URI", "https://hub.example/oauth/callback")
        yield on_database


def test_the_address_at_which_the_browser_ended_is_taken(signing, monkeypatch) -> None:
    begun = json.loads(signing("connector", "authorize", "tripleseat", "--no-wait", "--json").out)
    assert urlsplit(begun["url"]).path.endswith("/oauth2/authorize")
    nobody = signing("connector", "authorize", "tripleseat", stdin="\n")
    assert (nobody.code, nobody.err.rstrip().endswith("mainstem: nobody has signed in yet")) == (1, True)
    back = httpx.get(begun["url"]).headers["location"]
    assert signing("connector", "authorize", "tripleseat", "--answer", back).code == 0
    assert signing("connector", "authorize", "tripleseat", "--answer", back).code == 1
    probed = json.loads(signing("connector", "probe", "tripleseat", "--json").out)
    assert probed[0]["ok"]
    monkeypatch.setenv("TRIPLESEAT_OAUTH_GRANT", "client_credentials")
    assert "needs no sign-in" in signing("connector", "authorize", "tripleseat").err


async def test_on_this_machine_the_browser_is_waited_for() -> None:
    port = free_port()
    waiting = asyncio.create_task(_came_back("127.0.0.1", port))
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", transport=httpx.AsyncHTTPTransport(retries=8)
    ) as browser:
        assert (await browser.get("/favicon.ico")).status_code == 404
        assert (await browser.get("/callback", params={"state": "s", "code": "c"})).status_code == 200
    assert await waiting == "/callback?state=s&code=c"
