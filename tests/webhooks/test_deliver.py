"""The worker against a real receiver: what arrives, how often, in which order, and what is written down."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from webhooks.receiver import (
    KEYRING,
    Receiver,
    add_endpoint,
    add_secret,
    changed,
    due_now,
    event,
    fine,
    hang,
    queue_events,
    settled,
    status,
    until,
    working,
)

from mainstem.events.model import EventFlag, NewEvent
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring
from mainstem.webhooks import book
from mainstem.webhooks.attempt import KEPT_BYTES
from mainstem.webhooks.sign import Secret, SecretKind

CLAIM = "select * from webhooks.claim($1, interval '1 minute', $2, $3, $4, '{}', '{}')"
ONE = "select status, attempts, last_status_code, last_error, next_attempt_at, finished_at from webhooks.delivery"
ALL_ARE = "select bool_and(status = $1) from webhooks.delivery"


async def test_a_delivery_arrives_signed_as_standard_webhooks_has_it(connection, dsn, receiver: Receiver):
    endpoint = await add_endpoint(connection, receiver.url(), headers={"X-Token": "abc"})
    sent = event({"order": 7, "note": "Grüße"}, subject="order:7")
    async with working(dsn):
        await queue_events(connection, [sent])
        (request,) = await receiver.received(1)
        await settled(connection)
    body = endpoint.verify(request)
    assert body["type"] == "order.paid"
    assert body["data"] == {"order": 7, "note": "Grüße"}
    assert body["subject"] == "order:7"
    assert request.id == f"msg_{sent.event_uid.hex}" == body["id"]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-token"] == "abc"
    one = await connection.fetchrow(ONE)
    assert (one["status"], one["attempts"], one["last_status_code"]) == ("delivered", 1, 200)
    logged = await connection.fetchrow("select number, outcome, status_code, response from webhooks.attempt")
    assert tuple(logged) == (1, "delivered", 200, "thanks")
    total = await connection.fetchrow("select * from webhooks.endpoint_total")
    assert (total["delivered"], total["failed"], total["consecutive_failures"]) == (1, 0, 0)
    assert total["health"] == "unknown"


async def test_a_tampered_body_is_noticed(connection, dsn, receiver: Receiver):
    endpoint = await add_endpoint(connection, receiver.url())
    async with working(dsn):
        await queue_events(connection, [event()])
        (request,) = await receiver.received(1)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret.shown).verify(request.body.replace(b"7", b"8"), request.headers)


async def test_while_a_secret_is_rotated_both_verify(connection, dsn, receiver: Receiver):
    endpoint = await add_endpoint(connection, receiver.url())
    new = Secret.new(SecretKind.HMAC)
    async with working(dsn):
        await queue_events(connection, [event()])
        await receiver.received(1)
        await add_secret(connection, endpoint.id, new)
        await changed(connection, endpoint.id)
        await queue_events(connection, [event()])
        _, both = await receiver.received(2)
        await connection.execute("update webhooks.secret set expires_at = now() where expires_at is not null")
        await changed(connection, endpoint.id)
        await queue_events(connection, [event()])
        *_, after = await receiver.received(3)
    for secret in (endpoint.secret, new):
        Webhook(secret.shown).verify(both.body, both.headers)
    Webhook(new.shown).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        endpoint.verify(after)


async def test_cloudevents_and_bare_bodies(connection, dsn, receiver: Receiver):
    await add_endpoint(connection, receiver.url("/cloud"), envelope="cloudevents")
    await add_endpoint(connection, receiver.url("/bare"), envelope="bare", kind=SecretKind.ED25519)
    async with working(dsn):
        await queue_events(connection, [event({"order": 7})])
        (cloud,) = await receiver.received(1, "/cloud")
        (bare,) = await receiver.received(1, "/bare")
    assert cloud.headers["content-type"].startswith("application/cloudevents+json")
    assert cloud.json["specversion"] == "1.0"
    assert cloud.json["data"] == {"order": 7}
    assert bare.json == {"order": 7}
    assert bare.headers["webhook-signature"].startswith("v1a,")


async def test_a_failed_attempt_is_made_again_with_the_same_id(connection, dsn, receiver: Receiver):
    answers = iter([status(500, "no"), status(302, location="/elsewhere"), fine])

    async def answer(request):
        return await next(answers)(request)

    receiver.answers["/hook"] = answer
    await add_endpoint(connection, receiver.url())
    async with working(dsn):
        await queue_events(connection, [event()])
        await receiver.received(1)
        await until(connection, ALL_ARE, "retrying")
        waiting = await connection.fetchrow(ONE)
        assert (waiting["last_status_code"], waiting["last_error"]) == (500, "The endpoint answered 500.")
        assert waiting["next_attempt_at"] is not None
        await due_now(connection)
        await receiver.received(2)
        await until(connection, "select attempts = 2 from webhooks.delivery")
        await due_now(connection)
        requests = await receiver.received(3)
        await until(connection, ALL_ARE, "delivered")
    assert len({request.id for request in requests}) == 1
    # a redirect is not followed
    assert not receiver.at("/elsewhere")
    outcomes = await connection.fetch("select number, outcome, response from webhooks.attempt order by 1")
    assert [tuple(row) for row in outcomes] == [(1, "status", "no"), (2, "redirect", None), (3, "delivered", "thanks")]
    total = await connection.fetchrow(
        "select delivered, failed, attempts, failed_attempts from webhooks.endpoint_total"
    )
    assert tuple(total) == (1, 0, 3, 2)


async def test_what_fails_to_the_end_is_a_dead_letter_and_news(connection, dsn, receiver: Receiver):
    receiver.answers["/hook"] = status(500)
    endpoint = await add_endpoint(connection, receiver.url(), retry_policy={"schedule": [60]})
    async with working(dsn):
        await queue_events(connection, [event(), event(kind="webhook.failing")])
        await until(connection, ALL_ARE, "retrying")
        await due_now(connection)
        await until(connection, ALL_ARE, "failed")
    assert await connection.fetchval("select count(*) from webhooks.queue") == 0
    news = await connection.fetch("select data->>'webhook_id' from raw.event where kind = 'webhook.exhausted'")
    # the news that could not be delivered makes no news
    assert [row[0] for row in news] == [str(endpoint.id)]
    assert await connection.fetchval("select failed from webhooks.endpoint_total") == 2


async def test_410_switches_the_endpoint_off(connection, dsn, receiver: Receiver):
    receiver.answers["/hook"] = status(410)
    gone = await add_endpoint(connection, receiver.url())
    await add_endpoint(connection, receiver.url("/other"))
    async with working(dsn, per_endpoint=1):
        await queue_events(connection, [event() for _ in range(30)])
        await receiver.received(30, "/other")
        await until(connection, "select exists (select from webhooks.endpoint where not active)")
        await queue_events(connection, [event()])
        await receiver.received(31, "/other")
    # those that were held already may still have been sent
    assert len(receiver.at("/hook")) <= 4
    told = await connection.fetchrow(
        "select active, disabled_reason from webhooks.endpoint where endpoint_id = $1", gone.id
    )
    assert tuple(told) == (False, "The endpoint answered 410 Gone.")
    assert await connection.fetchval("select count(*) from raw.event where kind = 'webhook.endpoint_disabled'") == 1


async def test_an_endpoint_that_asks_for_less_is_left_alone_for_a_while(connection, dsn, receiver: Receiver):
    receiver.answers["/hook"] = status(429, retry_after="120")
    await add_endpoint(connection, receiver.url())
    async with working(dsn):
        await queue_events(connection, [event()])
        await receiver.received(1)
        await until(connection, ALL_ARE, "retrying")
        await queue_events(connection, [event()])
        pause = await connection.fetchval("select not_before - now() from webhooks.pace")
        assert timedelta(seconds=110) < pause <= timedelta(seconds=121)
        delay = await connection.fetchval("select next_attempt_at - now() from webhooks.delivery where attempts = 1")
        assert delay > timedelta(seconds=110)
        receiver.answers["/hook"] = fine
        await due_now(connection)
        await until(connection, ALL_ARE, "delivered")
    assert await connection.fetchval("select slowed from webhooks.pace") == 0
    assert len(receiver.at("/hook")) == 3


async def test_a_hanging_endpoint_holds_up_nobody_else(connection, dsn, receiver: Receiver):
    receiver.answers["/dead"] = hang
    await add_endpoint(connection, receiver.url("/dead"), timeout_ms=2_000)
    await add_endpoint(connection, receiver.url("/alive"))
    async with working(dsn, concurrency=20, per_endpoint=4):
        await queue_events(connection, [event() for _ in range(200)])
        await receiver.received(200, "/alive")
    assert receiver.most_under_way["/dead"] <= 4
    assert receiver.most_under_way["/alive"] <= 4


async def test_many_dead_endpoints_hold_up_nobody_else(connection, dsn, receiver: Receiver):
    for number in range(30):
        receiver.answers[f"/dead-{number}"] = hang
        await add_endpoint(connection, receiver.url(f"/dead-{number}"), timeout_ms=400)
    await queue_events(connection, [event() for _ in range(10)])
    await add_endpoint(connection, receiver.url("/alive"), kinds=["page.*"])
    async with working(dsn, concurrency=40, per_endpoint=8) as worker:
        await until(connection, "select count(distinct endpoint_id) = 30 from webhooks.attempt")
        assert all(place.limit <= 4 for place in worker._places)
        await queue_events(connection, [event(kind="page.viewed") for _ in range(200)])
        await receiver.received(200, "/alive")
        # hundreds of attempts at dead endpoints are still to be made, and few deliveries of them are held
        assert await connection.fetchval("select count(*) > 100 from webhooks.queue")
        assert len(worker._items) < 100


async def test_an_endpoint_that_times_out_is_tried_with_less_and_less(connection, dsn, receiver: Receiver):
    receiver.answers["/hook"] = hang
    await add_endpoint(connection, receiver.url(), timeout_ms=100)
    async with working(dsn, per_endpoint=8) as worker:
        await queue_events(connection, [event() for _ in range(20)])
        await until(connection, ALL_ARE, "retrying")
        (place,) = worker._places
        assert place.limit == 1.0
    outcomes = await connection.fetch("select distinct outcome from webhooks.attempt")
    assert [row["outcome"] for row in outcomes] == ["timeout"]
    assert await connection.fetchval("select health from webhooks.endpoint_total") == "failing"
    assert await connection.fetchval("select count(*) from raw.event where kind = 'webhook.failing'") == 1


async def test_an_ordered_endpoint_gets_one_after_the_other(connection, dsn, receiver: Receiver):
    tries: Counter[str] = Counter()

    async def moody(request):
        tries[request.id] += 1
        return web.Response(status=500 if tries[request.id] == 1 and request.json["data"]["n"] % 3 == 0 else 200)

    receiver.answers["/hook"] = moody
    await add_endpoint(connection, receiver.url(), fifo=True, retry_policy={"schedule": [0.05, 0.05]})
    async with working(dsn):
        await queue_events(connection, [event({"n": n}) for n in range(12)])
        await until(connection, ALL_ARE, "delivered")
    assert receiver.most_under_way["/hook"] == 1
    arrived = [request.json["data"]["n"] for request in receiver.at()]
    assert arrived == sorted(arrived)
    assert len(arrived) == 12 + 4


async def test_no_endpoint_has_more_under_way_than_told(connection, dsn, receiver: Receiver):
    await add_endpoint(connection, receiver.url())
    async with working(dsn, per_endpoint=5):
        await queue_events(connection, [event() for _ in range(150)])
        await receiver.received(150)
    assert receiver.most_under_way["/hook"] <= 5


async def test_two_workers_never_send_the_same(connection, dsn, receiver: Receiver):
    await add_endpoint(connection, receiver.url("/a"))
    await add_endpoint(connection, receiver.url("/b"))
    async with working(dsn), working(dsn), working(dsn):
        for _ in range(10):
            await queue_events(connection, [event() for _ in range(40)])
        await until(connection, "select count(*) = 0 from webhooks.queue")
    for path in ("/a", "/b"):
        assert Counter(Counter(request.id for request in receiver.at(path)).values()) == {1: 400}
    assert await connection.fetchval("select count(*) from webhooks.attempt") == 800


async def test_answers_are_kept_up_to_their_limit(connection, dsn, receiver: Receiver):
    receiver.answers["/hook"] = status(500, "x\0y" * 20_000)
    await add_endpoint(connection, receiver.url())
    async with working(dsn):
        await queue_events(connection, [event()])
        await until(connection, "select exists (select from webhooks.attempt)")
    kept = await connection.fetchval("select response from webhooks.attempt")
    assert len(kept) == KEPT_BYTES
    assert kept.startswith("x\ufffdy")


async def test_a_private_address_is_refused_when_the_connection_is_made(connection, dsn, receiver: Receiver):
    await add_endpoint(connection, f"http://localhost:{receiver.port}/hook", retry_policy={"schedule": []})
    await add_endpoint(connection, "http://169.254.169.254/latest/meta-data", retry_policy={"schedule": []})
    async with working(dsn) as worker:
        worker._outbound.allow = ()
        await queue_events(connection, [event()])
        await until(connection, ALL_ARE, "failed")
    assert {row["outcome"] for row in await connection.fetch("select outcome from webhooks.attempt")} == {"blocked"}
    assert not receiver.requests


async def test_a_secret_of_another_installation_is_said_to_be_so(connection, dsn, receiver: Receiver):
    await add_endpoint(connection, receiver.url())
    async with working(dsn) as worker:
        worker.targets._keyring = Keyring(b"x" * 32)
        await queue_events(connection, [event()])
        await until(connection, ALL_ARE, "retrying")
    assert not receiver.requests
    outcome, error = await connection.fetchrow("select outcome, error from webhooks.attempt")
    assert outcome == "unopened"
    assert "PII_KEY" in error


async def test_a_worker_that_stops_gives_back_what_it_has_not_begun(connection, dsn, receiver: Receiver):
    gate = asyncio.Event()

    async def wait(_request):
        await gate.wait()
        return web.Response()

    receiver.answers["/hook"] = wait
    await add_endpoint(connection, receiver.url())
    async with working(dsn, per_endpoint=2):
        await queue_events(connection, [event() for _ in range(20)])
        await receiver.received(2)
        asyncio.get_running_loop().call_later(0.1, gate.set)
    assert len(receiver.at()) == 2
    assert await connection.fetchval("select count(*) from webhooks.queue where leased_until > now()") == 0
    assert await connection.fetchval("select max(attempt) from webhooks.queue") == 0
    assert await connection.fetchval("select count(*) from webhooks.delivery where status = 'delivered'") == 2


def delivered(claimed: asyncpg.Record) -> book.Result:
    return book.Result(
        delivery_id=claimed["delivery_id"],
        endpoint_id=claimed["endpoint_id"],
        tenant_id=1,
        attempt=claimed["attempt"],
        kind="order.paid",
        at=event().received_at,
        duration_ms=5,
        outcome="delivered",
        status_code=200,
        error=None,
        response=None,
        step=book.Delivered(),
        fifo=False,
        slows=False,
        was_slowed=False,
    )


async def test_attempts_of_a_worker_whose_lease_ran_out_are_ignored(connection: asyncpg.Connection):
    await add_endpoint(connection, "https://example.com/hook")
    await queue_events(connection, [event()])
    first, second = uuid4(), uuid4()
    (claimed,) = await connection.fetch(CLAIM, first, 10, 10, 10)
    assert await connection.fetch(CLAIM, second, 10, 10, 10) == []
    await connection.execute("update webhooks.queue set leased_until = now() - interval '1 second'")
    (again,) = await connection.fetch(CLAIM, second, 10, 10, 10)
    assert (claimed["attempt"], again["attempt"]) == (1, 2)
    assert await book.write(connection, first, [delivered(claimed)]) == set()
    assert await connection.fetchval("select count(*) from webhooks.endpoint_total") == 0
    assert await book.write(connection, second, [delivered(again)]) == {again["delivery_id"]}
    assert await connection.fetchval("select delivered from webhooks.endpoint_total") == 1


async def test_first_attempts_come_before_retries_and_retries_get_their_share(connection: asyncpg.Connection):
    await add_endpoint(connection, "https://example.com/hook")
    await queue_events(connection, [event() for _ in range(60)])
    await connection.execute(
        "update webhooks.queue set lane = 1, due_at = now() - interval '1 hour' where delivery_id <= 40"
    )
    rows = await connection.fetch(CLAIM, uuid4(), 30, 5, 100)
    assert Counter(row["lane"] for row in rows) == {0: 20, 1: 5}


async def test_room_is_shared_between_endpoints(connection: asyncpg.Connection):
    for path in "abcd":
        await add_endpoint(connection, f"https://example.com/{path}")
    await queue_events(connection, [event() for _ in range(100)])
    rows = await connection.fetch(CLAIM, uuid4(), 40, 10, 100)
    assert set(Counter(row["endpoint_id"] for row in rows).values()) == {10}


async def test_a_rate_limit_holds_over_all_workers(connection: asyncpg.Connection):
    await add_endpoint(connection, "https://example.com/hook", rate_limit=5)
    await queue_events(connection, [event() for _ in range(30)])
    taken = [len(await connection.fetch(CLAIM, uuid4(), 20, 10, 100)) for _ in range(2)]
    assert taken[0] == 5
    assert taken[1] <= 1
    await connection.execute("update webhooks.pace set tokens = 0, counted_at = now() - interval '0.6 seconds'")
    assert len(await connection.fetch(CLAIM, uuid4(), 20, 10, 100)) == 3
    await connection.execute("update webhooks.pace set tokens = 0, counted_at = now() - interval '1 hour'")
    assert len(await connection.fetch(CLAIM, uuid4(), 20, 10, 100)) == 5


@pytest.mark.parametrize(
    ("attempts", "known", "health"),
    [
        ((0, 1, 0), "unknown", "unknown"),
        ((2, 0, 0), "unknown", "unknown"),
        ((1, 0, 0), "failing", "failing"),
        ((0, 1, 0), "healthy", "healthy"),
        ((3, 0, 0), "unknown", "healthy"),
        ((100, 0, 0), "failing", "healthy"),
        ((100, 5, 0), "healthy", "healthy"),
        ((94, 6, 0), "healthy", "degraded"),
        ((100, 0, 6), "healthy", "degraded"),
        ((50, 50, 0), "healthy", "degraded"),
        ((49, 51, 0), "healthy", "failing"),
        ((0, 3, 0), "unknown", "failing"),
    ],
)
async def test_health_is_judged_by_windows(connection, attempts, known, health):
    """Attempts are those delivered, failed, and slow ones among both."""
    assert await connection.fetchval("select webhooks.health_of($1, $2, $3, $4)", *attempts, known) == health


async def test_personal_data_is_opened_when_it_is_sent_and_not_after_an_erasure(connection, dsn, receiver: Receiver):
    sealer = Sealer(["email"], KEYRING)
    plain = event({"email": "ada@example.com", "total": 5})
    async with connection.transaction():
        (sealed,) = await sealer.seal(connection, [NewEvent(*plain[1:])._replace(flags=int(EventFlag.PII))])
    assert "ada@" not in sealed.data
    await add_endpoint(connection, receiver.url())
    async with working(dsn):
        await queue_events(connection, [plain._replace(data=sealed.data)])
        (request,) = await receiver.received(1)
        await settled(connection)
        assert request.json["data"]["email"] == "ada@example.com"
        assert "ada@" not in await connection.fetchval("select data::text from webhooks.message")
        await connection.execute("delete from pii.subject_key")
        await queue_events(connection, [plain._replace(data=sealed.data, event_uid=uuid4())])
        *_, after = await receiver.received(2)
    assert after.json["data"]["email"] == "(erased)"
