"""Tripleseat's client against the sandbox, over HTTP: events, searches to their last page, and every fault on the way."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from connectors.clients import HASTY, NEW_YORK, QUICK, source_at, window
from peers import listening

from mainstem.connectors.calling import Caller
from mainstem.connectors.oauth import Access, MemoryStore, TokenKeeper, Tokens
from mainstem.connectors.pace import Pace
from mainstem.connectors.ports import NotThereError, UpstreamError
from mainstem.connectors.tripleseat.client import TripleseatSource


async def all_of(source, since, until):
    return [booking async for page in source.changed(since, until) for booking in page]


@pytest.fixture
def source(town, outbound):
    return source_at(town, outbound)


async def test_an_event_as_it_is_now(town, source):
    booked = await town.book(items=[{"name": "Grilled Salmon", "quantity": 40}], guest_count=40)
    found = await source.booking(str(booked["id"]))
    assert (found.booking_id, found.site_id, found.status) == (str(booked["id"]), str(booked["site_id"]), "DEFINITE")
    assert (found.name, found.guests, found.on) == (booked["name"], 40, date.fromisoformat(booked["event_date"]))
    assert found.starts_at == datetime.fromisoformat(booked["event"]["event_start_iso8601"])
    assert found.total == Decimal(booked["total"])
    assert [(line.name, line.quantity) for line in found.lines] == [("Grilled Salmon", 40)]
    assert found.faults == ()


async def test_an_api_that_hides_line_items_makes_them_unknown_and_not_none(town, source):
    await town.config(line_items_in_api=False)
    booked = await town.book()
    assert (await source.booking(str(booked["id"]))).lines is None


async def test_an_event_that_is_not_there(town, source):
    booked = await town.book()
    await town.admin.delete(f"/events/{booked['id']}")
    for event_id in (str(booked["id"]), "1", "../../admin/events", "", "1?x=1"):
        with pytest.raises(NotThereError):
            await source.booking(event_id)
    assert all("admin" not in call["path"] for call in await town.calls(service="tripleseat"))


async def test_no_event_is_told_of_what_only_could_not_be_asked(town, source):
    # an unknown route is answered by a 500, a page in place of JSON by whatever stands in between: neither says "not there"
    booked = await town.book()
    for kind in ("500", "html", "garbage", "reset", "503"):
        await town.fault(kind, service="tripleseat", route="/v1/*")
        with pytest.raises(UpstreamError):
            await source.booking(str(booked["id"]))
        await town.admin.delete("/faults")


@pytest.mark.parametrize("kind", ["429", "500", "503", "html", "garbage", "reset", "reset_after_commit"])
async def test_a_fault_that_passes_is_not_seen(town, source, kind):
    booked = await town.book()
    await town.fault(kind, service="tripleseat", count=2, retry_after_s=0)
    assert (await source.booking(str(booked["id"]))).booking_id == str(booked["id"])


async def test_an_upstream_that_does_not_answer_is_given_up(town, outbound):
    source = source_at(town, outbound, patience=HASTY)
    booked = await town.book()
    await town.fault("timeout", service="tripleseat", route="/v1/*")
    async with asyncio.timeout(10):
        with pytest.raises(UpstreamError) as caught:
            await source.booking(str(booked["id"]))
    assert "No answer within" in str(caught.value)


async def test_defect_2_3_d_the_search_of_changes_finds_them(town, source):
    # the original's reconciliation had no search at all, and found nothing
    booked = [(await town.book())["id"] for _ in range(3)]
    assert {one.booking_id for one in await all_of(source, *window())} == {str(one) for one in booked}


async def test_a_search_covers_days_around_and_what_takes_place_in_between(town, source):
    now = datetime.now(UTC)
    await all_of(source, now - timedelta(hours=48), now)
    queries = [call["query"] for call in await town.calls(service="tripleseat", path="/v1/events/search*")]
    first, last = ((now + timedelta(days=days)).astimezone(NEW_YORK) for days in (-3, 1))
    assert f"event_updated_start_date={first:%m/%d/%Y}" in queries[0]
    assert f"event_updated_end_date={last:%m/%d/%Y}" in queries[0]
    since = (now - timedelta(hours=48)).astimezone(NEW_YORK)
    assert f"event_start_date={since:%m/%d/%Y}" in queries[1]
    assert f"event_end_date={now.astimezone(NEW_YORK):%m/%d/%Y}" in queries[1]
    assert len(queries) == 2


async def test_all_pages_are_read_and_each_event_comes_once(town, source):
    await town.config(tripleseat_page_size=4)
    booked = await town.book(count=11)
    found = await all_of(source, *window())
    # both searches find them, wrapped and not
    assert sorted(one.booking_id for one in found) == sorted(str(one["id"]) for one in booked["events"])
    assert len(await town.calls(service="tripleseat", path="/v1/events/search*")) == 6


async def test_never_a_silent_part_when_a_page_fails(town, outbound):
    await town.config(tripleseat_page_size=4)
    await town.book(count=11)
    source = source_at(town, outbound)
    pages = source.changed(*window())
    assert len(await anext(pages)) == 4
    await town.fault("500", service="tripleseat", route="/v1/events/search*")
    with pytest.raises(UpstreamError):
        await anext(pages)


async def test_defect_5_4_d_and_2_3_k_tripleseat_is_read_as_json_and_never_written_to(town, source):
    # the original closed events there by itself every hour, and read items out of pages for people
    await town.admin.put("/target", json={"url": "http://127.0.0.1:9/hook"})
    booked = await town.book(triggers=[])
    await source.booking(str(booked["id"]))
    await all_of(source, *window())
    await source.probe()
    calls = {(call["method"], call["path"]) for call in await town.calls(service="tripleseat")}
    site = town.settings["TRIPLESEAT_SITE_ID"]
    assert calls == {
        ("POST", "/oauth2/token"),
        ("GET", f"/v1/events/{booked['id']}.json"),
        ("GET", "/v1/events/search.json"),
        ("GET", f"/api/v1/sites/{site}/webhook_endpoints"),
    }


async def test_the_rate_of_ten_a_second_is_kept(town, source):
    booked = await town.book()
    await source.booking(str(booked["id"]))
    await town.admin.delete("/requests")
    await asyncio.gather(*(source.booking(str(booked["id"])) for _ in range(25)))
    calls = await town.calls(service="tripleseat")
    assert [call["status"] for call in calls] == [200] * 25


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_token_that_holds_no_more_is_renewed_once(town, source, revoked):
    booked = await town.book()
    if not revoked:
        await town.config(token_lifetime_s=0)
    await source.booking(str(booked["id"])) if revoked else None
    await town.admin.delete("/tokens")
    if revoked:
        assert await source.booking(str(booked["id"]))
        assert len(await town.calls(path="/oauth2/token")) == 2
    else:
        # tokens that are dead on arrival: no endless circle
        with pytest.raises(UpstreamError) as caught:
            await source.booking(str(booked["id"]))
        assert caught.value.status == 401
        assert len(await town.calls(path="/oauth2/token")) <= 3


async def test_many_calls_share_one_renewal(town, source):
    booked = await town.book()
    await asyncio.gather(*(source.booking(str(booked["id"])) for _ in range(8)))
    assert len(await town.calls(path="/oauth2/token")) == 1
    await town.admin.delete("/tokens")
    await asyncio.gather(*(source.booking(str(booked["id"])) for _ in range(8)))
    assert len(await town.calls(path="/oauth2/token")) == 2


async def test_a_key_without_permission_is_told(town, outbound):
    source = source_at(town, outbound, scope="bookings:read")
    booked = await town.book()
    with pytest.raises(UpstreamError) as caught:
        await source.booking(str(booked["id"]))
    assert caught.value.status == 403
    assert [(probe.resource, probe.ok) for probe in await source.probe()][:2] == [
        ("token", True),
        ("events/search", False),
    ]


async def test_the_probe_looks_at_each_resource(town, source):
    site = town.settings["TRIPLESEAT_SITE_ID"]
    await town.admin.put("/target", json={"url": "http://127.0.0.1:9/hook"})
    assert [(probe.resource, probe.ok) for probe in await source.probe()] == [
        ("token", True),
        ("events/search", True),
        (f"sites/{site}/webhook_endpoints", True),
    ]


async def test_the_probe_sees_webhooks_that_are_off_or_fail(town, source):
    assert not (await source.probe())[-1].ok
    await town.admin.put("/target", json={"url": "http://127.0.0.1:9/hook"})
    await town.config(webhook_resend_s=0)
    await town.book()
    await town.webhooks()
    failing = (await source.probe())[-1]
    assert (failing.ok, "in a row" in failing.sentence) == (False, True)


async def test_the_probe_never_raises(town, outbound):
    source = source_at(town, outbound, client_secret="wrong")
    (found,) = await source.probe()
    assert (found.ok, found.status) == (False, 401)
    assert "invalid_client" in found.sentence
    assert "wrong" not in found.sentence


# shapes that the sandbox never sends, from a peer that says anything


def scripted(*bodies):
    left = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]

    async def script(talk):
        while True:
            await talk.request()
            body = left.pop(0) if len(left) > 1 else left[0]
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return script


def reading(outbound, url):
    caller = Caller(outbound, Pace(1_000), QUICK)
    access = Access(token_url=url, client_id="x", client_secret="x")
    ahead = datetime.now(UTC) + timedelta(hours=1)
    keeper = TokenKeeper(caller, access, MemoryStore(Tokens(access_token="x", renew_at=ahead)))
    return TripleseatSource(caller, keeper, base_url=url, zone=NEW_YORK)


@pytest.mark.parametrize(
    "body",
    [[], {}, {"event": {}}, {"event": {"id": 2, "site_id": 1}}, {"event": {"id": None}}, "x", None, {"error": "x"}],
)
async def test_something_else_than_the_event_is_no_answer(outbound, body):
    async with listening(scripted(body)) as peer:
        with pytest.raises(UpstreamError):
            await reading(outbound, peer.url("")).booking("1")


@pytest.mark.parametrize(
    "pages",
    [
        [[]],
        [{}],
        [{"results": []}],
        [{"results": [], "total_pages": None}],
        [{"results": [], "total_pages": True}],
        [{"results": [], "total_pages": 10**9}],
        [{"results": {}, "total_pages": 1}],
        [{"results": [None], "total_pages": 1}],
        [{"results": [{"event": {"name": "x"}}], "total_pages": 1}],
        [{"results": [{"id": 1}], "total_pages": 3}, {"results": [], "total_pages": 3}],
    ],
)
async def test_something_else_than_a_search_is_no_answer(outbound, pages):
    async with listening(scripted(*pages)) as peer:
        with pytest.raises(UpstreamError):
            await all_of(reading(outbound, peer.url("")), *window())


async def test_an_event_that_can_not_be_read_whole_stops_no_search(outbound):
    page = {
        "total_pages": 1,
        "results": [{"id": 1, "event_date": "soon"}, {"event": {"id": 2, "event_date": "11/26/2026"}}],
    }
    async with listening(scripted(page)) as peer:
        found = await all_of(reading(outbound, peer.url("")), *window())
    assert [(one.booking_id, one.on, one.on_text) for one in found] == [
        ("1", None, "soon"),
        ("2", date(2026, 11, 26), None),
    ]


async def test_documents_beside_the_event_are_its_own(outbound):
    body = {"event": {"id": 1}, "documents": [{"line_items": [{"description": "Tea", "quantity": 2}]}]}
    async with listening(scripted(body)) as peer:
        found = await reading(outbound, peer.url("")).booking("1")
    assert [(line.name, line.quantity) for line in found.lines] == [("Tea", 2)]


async def test_a_page_for_people_in_place_of_json_has_the_token_renewed(outbound):
    token = {"access_token": "new", "expires_in": 7200}
    async with listening(scripted(b"<html>Sign in</html>", token, {"event": {"id": 1}})) as peer:
        assert (await reading(outbound, peer.url("")).booking("1")).booking_id == "1"
        assert [request.line.split()[0] for request in peer.requests] == ["GET", "POST", "GET"]
        assert peer.requests[2].all("Authorization") == ["Bearer new"]
