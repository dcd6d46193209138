"""`mainstem archive` and `mainstem vault query`: answers, JSON, empty states, exit codes, and what the SQL may not do."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

SETUP = """
select nextval('raw.raw_id_block');
select raw.ensure_partitions('2001-03-14', '2001-03-15');
insert into platform.tenant (slug, name) values ('other', 'Other');
insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to, loaded_at, load_ts, loaded)
values (1, 1, 2, 'http', '2001-03-14 12:00+00', '2001-03-14 12:00+00', now(), now(), 2),
       (3, 2, 1, 'http', '2001-03-15 12:00+00', '2001-03-15 12:00+00', now(), now(), 1);
insert into raw.event (raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, data)
values (1, '2001-03-14 12:00+00', 1, '00000000-0000-0000-0000-000000000001', 'page.viewed', '2001-03-14 12:00+00', 'a',
        '{"page_url": "https://example.com/käse"}'),
       (2, '2001-03-14 12:00:00.000001+00', 1, '00000000-0000-0000-0000-000000000002', 'order.noted',
        '2001-03-14 12:00+00', 'a', '{"total": 1.10}'),
       (3, '2001-03-15 12:00+00', 2, '00000000-0000-0000-0000-000000000003', 'page.viewed', '2001-03-15 12:00+00', 'b',
        '{}');
"""
KINDS = "select kind, count(*) as n from archive.event group by kind order by kind"


@pytest.fixture
def archived(on_database, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return `cli` on a database whose two old days are in the archive; tenant 2 is `other`."""
    monkeypatch.setenv("ARCHIVE_DIR", str(tmp_path / "kept"))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SETUP)
    ran = on_database("archive", "run", "--before", "2001-04-01", "--json")
    assert (ran.code, json.loads(ran.out)) == (
        0,
        [{"day": "2001-03-14", "events": 2, "kept": None}, {"day": "2001-03-15", "events": 1, "kept": None}],
    )
    return on_database


class TestArchive:
    def test_a_second_run_has_nothing_to_do(self, archived) -> None:
        ran = archived("archive", "run", "--before", "2001-04-01")
        assert (ran.code, ran.out) == (0, "nothing to archive before 2001-04-01\n")

    def test_the_day_that_stays_must_have_begun(self, on_database) -> None:
        refused = on_database("archive", "run", "--before", "2999-01-01")
        assert refused.code == 2
        assert "only days that have ended" in refused.err

    def test_list_shows_the_days(self, archived) -> None:
        rows = json.loads(archived("archive", "list", "--json").out)
        assert [(row["day"], row["events"], row["batches"], row["parts"]) for row in rows] == [
            ("2001-03-14", 2, 1, 1),
            ("2001-03-15", 1, 1, 1),
        ]
        assert "2001-03-15" in archived("archive", "list").out

    def test_nothing_archived_is_said(self, on_database, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "yet: a day is, 90 days after it" in on_database("archive", "list").out
        assert on_database("archive", "list", "--json").out == "[]\n"
        assert on_database("archive", "verify").code == 0
        monkeypatch.setenv("ARCHIVE_ENABLED", "false")
        assert "ARCHIVE_ENABLED is false" in on_database("archive", "list").out

    def test_verify_finds_what_is_damaged(self, archived, tmp_path: Path) -> None:
        assert archived("archive", "verify").out == "2 days read, 0 problems\n"
        path = tmp_path / "kept/raw/day=2001-03-14/event-1.parquet"
        path.write_bytes(path.read_bytes()[:-1])
        found = archived("archive", "verify", "--json")
        assert found.code == 1
        assert [len(one["problems"]) for one in json.loads(found.out)] == [1, 0]
        assert archived("archive", "verify", "--day", "2001-03-15").code == 0
        missing = archived("archive", "verify", "--day", "2001-03-16")
        assert (missing.code, "is not in" in missing.err) == (1, True)

    def test_a_day_that_has_to_stay_is_exit_code_1(self, on_database, dsn: str, tmp_path, monkeypatch) -> None:
        (tmp_path / "kept/raw/day=2001-03-14").mkdir(parents=True)
        monkeypatch.setenv("ARCHIVE_DIR", str(tmp_path / "kept"))
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SETUP)
        ran = on_database("archive", "run", "--before", "2001-04-01")
        assert ran.code == 1
        assert "2001-03-14: 0 events archived, kept: " in ran.out
        assert "manifest.json: No such file" in ran.out
        assert "2001-03-15: 1 events archived\n" in ran.out

    def test_an_unusable_folder_is_one_line(self, on_database, dsn: str, tmp_path, monkeypatch) -> None:
        (tmp_path / "file").write_text("")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SETUP)
        monkeypatch.setenv("ARCHIVE_DIR", str(tmp_path / "file"))
        failed = on_database("archive", "run", "--before", "2001-04-01")
        assert (failed.code, failed.err.count("\n")) == (1, 1)


