"""Values on their way: what Python computes of a row is what PostgreSQL computes, and files give back what they got."""

from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.events.archive import ArchiveDamagedError, ArchiveError
from mainstem.events.archive.columns import (
    FOREVER,
    KINDS,
    Column,
    copy_rows,
    kind_of,
    packed,
    row_hashes,
    select_list,
    total_of,
)
from mainstem.events.archive.manifest import File, Part, decode, encode, with_part
from mainstem.events.archive.parquet import Writer, read
from mainstem.events.archive.queries import columns
from mainstem.platform.clock import utc_now

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
# what PostgreSQL takes: 4713 BC to the last year whose microseconds since 1970 fit
TIMES = st.one_of(
    st.integers(-210_866_803_200_000_000, 9_223_372_036_854_775_000), st.sampled_from([FOREVER, -FOREVER])
)
VALUES = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "boolean": st.booleans(),
    "text": TEXT,
    "json": st.sampled_from(["{}", ' { "a" : 1.10 } ', '"\\u0000"', "null", '["ä", 1e-400]']),
    "bytea": st.binary(max_size=20),
    "uuid": st.binary(min_size=16, max_size=16),
    "timestamp with time zone": TIMES,
}
COLUMNS = tuple(Column(f"c{number}", type_) for number, type_ in enumerate(KINDS))
ROWS = st.lists(st.tuples(*(st.none() | VALUES[column.type] for column in COLUMNS)), min_size=1, max_size=20)


def by_column(rows: list[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


@pytest.fixture
async def table(connection: asyncpg.Connection) -> str:
    """Make a table with a column of each type; return its name."""
    await connection.execute(f"create table kinds ({', '.join(f'{one.name} {one.type}' for one in COLUMNS)})")
    return "kinds"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
async def test_rows_hash_and_come_back_as_postgresql_has_them(
    rows: list[tuple[object, ...]], connection: asyncpg.Connection, table: str
) -> None:
    await connection.execute(f"truncate {table}")
    fields = packed(COLUMNS, by_column(rows))

    async def source():
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8) + copy_rows(fields) + b"\xff\xff"

    await connection.copy_to_table(table, source=source(), format="binary")
    found = await connection.fetch(f"select {select_list(COLUMNS, 'k')}, raw.row_hash(k) from {table} k order by ctid")
    assert [tuple(row)[:-1] for row in found] == rows
    assert [row[-1] for row in found] == row_hashes(COLUMNS, fields)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_a_file_gives_back_what_it_got(rows: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        with Writer(path, COLUMNS) as writer:
            writer.write(by_column(rows))
        assert writer.rows == len(rows)
        assert [list(column) for (values) in read(path, COLUMNS) for column in values] == by_column(rows)


@given(rows=ROWS)
def test_a_total_does_not_depend_on_the_order_and_notices_a_row_more(rows: list[tuple[object, ...]]) -> None:
    hashes = row_hashes(COLUMNS, packed(COLUMNS, by_column(rows)))
    assert total_of(sum(hashes)) == total_of(sum(reversed(hashes)))
    assert total_of(sum(hashes)) != total_of(sum(hashes) + hashes[0])
    assert len(total_of(sum(hashes))) == 16


async def test_every_column_of_the_landing_can_be_kept(connection: asyncpg.Connection) -> None:
    for name in ("raw.event", "raw.batch"):
        assert [kind_of(column).oid > 0 for column in await columns(connection, name)]


def test_a_type_that_can_t_be_kept_is_named() -> None:
    with pytest.raises(ArchiveError, match="column spot has the type point"):
        select_list([Column("spot", "point")], "r")


def test_a_manifest_comes_back_and_must_be_of_its_day() -> None:
    file = File("event-1.parquet", 3, "0" * 16, 10, "0" * 64, COLUMNS)
    now = utc_now()
    first = with_part(now.date(), None, Part(1, now, "1", file, file))
    second = with_part(now.date(), first, Part(2, now, "1", file, file))
    assert decode(encode(second), now.date()) == second
    assert (second.events, second.batches, second.bytes) == (6, 6, 40)
    with pytest.raises(ArchiveDamagedError, match="is that of"):
        decode(encode(second), now.date().replace(year=1999, day=1))
    with pytest.raises(ArchiveDamagedError, match="the form 2; this version reads 1"):
        decode(encode(second).replace(b'"schema_version": 1', b'"schema_version": 2'), now.date())
