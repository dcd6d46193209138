"""Migrations: forth, back and forth again; by hand; two at once; refused where they must be."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from mainstem.platform import migrate
from mainstem.platform.embedded import program


def catalogue(dsn: str) -> str:
    """Return the schema as pg_dump sees it; a fixed key keeps its output the same every time."""
    arguments = ["--schema-only", "--restrict-key=test", "--dbname", dsn]
    return subprocess.run([program("pg_dump"), *arguments], capture_output=True, text=True, check=True).stdout


def test_an_empty_database_has_no_revision(empty_dsn: str) -> None:
    status = migrate.status(empty_dsn)
    assert status.current is None
    assert status.head == migrate.head() == status.pending[-1]
    assert not status.is_current


def test_up_down_up_gives_the_same_catalogue(empty_dsn: str) -> None:
    empty = catalogue(empty_dsn)
    migrate.upgrade(empty_dsn)
    first = catalogue(empty_dsn)
    migrate.downgrade(empty_dsn, "base")
    drop_version_table(empty_dsn)
    assert catalogue(empty_dsn) == empty
    migrate.upgrade(empty_dsn)
    assert catalogue(empty_dsn) == first
    assert migrate.status(empty_dsn).is_current


def test_each_revision_undoes_itself(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)
    newest = catalogue(empty_dsn)
    before = migrate.downgrade(empty_dsn, "-1")
    assert before.current == migrate.head()
    assert migrate.status(empty_dsn).pending == (migrate.head(),)
    migrate.upgrade(empty_dsn)
    assert catalogue(empty_dsn) == newest


def test_printed_sql_does_the_same_as_the_upgrade(empty_dsn: str, dsn: str, tmp_path: Path) -> None:
    script = tmp_path / "upgrade.sql"
    script.write_text(migrate.upgrade_sql(), encoding="utf-8")
    run_script(empty_dsn, script)
    assert migrate.current(empty_dsn) == migrate.head()
    assert catalogue(empty_dsn) == catalogue(dsn)


def test_printed_downgrade_leaves_nothing(dsn: str, empty_dsn: str, tmp_path: Path) -> None:
    script = tmp_path / "downgrade.sql"
    script.write_text(migrate.downgrade_sql(migrate.head(), "base"), encoding="utf-8")
    run_script(dsn, script)
    assert migrate.current(dsn) is None
    drop_version_table(dsn)
    assert catalogue(dsn) == catalogue(empty_dsn)


def drop_version_table(dsn: str) -> None:
    """Drop what Alembic itself leaves behind at `base`: its empty table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop table public.schema_version")


def run_script(dsn: str, script: Path) -> None:
    command = [program("psql"), dsn, "-v", "ON_ERROR_STOP=1", "-q", "-f", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_at_once_migrate_once(empty_dsn: str) -> None:
    with ThreadPoolExecutor(2) as both:
        # processes, because Alembic's context is one per process
        code = "import sys; from mainstem.platform import migrate; migrate.upgrade(sys.argv[1])"
        command = [sys.executable, "-c", code, empty_dsn]
        runs = list(both.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=False), range(2)))
    assert [run.returncode for run in runs] == [0, 0], runs
    assert migrate.status(empty_dsn).is_current


def test_a_schema_newer_than_the_code_is_left_alone(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update schema_version set version_num = '9999'")
    assert migrate.upgrade(dsn).is_current
    assert migrate.current(dsn) == "9999"


def test_a_locked_table_ends_in_one_line(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT_MS", 50)
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table raw.batch in access share mode")
        with pytest.raises(migrate.MigrationError, match=r"^can't downgrade to base: .*lock.*try again$"):
            migrate.downgrade(dsn, "base")
    assert migrate.status(dsn).is_current


def test_an_unknown_revision_is_refused(dsn: str) -> None:
    with pytest.raises(migrate.MigrationError, match="nonsense"):
        migrate.downgrade(dsn, "nonsense")


def test_an_old_server_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "OLDEST_SERVER", 99)
    with pytest.raises(migrate.MigrationError, match=r"^PostgreSQL 18 is too old: 99 or newer is needed$"):
        migrate.status(dsn)


def test_no_server_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(migrate.UnreachableError) as caught:
        migrate.current(f"postgresql://postgres@/x?host={tmp_path}")
    assert "\n" not in str(caught.value)


def test_asking_imports_no_alembic(dsn: str) -> None:
    code = (
        "import sys; from mainstem.platform import migrate; migrate.upgrade(sys.argv[1]); "
        "assert not {'alembic', 'sqlalchemy'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code, dsn], check=True)
