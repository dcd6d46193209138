"""Rebuild from raw equals live, byte for byte; what does not is found, and swapped where asked."""

import asyncpg
import pytest
from vault.rebuilding import TABLES, everything, history, rebuilt


async def schemas(connection: asyncpg.Connection) -> list[str]:
    found = await connection.fetch(r"select nspname from pg_namespace where nspname ~ '^(rebuild|other)\_' order by 1")
    return [row[0] for row in found]


async def test_an_empty_vault_is_equal(connection: asyncpg.Connection, dsn: str):
    report = await rebuilt(dsn)
    assert report.equal
    assert (report.events, report.loads, report.kept) == (0, 0, [])
    assert await schemas(connection) == []


async def test_a_rebuild_equals_live_byte_for_byte(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    report = await rebuilt(dsn, keep=True)
    assert report.differences == []
    assert (report.equal, report.lost, report.changed_batches) == (True, 0, 0)
    assert report.events == await connection.fetchval("select sum(events) from raw.batch")
    live = await everything(connection)
    assert {table: len(found) for table, found in live.items() if len(found) < 3} == {}
    assert live == await everything(connection, "rebuild_")
    assert {one.table for one in report.compared} == {*TABLES, "business.pipeline_total"}
    assert report.kept == await schemas(connection) == ["rebuild_business", "rebuild_vault"]
