"""Signing in at a source: a code with PKCE, a state that serves once, tokens sealed at rest and renewed by one process at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from connectors.clients import reaching, source_at
from connectors.trading import body_of, trading
from links.visiting import serving
from sandboxing import sandboxing

from mainstem.connectors import deliveries
from mainstem.connectors.oauth import Grant, Tokens
from mainstem.connectors.ports import UpstreamError
from mainstem.connectors.rewrap import not_current, rewrap
from mainstem.connectors.sign_in import SignIn, SignInError, challenge_of, code_of, connector_of
from mainstem.connectors.tokens import SealedStore
from mainstem.pii.box import Keyring
from mainstem.platform.db import transaction
from mainstem.platform.keys import create_key

BACK = "http://127.0.0.1:8765/callback"
KEYRING = Keyring(bytes(32))


@pytest.fixture
async def town():
    async with sandboxing() as opened:
        await opened.admin.post("/reset", json={"events": False})
        yield opened


@pytest.fixture
async def outbound():
    async with reaching() as client:
        yield client


async def store_of(pool, *, keyring: Keyring = KEYRING) -> SealedStore:
    async with transaction(pool) as connection:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    store = SealedStore("tripleseat")
    store.bind(pool, keyring, tenant_id)
    return store


def source(town, outbound, store):
    return source_at(town, outbound, store=store, grant=Grant.AUTHORIZATION_CODE, redirect_uri=BACK)


def sign_in(town, outbound, store) -> SignIn:
    keeper = source(town, outbound, store).keeper
    return SignIn("tripleseat", keeper, store, f"{town.settings['TRIPLESEAT_BASE_URL']}/oauth2/authorize", BACK)


async def agreed(url: str) -> str:
    """Return the address to which a browser is sent back."""
    async with httpx.AsyncClient() as browser:
        return (await browser.get(url)).headers["location"]


async def signed_in(town, outbound, store) -> None:
    desk = sign_in(town, outbound, store)
    await desk.end(*code_of(await agreed((await desk.begin("test")).url)))


async def test_a_code_is_exchanged_with_the_verifier_and_tokens_are_sealed(worker_pool, town, outbound) -> None:
    store = await store_of(worker_pool)
    desk = sign_in(town, outbound, store)
    begun = await desk.begin("test")
    query = parse_qs(urlsplit(begun.url).query)
    assert (query["code_challenge_method"], query["redirect_uri"]) == (["S256"], [BACK])
    assert not await desk.is_done()
    address = await agreed(begun.url)
    await desk.end(*code_of(address))
    assert await desk.is_done()
    booked = await town.book()
    # another process, which was there before: it has the tokens by the database
    assert await source(town, outbound, await store_of(worker_pool)).booking(str(booked["id"]))
    kept = await store.load()
    async with transaction(worker_pool) as connection:
        rows = await connection.fetch(
            "select t::text from connectors.token t union all select s::text from connectors.sign_in s"
        )
    told = str(rows)
    assert not [one for one in (kept.access_token, kept.refresh_token, query["state"][0]) if one in told]
    with pytest.raises(SignInError):
        await desk.end(*code_of(address))


async def test_a_state_that_is_over_or_foreign_and_a_code_of_another_sign_in_bring_nothing(
    worker_pool, town, outbound
) -> None:
    store = await store_of(worker_pool)
    desk = sign_in(town, outbound, store)
    first, second = await desk.begin("one"), await desk.begin("two")
    state, _ = code_of(await agreed(first.url))
    _, code = code_of(await agreed(second.url))
    with pytest.raises(UpstreamError, match="invalid_grant"):
        # the verifier is that of the other sign-in
        await desk.end(state, code)
    async with transaction(worker_pool) as connection:
        await connection.execute("update connectors.sign_in set expires_at = now() - interval '1 second'")
    with pytest.raises(SignInError):
        await desk.end(*code_of(await agreed(second.url)))
    with pytest.raises(SignInError):
        await desk.end("tripleseat.made-up", code)
    assert not await desk.is_done()
    begun = await desk.begin("three")
    async with transaction(worker_pool) as connection:
        assert await connection.fetchval("select count(*) from connectors.sign_in") == 1, "what is over is forgotten"
    with pytest.raises(SignInError):
        await SignIn("tripleseat", desk._keeper, store, begun.url, "").begin("without an address to come back to")


async def test_a_refresh_token_is_used_by_one_process_at_a_time(worker_pool, town, outbound) -> None:
    await signed_in(town, outbound, await store_of(worker_pool))
    booked = await town.book()
    sources = [source(town, outbound, await store_of(worker_pool)) for _ in range(3)]
    await asyncio.gather(*(one.booking(str(booked["id"])) for one in sources))
    await town.admin.delete("/tokens")
    await town.admin.delete("/requests")
    # a refresh token serves once: were two to use it, one would be locked out for good
    await asyncio.gather(*(one.booking(str(booked["id"])) for one in sources for _ in range(3)))
    assert len(await town.calls(path="/oauth2/token")) == 1


async def test_a_process_that_died_while_it_renewed_is_waited_for_until_its_lease_is_over(worker_pool) -> None:
    store, other = await store_of(worker_pool), await store_of(worker_pool)
    dead = store.lock()
    await dead.__aenter__()
    waiting = asyncio.create_task(other.lock().__aenter__())
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    async with transaction(worker_pool) as connection:
        await connection.execute("update connectors.token set leased_until = now() - interval '1 second'")
    await asyncio.wait_for(waiting, 30)


async def test_what_a_frozen_process_got_takes_nobody_s_place(worker_pool) -> None:
    def tokens(name: str) -> Tokens:
        return Tokens(access_token=name, refresh_token=name, renew_at=datetime.now(UTC) + timedelta(hours=1))

    frozen, other = await store_of(worker_pool), await store_of(worker_pool)
    async with frozen.lock():
        await frozen.load()
        async with transaction(worker_pool) as connection:
            await connection.execute("update connectors.token set leased_until = now() - interval '1 second'")
        async with other.lock():
            await other.load()
            await other.save(tokens("new"))
        await frozen.save(tokens("late"))
    assert (await frozen.load()).access_token == "new"


async def test_tokens_that_could_not_be_saved_are_saved_before_the_next_renewal(worker_pool, town, outbound) -> None:
    store = await store_of(worker_pool)
    await signed_in(town, outbound, store)
    one = source(town, outbound, store)
    booked = await town.book()
    assert await one.booking(str(booked["id"]))
    await town.admin.delete("/tokens")
    first = await store.load()

    async def fails(tokens: Tokens) -> None:
        raise UpstreamError("The tokens can't be read or kept now.")

    save, store.save = store.save, fails
    with pytest.raises(UpstreamError):
        await one.booking(str(booked["id"]))
    store.save = save
    assert (await store.load()).refresh_token == first.refresh_token, (
        "it was used up, and its successor is not kept yet"
    )
    assert await one.booking(str(booked["id"]))
    assert (await store.load()).refresh_token != first.refresh_token


async def test_without_the_installation_s_key_the_sign_in_is_asked_for_again(worker_pool, town, outbound) -> None:
    await signed_in(town, outbound, await store_of(worker_pool))
    other = await store_of(worker_pool, keyring=Keyring(bytes(31) + b"1"))
    with pytest.raises(UpstreamError, match="sign in again"):
        await source(town, outbound, other).booking("1")
    await signed_in(town, outbound, other)
    assert await other.load() is not None


async def test_after_the_key_was_changed_all_is_brought_under_the_new_one(worker_pool, town, outbound) -> None:
    async with trading(worker_pool) as desk:
        await desk.deliver(body_of())
    await signed_in(town, outbound, await store_of(worker_pool))
    new = Keyring(bytes(31) + b"1")
    both = Keyring(bytes(31) + b"1", bytes(32))
    async with transaction(worker_pool) as connection:
        assert await not_current(connection, both) == 2
        assert await rewrap(connection, both, 100) == 2
        assert await rewrap(connection, both, 100) == 0
        (row,) = await connection.fetch("select body from connectors.delivery")
    assert deliveries.unseal(new, row["body"]) == body_of()
    assert await (await store_of(worker_pool, keyring=new)).load() is not None


async def test_by_the_api_and_the_browser(dsn, tmp_path, connection, town) -> None:
    given = {
        name.lower(): value for name, value in town.settings.items() if name not in {"SANDBOX_URL", "CONNECTOR_MAPPING"}
    }
    given |= {
        "outbound_allow": ["127.0.0.0/8"],
        "tripleseat_oauth_grant": "authorization_code",
        "tripleseat_login_url": f"{town.settings['TRIPLESEAT_BASE_URL']}/oauth2/authorize",
        "tripleseat_redirect_uri": "https://hub.example/oauth/callback",
    }
    async with serving(dsn, tmp_path, works=False, **given) as (client, hub):
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        key = (await create_key(connection, tenant_id, scopes=["connectors"], label="test")).key
        headers = {"authorization": f"Bearer {key}"}
        path = "/api/connectors/tripleseat/authorize"
        assert (await client.post(path)).status_code == 401
        begun = (await client.post(path, headers=headers)).json()
        back = urlsplit(await agreed(begun["url"]))
        for address in (
            "/oauth/callback",
            "/oauth/callback?state=nobody.1&code=1",
            "/oauth/callback?state=tripleseat.1&code=1",
        ):
            answer = await client.get(address)
            assert (answer.status_code, answer.json()["code"]) == (400, "sign_in_failed")
        answer = await client.get(f"{back.path}?{back.query}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert (await client.get(f"{back.path}?{back.query}")).status_code == 400
        running = await hub.connectors.get("tripleseat")
        token, *_ = await running.connector.source.probe()
        assert token.ok


def test_the_challenge_is_that_of_the_specification() -> None:
    # RFC 7636, appendix B
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_addresses_at_which_a_browser_ended() -> None:
    assert code_of(f"{BACK}?code=c&state=tripleseat.s") == ("tripleseat.s", "c")
    assert connector_of("my.shop.s") == "my.shop"
    for address, said in ((f"{BACK}?error=access_denied", "access_denied"), (BACK, "no code"), ("c", "no code")):
        with pytest.raises(SignInError, match=said):
            code_of(address)
