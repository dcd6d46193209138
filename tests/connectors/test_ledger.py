"""What the schema itself forbids, whoever writes: a second order that is there, on its way, or sent without a plan."""

import asyncpg
import pytest
from connectors.trading import body_of, trading

from mainstem.connectors.ports import State
from mainstem.platform.db import transaction

INSERT = """
insert into connectors.ledger (tenant_id, booking_key, connector, establishment, booking_id, order_hash, state, local_id, plan,
                               order_id, submitted_at, not_before, changed_by)
select tenant_id, booking_key, connector, establishment, booking_id, $1, 'planned', local_id, '{}', '7', now(), now(), 'test'
from connectors.booking
returning order_key
"""
MOVE = "update connectors.ledger set state = $2, changed_by = 'test' where order_key = $1"
WAY = {
    "planned": (),
    "submitting": ("submitting",),
    "unknown": ("submitting", "unknown"),
    "confirmed": ("confirmed",),
    "failed": ("failed",),
    "blocked": ("blocked",),
    "deferred": ("deferred",),
    "voided": ("voided",),
    "superseded": ("superseded",),
}


@pytest.fixture
async def ledger(worker_pool):
    """Yield a connection to a database with one booking and no order."""
    async with trading(worker_pool) as desk:
        await desk.deliver(body_of(status="PROSPECT"))
        async with transaction(worker_pool) as connection:
            yield connection


async def row(connection, order_hash: str, state: str) -> int:
    key = await connection.fetchval(INSERT, order_hash)
    for step in WAY[state]:
        await connection.execute(MOVE, key, step)
    return key


@pytest.mark.parametrize(
    ("one", "other", "constraint"),
    [
        ("confirmed", "confirmed", "ledger_confirmed_key"),
        ("submitting", "submitting", "ledger_doubt_key"),
        ("unknown", "submitting", "ledger_doubt_key"),
        ("failed", "blocked", "ledger_waiting_key"),
    ],
)
async def test_a_booking_has_one_order_of_each_kind(ledger, one, other, constraint) -> None:
    await row(ledger, "a", one)
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await row(ledger, "b", other)
    assert caught.value.constraint_name == constraint


async def test_a_booking_and_a_content_have_one_row(ledger) -> None:
    await row(ledger, "a", "voided")
    with pytest.raises(asyncpg.UniqueViolationError):
        await row(ledger, "a", "planned")


@pytest.mark.parametrize("state", [one for one in State if one is not State.PLANNED])
async def test_an_order_is_sent_from_planned_alone(ledger, state) -> None:
    key = await row(ledger, "a", state)
    with pytest.raises(asyncpg.CheckViolationError, match=r"does not go from|ledger"):
        await ledger.execute(MOVE, key, "submitting")


async def test_every_step_is_noted(ledger) -> None:
    key = await row(ledger, "a", "unknown")
    steps = await ledger.fetch(
        "select was, state, by from connectors.ledger_step where order_key = $1 order by step_id", key
    )
    assert [tuple(one) for one in steps] == [
        (None, "planned", "test"),
        ("planned", "submitting", "test"),
        ("submitting", "unknown", "test"),
    ]
