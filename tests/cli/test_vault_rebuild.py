"""`mainstem vault rebuild` at the command line."""

import json

import psycopg
import pytest


@pytest.fixture
def visited(dsn: str, on_database):
    """Return the command line on a database with a few loaded events."""
    import asyncio  # noqa: PLC0415 - of this fixture alone

    import asyncpg  # noqa: PLC0415
    from vault.rebuilding import land, load, visit  # noqa: PLC0415

    async def fill() -> None:
        connection = await asyncpg.connect(dsn)
        await land(connection, [visit(n, n) for n in range(10)])
        await load(dsn)
        await connection.close()

    asyncio.run(fill())
    return on_database


def damage(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from vault.sat_page where title = 'T1'")


def test_an_equal_rebuild_says_so(visited):
    shown = visited("vault", "rebuild")
    assert (shown.code, shown.out) == (0, "live is what the events say, byte for byte\n")
    assert "replayed 10 events in 1 loads" in shown.err


def test_a_name_keeps_the_shadow_and_drop_old_drops_it(visited):
    told = json.loads(visited("vault", "rebuild", "--into", "mine", "--json").out)
    assert (told["equal"], told["kept"]) == (True, ["mine_business", "mine_vault"])
    assert "nothing was left" in visited("vault", "rebuild", "--drop-old").out
    assert "dropped mine_business, mine_vault" in visited("vault", "rebuild", "--into", "mine", "--drop-old").out


def test_without_a_terminal_a_difference_is_shown_and_nothing_swapped(visited, dsn: str):
    damage(dsn)
    shown = visited("vault", "rebuild")
    assert shown.code == 1
    assert "vault.sat_page" in shown.out
    assert "only rebuilt" in shown.err
    assert "rebuild_vault until" in shown.out


def test_swap_mends_and_says_where_the_old_tables_are(visited, dsn: str):
    damage(dsn)
    told = visited("vault", "rebuild", "--swap", "--json")
    assert told.code == 0
    report = json.loads(told.out)
    assert (report["equal"], report["swapped"]) == (False, True)
    (table,) = [one for one in report["tables"] if not one["equal"]]
    assert (table["table"], table["differing"]) == ("vault.sat_page", 3)
    assert {one["difference"] for one in table["examples"]} == {"only rebuilt"}
    refused = visited("vault", "rebuild")
    assert refused.code == 1
    assert "--drop-old" in refused.err
    assert visited("vault", "rebuild", "--no-swap").code == 0
    assert visited("vault", "rebuild", "--drop-old").code == 0
    assert visited("vault", "rebuild").code == 0


def test_since_takes_a_day(visited):
    assert json.loads(visited("vault", "rebuild", "--since", "2020-01-01", "--json").out)["equal"] is True
    refused = visited("vault", "rebuild", "--since", "2999-01-01")
    assert refused.code == 1
    assert "future" in refused.err


def test_a_name_that_is_none_is_refused_in_one_line(visited):
    refused = visited("vault", "rebuild", "--into", "A b")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
