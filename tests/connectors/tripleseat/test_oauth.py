"""Tokens: both grants, renewals one at a time, refresh tokens that are used once, and no secret in any sentence."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from connectors.clients import source_at
from structlog.testing import capture_logs

from mainstem.connectors.oauth import Grant, MemoryStore, Tokens
from mainstem.connectors.ports import UpstreamError

BACK = "http://127.0.0.1/oauth/callback"


async def authorized(town, source, state="xyz"):
    """Sign in as an admin does, and return the code that comes back."""
    url = source.keeper.authorize_url(state, f"{town.settings['TRIPLESEAT_BASE_URL']}/oauth2/authorize")
    async with httpx.AsyncClient() as browser:
        back = parse_qs(urlsplit((await browser.get(url)).headers["Location"]).query)
    assert back["state"] == [state]
    return back["code"][0]


def by_code(town, outbound, store=None):
    return source_at(
        town,
        outbound,
        store=store,
        grant=Grant.AUTHORIZATION_CODE,
        redirect_uri=BACK,
        scope="events:read bookings:read",
    )


async def test_an_admin_signs_in_once_and_tokens_are_refreshed_from_then_on(town, outbound):
    store = MemoryStore()
    source = by_code(town, outbound, store)
    booked = await town.book()
    await source.keeper.exchange(await authorized(town, source))
    assert await source.booking(str(booked["id"]))
    first = await store.load()
    await town.admin.delete("/tokens")
    assert await source.booking(str(booked["id"]))
    second = await store.load()
    assert first.refresh_token
    assert second.refresh_token not in {None, first.refresh_token}


async def test_before_the_sign_in_there_is_no_token(town, outbound):
    with pytest.raises(UpstreamError) as caught:
        await by_code(town, outbound).booking("1")
    assert "sign in" in str(caught.value)
    assert await town.calls(path="/oauth2/token") == []


async def test_a_refresh_token_that_holds_no_more_is_told(town, outbound):
    store = MemoryStore(
        Tokens(access_token="old", refresh_token="used before", renew_at=datetime(2020, 1, 1, tzinfo=UTC))
    )
    with pytest.raises(UpstreamError) as caught:
        await by_code(town, outbound, store).booking("1")
    assert caught.value.status == 400
    assert "invalid_grant" in str(caught.value)


async def test_a_code_serves_once(town, outbound):
    source = by_code(town, outbound)
    code = await authorized(town, source)
    await source.keeper.exchange(code)
    with pytest.raises(UpstreamError):
        await source.keeper.exchange(code)


async def test_two_processes_that_share_a_store_renew_once(town, outbound):
    store = MemoryStore()
    one, other = by_code(town, outbound, store), by_code(town, outbound, store)
    booked = await town.book()
    await one.keeper.exchange(await authorized(town, one))
    assert await other.booking(str(booked["id"]))
    await town.admin.delete("/tokens")
    await town.admin.delete("/requests")
    # a refresh token serves once: were both to use it, one would be locked out
    await asyncio.gather(*(source.booking(str(booked["id"])) for source in (one, other) for _ in range(4)))
    assert len(await town.calls(path="/oauth2/token")) == 1


async def test_a_renewal_goes_on_when_whoever_waited_for_it_is_called_off(town, outbound):
    store = MemoryStore()
    source = by_code(town, outbound, store)
    await source.keeper.exchange(await authorized(town, source))
    first = await store.load()
    await town.admin.delete("/tokens")
    await town.fault("latency", service="tripleseat", route="/oauth2/token", seconds=0.3, count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await source.keeper.renew(first.access_token)
    # the refresh token was used: had its answer been thrown away, there would be none any more
    booked = await town.book()
    assert await source.booking(str(booked["id"]))
    assert len(await town.calls(path="/oauth2/token")) == 2


async def test_a_token_is_renewed_before_it_ends(town, outbound):
    store = MemoryStore()
    source = source_at(town, outbound, store=store)
    before = datetime.now(UTC)
    await source.keeper.token()
    renew_at = (await store.load()).renew_at
    assert before + timedelta(seconds=7_100) < renew_at <= datetime.now(UTC) + timedelta(seconds=7_140)
    await town.config(token_lifetime_s=10)
    short = source_at(town, outbound, store=(kept := MemoryStore()))
    await short.keeper.token()
    assert (await kept.load()).renew_at <= datetime.now(UTC) + timedelta(seconds=9)


async def test_a_token_of_the_store_is_used(town, outbound):
    given = (await town.token()).json()["access_token"]
    ahead = datetime.now(UTC) + timedelta(hours=1)
    source = source_at(town, outbound, store=MemoryStore(Tokens(access_token=given, renew_at=ahead)))
    await town.admin.delete("/requests")
    booked = await town.book()
    assert await source.booking(str(booked["id"]))
    assert await town.calls(path="/oauth2/token") == []


@pytest.mark.parametrize("kind", ["html", "garbage", "500", "429", "reset"])
async def test_whatever_else_the_address_of_tokens_answers_is_no_token(town, outbound, kind):
    source = source_at(town, outbound)
    await town.fault(kind, service="tripleseat", route="/oauth2/token", retry_after_s=0)
    with pytest.raises(UpstreamError):
        await source.keeper.token()
    await town.admin.delete("/faults")
    assert await source.keeper.token()


async def test_defect_2_3_j_no_secret_is_told_or_logged(town, outbound):
    secret = town.settings["TRIPLESEAT_OAUTH_CLIENT_SECRET"]
    store = MemoryStore()
    source = source_at(town, outbound, store=store)
    told = [
        repr(source.keeper._access),
        repr(Tokens(access_token="a-token", refresh_token="r-token", renew_at=datetime.now(UTC))),
    ]
    with capture_logs() as logs:
        token = await source.keeper.token()
        for kind in ("500", "html", "garbage", "reset", "429"):
            await town.fault(kind, service="tripleseat", retry_after_s=0)
            with pytest.raises(UpstreamError) as caught:
                await source.booking("1")
            told.append(repr(caught.value))
            with pytest.raises(UpstreamError) as caught:
                await source.keeper.renew(token)
            told.append(repr(caught.value))
            await town.admin.delete("/faults")
    assert logs
    everything = f"{told} {logs} {await store.load()}"
    assert not [word for word in (secret, token, "a-token", "r-token") if word in everything]
