"""What strangers post: kept, within bounds, and never in the way of what is signed."""

import asyncio

import pytest
from connectors.trading import body_of, trading

from mainstem.connectors.running import prune
from mainstem.platform.db import transaction
from mainstem.platform.metrics import CONNECTOR_DROPPED, CONNECTOR_REFUSED

FORGED = {"x-signature": "t=1,v1=00"}


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool, kept_most=20) as one:
        yield one


def count(metric, *labels: str) -> float:
    return (metric.labels(*labels) if labels else metric)._value.get()


async def test_the_newest_are_kept_and_the_oldest_go(desk) -> None:
    good = await desk.deliver(body_of())
    refused, dropped = count(CONNECTOR_REFUSED, "mismatch", "yes"), count(CONNECTOR_DROPPED)
    answers = [await desk.deliver(body_of(note=str(number)), FORGED) for number in range(60)]
    rows = await desk.rows("select delivery_id from connectors.delivery where signature = 'mismatch' order by 1")
    kept = [row["delivery_id"] for row in rows]
    assert 20 <= len(kept) <= 22
    assert kept == [one["delivery_id"] for one in answers][-len(kept) :]
    assert count(CONNECTOR_REFUSED, "mismatch", "yes") == refused + 60
    assert count(CONNECTOR_DROPPED) == dropped + 60 - len(kept)
    (row,) = await desk.rows("select body is not null as kept from connectors.delivery where signature = 'valid'")
    assert (row, (await desk.deliver(body_of()))["reason"]) == ({"kept": True}, "DUPLICATE_DELIVERY")
    assert good["delivery_id"] not in kept


async def test_repetitions_are_bounded_too(desk) -> None:
    first = await desk.deliver(body_of())
    for _ in range(60):
        await desk.deliver(body_of())
    rows = await desk.rows("select repeats from connectors.delivery where repeats is not null")
    assert 20 <= len(rows) <= 22
    assert {row["repeats"] for row in rows} == {first["delivery_id"]}


async def test_names_of_headers_are_cut(desk) -> None:
    headers = {f"{number}-{'x' * 500}": "y" for number in range(500)}
    answer = await desk.deliver(body_of(), headers)
    (row,) = await desk.rows("select header_names, body from connectors.delivery")
    assert (len(row["header_names"]), max(map(len, row["header_names"])), row["body"]) == (32, 60, None)
    assert answer["reason"] == "SIGNATURE_VERIFICATION_FAILED_MISSING_SIGNATURE_HEADER"


async def test_a_flood_is_answered_and_good_ones_pass_it(desk) -> None:
    missed = count(CONNECTOR_REFUSED, "mismatch", "no")
    flood = [asyncio.create_task(desk.deliver(body_of(note=str(number)), FORGED)) for number in range(200)]
    good = await desk.deliver(body_of())
    answers = await asyncio.gather(*flood)
    assert good["reason"] == "REVEL_INJECTED"
    assert {answer["status"] for answer in answers} == {400}
    unkept = [answer for answer in answers if answer["delivery_id"] is None]
    # at most eighteen wait for the database at a time: the pool is not theirs
    assert unkept
    assert count(CONNECTOR_REFUSED, "mismatch", "no") == missed + len(unkept)


async def test_repetitions_go_with_the_first_of_their_body(desk) -> None:
    for _ in range(3):
        await desk.deliver(body_of())
    async with transaction(desk.pool) as connection:
        # the first is over, the others are not: they must not become firsts, all of one body
        await connection.execute("update connectors.delivery set received_at = '2020-01-01' where repeats is null")
        assert await prune(connection, 30) == 1
    assert await desk.rows("select 1 from connectors.delivery") == []
