"""Daily snapshots: closed ones never change, whatever is loaded later."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from vault.modelling import apply_model, contents, fill, load_all, model, order, rows

from mainstem.vault.custom.daily import build_due, due

TABLES = ("vault.pit_shop_order_daily", "vault.brg_shop_customer_order_daily", "vault.snapshot")
ONE = {"order_id": "1", "customer": {"id": "c"}, "clerk": "Ann", "total": 5}


def at(day: int, hour: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, microsecond=microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "now", "days"),
    [
        (None, at(7, 9), [7]),
        (None, at(7), [6]),
        (at(7), at(7, 23), []),
        (at(4), at(7, 1), [5, 6, 7]),
        (at(6), at(7), []),
    ],
)
def test_what_is_due(last: datetime | None, now: datetime, days: list[int]):
    assert due(last, now) == [at(day) for day in days]


async def age(connection: asyncpg.Connection, days: int) -> None:
    """Make everything that is loaded so many days older."""
    tables = await rows(
        connection,
        "select table_name from information_schema.columns where table_schema = 'vault' and column_name = 'load_ts' "
        "and table_name !~ '_default$|_[0-9]{6}$'",
    )
    for (table,) in tables:
        older = f"update vault.{table} set load_ts = load_ts - interval '{days} days'"
        await connection.execute(older if table == "lane" else f"{older} where load_ts > '1901-01-01'")


async def test_a_closed_snapshot_stays_byte_for_byte(connection: asyncpg.Connection, dsn: str):
    found = model()
    await apply_model(connection, found)
    await fill(connection, found)
    await order(connection, ONE)
    await load_all(dsn)
    await age(connection, 2)
    now = await connection.fetchval("select clock_timestamp()")
    assert await build_due(connection, found.snapshots, now) == 2
    closed = await contents(connection, TABLES)
    assert len(closed["vault.pit_shop_order_daily"]) == 2  # the order and the ghost
    assert len(closed["vault.brg_shop_customer_order_daily"]) == 1
    # late events of the days before, and of new orders
    await order(connection, ONE | {"total": 9, "clerk": "Bob"}, ONE | {"order_id": "2"}, occurred_s=-400_000)
    await load_all(dsn)
    assert await build_due(connection, found.snapshots, now) == 0
    assert await contents(connection, TABLES) == closed
    # the next day has them, and the day before still says what was known then
    await age(connection, 1)
    await connection.execute("update vault.snapshot set as_of = as_of - interval '1 day'")
    await connection.execute(
        """update vault.pit_shop_order_daily
           set as_of = as_of - interval '1 day', shop_order_state_load_ts = shop_order_state_load_ts - interval '1 day'"""
    )
    assert await build_due(connection, found.snapshots, now) == 2
    daily = "select order_id, total::int from business.shop_order_daily order by as_of, order_id"
    assert await rows(connection, daily) == [("1", 5), ("1", 9), ("2", 5)]


async def test_all_days_that_were_missed_are_built(connection: asyncpg.Connection, dsn: str):
    found = model()
    await apply_model(connection, found)
    await fill(connection, found)
    now = await connection.fetchval("select clock_timestamp()")
    await build_due(connection, found.snapshots, now - timedelta(days=3))
    assert await build_due(connection, found.snapshots, now) == 6
    assert await connection.fetchval("select count(*) from vault.snapshot") == 8


async def test_no_load_gets_a_time_up_to_a_closed_one(connection: asyncpg.Connection, dsn: str):
    await load_all(dsn)
    await order(connection, ONE)
    await load_all(dsn)
    now = await connection.fetchval("select clock_timestamp()")
    await connection.execute("select vault.close_loads($1)", now)
    # as if the clock had been put back
    await connection.execute("create schema past")
    await connection.execute(
        "create function past.clock_timestamp() returns timestamptz language sql as $$ select now() - interval '1 day' $$"
    )
    await connection.execute("set search_path = past, pg_catalog")
    assert await connection.fetchval("select vault.open_load(0)") > now


async def test_a_time_that_is_not_over_is_not_closed(connection: asyncpg.Connection):
    with pytest.raises(asyncpg.InvalidParameterValueError, match="is not over yet"):
        await connection.execute("select vault.close_loads(clock_timestamp() + interval '1 hour')")


async def test_a_snapshot_waits_for_the_load_under_way(connection: asyncpg.Connection, dsn: str):
    found = model()
    await apply_model(connection, found)
    await fill(connection, found)
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute("select vault.open_load(0)")
            await connection.execute("set lock_timeout = '50ms'")
            assert await build_due(connection, found.snapshots) == 0
        assert await build_due(connection, found.snapshots) == 2
    finally:
        await other.close()


async def test_a_snapshot_of_tables_that_wait_is_not_built(connection: asyncpg.Connection):
    found = model()
    await apply_model(connection, found)
    assert await build_due(connection, found.snapshots) == 0