class TestQuery:
    def test_answers_in_three_forms(self, archived) -> None:
        assert json.loads(archived("vault", "query", KINDS, "--json").out) == [
            {"kind": "order.noted", "n": 1},
            {"kind": "page.viewed", "n": 2},
        ]
        rows = list(csv.reader(io.StringIO(archived("vault", "query", KINDS, "--csv").out)))
        assert rows == [["kind", "n"], ["order.noted", "1"], ["page.viewed", "2"]]
        assert "order.noted" in archived("vault", "query", KINDS).out

    def test_values_keep_their_types(self, archived) -> None:
        sql = (
            "select raw_id, received_at, event_uid, subject, data, data->>'total' as total, day, 1.10 as amount "
            "from archive.event where raw_id = 2"
        )
        [row] = json.loads(archived("vault", "query", sql, "--json").out)
        assert row == {
            "raw_id": 2,
            "received_at": "2001-03-14T12:00:00.000001Z",
            "event_uid": "00000000-0000-0000-0000-000000000002",
            "subject": None,
            "data": '{"total": 1.10}',
            "total": "1.1",
            "day": "2001-03-14",
            "amount": 1.1,
        }

    def test_the_ledger_is_there_too(self, archived) -> None:
        sql = "select sum(events) as events, sum(loaded + duplicates + rejected) as accounted from archive.batch"
        assert json.loads(archived("vault", "query", sql, "--json").out) == [{"events": 3, "accounted": 3}]

    def test_a_tenant_alone(self, archived) -> None:
        asked = archived("vault", "query", KINDS, "--json", "--tenant", "other")
        assert json.loads(asked.out) == [{"kind": "page.viewed", "n": 1}]
        hidden = archived(
            "vault", "query", "select count(*) as n from archive_event_files", "--json", "--tenant", "other"
        )
        assert json.loads(hidden.out) == [{"n": 1}]
        assert archived("vault", "query", KINDS, "--tenant", "nobody").code == 1

    def test_live_rows_beside_the_archive(self, archived, dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute('select raw.append(1, \'[{"kind": "page.viewed"}, {"kind": "task.done"}]\', \'http\')')
        sql = (
            "select kind, count(*)::int as n from (select kind from archive.event union all select kind from live.event) "
            "group by kind order by kind"
        )
        asked = archived("vault", "query", sql, "--json", "--since", "2020-01-01")
        assert [tuple(row.values()) for row in json.loads(asked.out)] == [
            ("order.noted", 1),
            ("page.viewed", 3),
            ("task.done", 1),
        ]
        ledger = archived("vault", "query", "select events from live.batch", "--json", "--since", "2020-01-01")
        assert json.loads(ledger.out) == [{"events": 2}]

    def test_without_archives_it_says_so(self, on_database) -> None:
        for form, nothing in (("--json", "[]\n"), ("--csv", "")):
            asked = on_database("vault", "query", KINDS, form)
            assert (asked.code, asked.out.strip("\n")) == (0, nothing.strip("\n"))
            assert "no day is archived" in asked.err
        count = (
            "select (select count(*) from archive.event where tenant_id = 1) + (select count(*) from live.event) as n"
        )
        asked = on_database("vault", "query", count, "--since", "2020-01-01", "--tenant", "default", "--json")
        assert json.loads(asked.out) == [{"n": 0}]
        assert "no day is archived" in asked.err

    def test_live_tables_without_since_are_explained(self, archived) -> None:
        failed = archived("vault", "query", "select * from live.event")
        assert (failed.code, "--since" in failed.err) == (1, True)

    def test_other_days_are_not_opened_and_a_damaged_one_is_one_line(self, archived, tmp_path: Path) -> None:
        (tmp_path / "kept/raw/day=2001-03-14/event-1.parquet").write_bytes(b"damaged")
        sql = "select count(subject) as n, max(raw_id) as last from archive.event where day >= '2001-03-15'"
        asked = archived("vault", "query", sql, "--json")
        assert (asked.code, json.loads(asked.out)) == (0, [{"n": 0, "last": 3}])
        failed = archived("vault", "query", KINDS)
        assert (failed.code, failed.out, failed.err.count("\n")) == (1, "", 1)
        assert "day=2001-03-14" in failed.err

    def test_describe_and_show(self, archived) -> None:
        assert "event_uid" in archived("vault", "query", "describe archive.event").out
        assert "archive" in archived("vault", "query", "show all tables").out

    @pytest.mark.parametrize(
        "sql",
        [
            "select * from read_csv('/etc/passwd')",
            "select * from read_text('/etc/passwd')",
            "select * from '/etc/passwd'",
            "select * from glob('/*')",
            "select * from read_parquet('{kept}/raw/day=2001-03-14/event-1.parquet')",
            "select * from read_parquet('https://example.com/x.parquet')",
            "copy (select 1) to '{kept}/raw/day=2001-03-14/event-1.parquet'",
            "copy archive.event to '{kept}/out.csv'",
            "explain analyze copy (select 1) to '{kept}/out.csv'",
            "attach '{kept}/x.duckdb'",
            "install httpfs",
            "load httpfs",
            "set enable_external_access = true",
            "create table x as select 1",
            "drop view archive.event",
            "export database '{kept}/out'",
            "select 1; select 2",
            "select * from session",
            "selekt 1",
            "",
        ],
    )
    def test_reaches_no_file_no_network_and_writes_nothing(self, sql: str, archived, tmp_path: Path) -> None:
        kept = tmp_path / "kept"
        before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
        refused = archived("vault", "query", sql.replace("{kept}", str(kept)))
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1), refused
        assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before

    def test_one_form_at_a_time(self, archived) -> None:
        assert archived("vault", "query", KINDS, "--json", "--csv").code == 2

    @pytest.mark.usefixtures("archived")
    def test_in_a_process_of_its_own(self) -> None:
        command = [sys.executable, "-m", "mainstem", "vault", "query", KINDS, "--csv"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines()[0] == "kind,n"
        assert done.stderr == ""
