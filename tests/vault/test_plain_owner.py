"""On somebody else's PostgreSQL the owner is no superuser: row-level security, where forced, binds it, too."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import psycopg
import pytest
from events.archiving import archive, land, make_days, only, plain
from vault import rebuilding
from vault.vaulting import append, balance, event, load_all

from mainstem.events import retention
from mainstem.events.group import PendingGroup
from mainstem.events.log import PostgresLog
from mainstem.events.sealing import Sealer
from mainstem.features import CHECKS, FEEDS
from mainstem.pii.box import Keyring, new_key
from mainstem.pii.identify import Identifier, Kind
from mainstem.platform import migrate
from mainstem.platform.db import create_pool
from mainstem.platform.settings import Settings
from mainstem.subjects.erase import erase
from mainstem.vault import queries
from mainstem.vault.check import check
from mainstem.vault.feed import structures_of
from mainstem.vault.rebuild import Plan, rebuild


@pytest.fixture
def plain_dsn(cluster: str, template: str) -> Iterator[str]:
    """Return the URL of a database that was migrated and is used by a role as the guide makes it."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute("create role plain login createrole")
        # made by the template's migration; in a cluster of one's own they are made by this role
        connection.execute("grant mainstem_api, mainstem_worker to plain with admin option")
        connection.execute("create database plain owner plain")
        dsn = cluster.replace("//postgres@/postgres?", "//plain@/plain?")
        migrate.upgrade(dsn)
        yield dsn
        connection.execute("drop database plain with (force)")
        connection.execute("drop role plain")


async def test_a_plain_owner_loads_and_keeps_up(plain_dsn: str) -> None:
    connection = await asyncpg.connect(plain_dsn)
    pool = await create_pool(plain_dsn, role="worker", max_size=2)
    try:
        await append(connection, [event({"visitor": "v"}), event({"fail": "reject"}), event({}, kind="order.noted")])
        await load_all(plain_dsn)
        assert await balance(connection) == (3, 2, 0, 1)
        # facts of a month whose partition is made later
        await append(connection, [event({"visitor": "v"})])
        moment = datetime(2031, 5, 31, 23, 59, tzinfo=UTC)
        for table, columns in (("event", ["received_at"]), ("batch", ["received_from", "received_to"])):
            changes = ", ".join(f"{column} = '{moment}'" for column in columns)
            await connection.execute(f"update raw.{table} set {changes} where {columns[0]} > now() - interval '1 day'")
        await load_all(plain_dsn)
        assert await queries.ensure_partitions(connection, date(2031, 5, 3), date(2031, 5, 4)) == 3
        moved = "select count(*) from vault.nhl_site_event where tableoid = 'vault.nhl_site_event_203105'::regclass"
        assert await connection.fetchval(moved) == 1
        report = await retention.sweep(pool, retention_days=90, now=moment + timedelta(days=100))
        assert report is not None
        assert report.partitions_dropped
        assert report.batches_pruned == 2
        assert await connection.fetchval("select count(*) from raw.event") == 0
    finally:
        await pool.close()
        await connection.close()


async def test_a_plain_owner_archives(plain_dsn: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(plain_dsn)
    try:
        await make_days(connection)
        await land(connection, [plain(1), plain(2)])
        assert [one.kept for one in await archive(connection, tmp_path)] == [None]
        # and one that comes late
        await land(connection, [plain(3)])
        assert [one.kept for one in await archive(connection, tmp_path)] == [None]
        assert await connection.fetchval("select count(*) from raw.event") == 0
        assert only(tmp_path).events == 3
    finally:
        await connection.close()


async def test_a_plain_owner_checks_and_rebuilds(plain_dsn: str) -> None:
    connection = await asyncpg.connect(plain_dsn)
    try:
        visits = [rebuilding.visit(number, number, message=f"m{number}") for number in range(9)]
        await rebuilding.land(connection, visits)
        await rebuilding.load(plain_dsn)
        structures = structures_of(FEEDS)
        found = await check(plain_dsn, structures, CHECKS, full=True)
        assert {one.state for one in found} == {"ok"}
        assert (await rebuild(plain_dsn, FEEDS, Plan())).equal
        await connection.execute("delete from vault.sat_page where title = 'T1'")
        assert (await rebuild(plain_dsn, FEEDS, Plan(), decide=lambda _: True)).swapped
        found = await check(plain_dsn, structures, CHECKS, full=True)
        assert {one.state for one in found} == {"ok"}
    finally:
        await connection.close()


async def test_a_plain_owner_seals_and_erases(plain_dsn: str) -> None:
    ring = Keyring(new_key())
    sealer = Sealer(Settings(_env_file=None).pii_fields, ring)
    log = PostgresLog(plain_dsn, sealer)
    connection = await asyncpg.connect(plain_dsn)
    try:
        await log.append(
            [PendingGroup(1, "http", [sealer.mark(event({"email": "anna@example.com"}, kind="order.paid"))])]
        )
        await load_all(plain_dsn)
        (subject,) = await sealer.subjects.find(connection, 1, [Identifier(Kind.EMAIL, "anna@example.com")])
        async with connection.transaction():
            done = await erase(connection, ring, 1, subject, by="cli")
        assert done.counts == {"refused_events": 0, "identifiers": 1, "keys": 1}
        assert await sealer.subjects.find(connection, 1, [Identifier(Kind.EMAIL, "anna@example.com")]) == []
    finally:
        await log.close()
        await connection.close()
