"""The commands for tenants, keys, users, schema and rejects: answers, JSON, exit codes, one line for a failure."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

import mainstem
from mainstem.cli.generated import cli_page
from mainstem.platform import migrate

TENANT = ("--tenant", "default")


def one(dsn: str, query: str, *values: object) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query, values).fetchone()
    return row[0] if row else None


class TestKeys:
    def test_a_new_key_is_shown_once_and_stored_as_a_hash(self, on_database, dsn: str) -> None:
        made = on_database("key", "create", *TENANT, "--scope", "ingest,read", "--json")
        assert made.code == 0
        shown = json.loads(made.out)
        assert (shown["tenant"], shown["scopes"]) == ("default", ["ingest", "read"])
        stored = one(dsn, "select key_hash from platform.api_key where api_key_id = %s", shown["id"])
        assert stored == sha256(shown["key"].encode()).digest()
        listed = on_database("key", "list", *TENANT, "--json")
        assert shown["key"] not in listed.out
        assert [key["id"] for key in json.loads(listed.out)] == [shown["id"]]

    def test_without_json_the_key_alone_is_on_standard_output(self, on_database) -> None:
        made = on_database("key", "create", *TENANT, "--scope", "ingest")
        assert made.out.startswith("ms_live_")
        assert made.out.count("\n") == 1

    def test_scopes_may_be_repeated_or_separated_by_commas(self, on_database) -> None:
        made = on_database("key", "create", *TENANT, "--scope", "read", "--scope", "tasks,ingest", "--json")
        assert json.loads(made.out)["scopes"] == ["ingest", "read", "tasks"]

    def test_a_public_key_is_bound_to_its_origins(self, on_database) -> None:
        origin = "https://www.example.com"
        made = json.loads(on_database("key", "create", *TENANT, "--public", "--origin", origin, "--json").out)
        assert (made["scopes"], made["allowed_origins"]) == (["ingest"], [origin])
        refused = on_database("key", "create", *TENANT, "--public")
        assert refused.code == 1
        assert refused.err.startswith("mainstem: A public key needs the origins")

    def test_a_key_of_another_system_is_taken_over_from_standard_input(self, on_database, dsn: str) -> None:
        old = "old-system-key-0123456789-abcdef"
        taken = on_database("key", "import", *TENANT, "--scope", "ingest", "--json", stdin=old + "\n")
        assert taken.code == 0
        assert old not in taken.out
        assert one(dsn, "select imported from platform.api_key where key_hash = %s", sha256(old.encode()).digest())

    def test_nothing_on_standard_input_is_wrong_usage(self, on_database) -> None:
        assert on_database("key", "import", *TENANT, "--scope", "ingest").code == 2

    def test_a_revoked_key_leaves_the_list(self, on_database) -> None:
        made = json.loads(on_database("key", "create", *TENANT, "--scope", "read", "--json").out)
        assert on_database("key", "revoke", made["id"], *TENANT).code == 0
        assert json.loads(on_database("key", "list", *TENANT, "--json").out) == []
        shown = json.loads(on_database("key", "list", *TENANT, "--revoked", "--json").out)
        assert shown[0]["revoked_at"].endswith("Z")

    def test_another_tenants_key_can_t_be_revoked(self, on_database) -> None:
        on_database("tenant", "create", "other")
        made = json.loads(on_database("key", "create", *TENANT, "--scope", "read", "--json").out)
        refused = on_database("key", "revoke", made["id"], "--tenant", "other")
        assert (refused.code, refused.err) == (1, f"mainstem: API key {made['id']} not found\n")


class TestTenantsAndUsers:
    def test_a_tenant_is_made_and_listed(self, on_database) -> None:
        made = json.loads(on_database("tenant", "create", "my_shop", "--name", "My shop", "--json").out)
        assert (made["slug"], made["name"]) == ("my_shop", "My shop")
        listed = json.loads(on_database("tenant", "list", "--json").out)
        assert [tenant["slug"] for tenant in listed] == ["default", "my_shop"]

    def test_a_table_into_a_pipe_has_one_line_for_each_row(self, on_database) -> None:
        on_database("tenant", "create", "a" * 60, "--name", "a long name " * 10)
        assert len(on_database("tenant", "list").out.splitlines()) == 3

    def test_twice_the_same_tenant_is_refused(self, on_database) -> None:
        refused = on_database("tenant", "create", "default")
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == "mainstem: Tenant 'default' already exists.\n"

    def test_a_user_s_password_comes_from_standard_input_and_is_never_shown(self, on_database, dsn: str) -> None:
        arguments = ("user", "create", "Ann@Example.com", *TENANT, "--role", "owner", "--json")
        made = on_database(*arguments, stdin="correct horse battery\n")
        assert made.code == 0
        assert json.loads(made.out)["email"] == "ann@example.com"
        assert "horse" not in made.out + made.err
        stored = one(dsn, "select password_hash from platform.users where email = 'ann@example.com'")
        assert str(stored).startswith("$argon2id$")

    def test_a_short_password_is_refused_before_anything_else(self, cli) -> None:
        refused = cli("user", "create", "ann@example.com", *TENANT, stdin="short\n")
        assert refused.code == 1
        assert "A password has" in refused.err


class TestMigrate:
    def test_up_down_and_status(self, on_database, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", empty_dsn)
        head = migrate.head()
        status = on_database("migrate", "status", "--json")
        assert (status.code, json.loads(status.out)["is_current"]) == (1, False)
        assert on_database("migrate", "up").out == f"empty -> {head}\n"
        assert on_database("migrate", "up").out == f"{head} is the newest\n"
        assert on_database("migrate", "status").code == 0
        assert on_database("migrate", "down", "base", "--yes").out == f"{head} -> empty\n"

    def test_down_asks_first(self, on_database, dsn: str) -> None:
        assert on_database("migrate", "down", "base", stdin="n\n").code == 1
        assert migrate.current(dsn) == migrate.head()

    def test_sql_is_printed_and_not_run(self, on_database, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", empty_dsn)
        assert "create schema raw" in on_database("migrate", "up", "--sql").out
        assert migrate.current(empty_dsn) is None


class TestDatabase:
    def test_psql_as_a_tenant_sees_that_tenant_alone(self, on_database, dsn: str) -> None:
        on_database("tenant", "create", "other")
        reject(dsn, "load", "bad_url")
        count = ("--", "-Atc", "select current_user, count(*) from staging.rejected")
        assert program(dsn, "db", "psql", "--tenant", "default", *count).stdout == "mainstem_api|1\n"
        assert program(dsn, "db", "psql", "--tenant", "other", *count).stdout == "mainstem_api|0\n"
        nobody = program(dsn, "db", "psql", "--tenant", "nobody", *count)
        assert (nobody.returncode, nobody.stderr) == (1, "mainstem: Tenant 'nobody' not found\n")

    def test_a_backup_comes_back_into_an_empty_database_only(self, dsn: str, empty_dsn: str, tmp_path: Path) -> None:
        reject(dsn, "load", "bad_url")
        backup = tmp_path / "mainstem.dump"
        assert program(dsn, "db", "dump", backup).returncode == 0
        assert backup.stat().st_mode & 0o777 == 0o600
        refused = program(dsn, "db", "restore", backup)
        assert (refused.returncode, refused.stderr[:24]) == (1, "mainstem: there is data ")
        restored = program(empty_dsn, "db", "restore", backup)
        assert restored.returncode == 0, restored.stderr
        assert migrate.status(empty_dsn).is_current
        assert one(empty_dsn, "select code from staging.rejected") == "bad_url"
        assert one(empty_dsn, "select relforcerowsecurity from pg_class where oid = 'staging.rejected'::regclass")


class TestRejects:
    def test_list_shows_the_reason_and_the_event_as_it_came(self, on_database, dsn: str) -> None:
        reject(dsn, "load", "bad_url")
        [shown] = json.loads(on_database("rejects", "list", *TENANT, "--json").out)
        assert (shown["code"], shown["payload"]) == ("bad_url", "{}")
        assert json.loads(on_database("rejects", "list", *TENANT, "--code", "other", "--json").out) == []
        assert "bad_url" in on_database("rejects", "list", *TENANT).out

    def test_replay_needs_to_know_which(self, on_database) -> None:
        assert on_database("rejects", "replay", *TENANT).code == 2

    def test_another_tenants_rejects_stay_where_they_are(self, on_database, dsn: str) -> None:
        on_database("tenant", "create", "other")
        rejected_id = reject(dsn, "load", "bad_url")
        replayed = on_database("rejects", "replay", rejected_id, "--tenant", "other", "--json")
        assert json.loads(replayed.out) == []
        assert replayed.code == 1
        assert replayed.err.startswith(f"mainstem: not replayed: {rejected_id}.")
        assert one(dsn, "select replayed_at from staging.rejected") is None

    def test_replay_gives_them_to_the_loader_again(self, on_database, dsn: str) -> None:
        batch = one(dsn, "select raw.append(1, %s::jsonb, 'http')", '[{"kind": "x.y"}]')
        rejected_id = reject(dsn, "load", "bad_url", raw_id=batch)
        [replayed] = json.loads(on_database("rejects", "replay", "--all", *TENANT, "--json").out)
        assert replayed["rejected_id"] == rejected_id
        assert one(dsn, "select events from raw.batch where batch_id = %s", replayed["batch_id"]) == 1
        assert json.loads(on_database("rejects", "list", *TENANT, "--json").out) == []


def program(dsn: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own: what it starts writes past the test's capture."""
    command = [sys.executable, "-m", "mainstem", *map(str, arguments)]
    environment = {**os.environ, "DATABASE_URL": dsn}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def reject(dsn: str, stage: str, code: str, raw_id: object = None) -> object:
    query = """
        insert into staging.rejected (tenant_id, raw_id, stage, code, reason, origin, payload)
        values (1, %s, %s, %s, 'the reason', 'http', '{}') returning rejected_id"""
    return one(dsn, query, raw_id, stage, code)


class TestFailures:
    def test_no_data_folder_is_no_reason_to_make_one(self, cli, tmp_path) -> None:
        failed = cli("tenant", "list", "--data-dir", tmp_path / "typo")
        assert failed.code == 3
        assert failed.err.startswith(f"mainstem: there is no database in {tmp_path}/typo: run mainstem up first")
        assert not (tmp_path / "typo").exists()

    def test_an_unreachable_database_is_exit_code_3(self, cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        for command in (["tenant", "list"], ["migrate", "status"], ["key", "list", *TENANT]):
            failed = cli(*command)
            assert (failed.code, failed.err.count("\n")) == (3, 1), command

    def test_an_unknown_host_is_exit_code_3(self, cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hidden@host.invalid/nothing")
        for command in (["tenant", "list"], ["migrate", "status"]):
            failed = cli(*command)
            assert (failed.code, failed.err.count("\n")) == (3, 1), command
            assert "hidden" not in failed.err

    def test_an_unmigrated_database_says_what_to_do(self, cli, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", empty_dsn)
        failed = cli("tenant", "list")
        assert failed.code == 1
        assert "run mainstem migrate up" in failed.err

    def test_a_wrong_setting_is_exit_code_2(self, cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_PORT", "eighty")
        failed = cli("tenant", "list")
        assert failed.code == 2
        assert failed.err.startswith("mainstem: API_PORT ")

    def test_a_misspelt_setting_is_a_warning(self, on_database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAINSTEM_SECRET_KY", "x")
        listed = on_database("tenant", "list")
        assert listed.code == 0
        assert listed.err.startswith("warning: MAINSTEM_SECRET_KY is not a setting and is ignored; did you mean")

    def test_a_misspelt_setting_in_the_env_file_is_a_warning_too(self, on_database, tmp_path) -> None:
        (tmp_path / ".env").write_text("MAINSTEM_LOG_LEVL=DEBUG\nLOG_LEVEL=WARNING\n")
        listed = on_database("tenant", "list")
        assert listed.code == 0
        assert listed.err.startswith("warning: MAINSTEM_LOG_LEVL is not a setting and is ignored; did you mean")
        assert listed.err.count("\n") == 1

    def test_wrong_usage_is_exit_code_2(self, cli) -> None:
        assert cli("nonsense").code == 2
        assert cli("key", "create").code == 2

    def test_nothing_running_has_no_url(self, cli) -> None:
        assert cli("db", "url").code == 3


class TestItself:
    def test_version(self, cli) -> None:
        assert cli("version").out == f"{mainstem.__version__}\n"
        assert json.loads(cli("version", "--json").out) == {"version": mainstem.__version__}

    def test_db_url_is_the_configured_one(self, on_database, dsn: str) -> None:
        assert on_database("db", "url").out == f"{dsn}\n"
        assert json.loads(on_database("db", "url", "--json").out) == {"url": dsn}

    def test_settings_in_both_forms(self, cli) -> None:
        assert "# DATABASE_URL=" in cli("settings", "--env").out or "#DATABASE_URL=" in cli("settings").out
        assert cli("settings", "--markdown").out.startswith("# Settings\n")
        rows = {row["name"]: row for row in json.loads(cli("settings", "--json").out)}
        assert rows["DATABASE_URL"]["other_names"] == ["SYSTEM_DATABASE_URL"]
        assert rows["DATABASE_POOL_SIZE"]["default"] == 20
        assert rows["MAINSTEM_DATA_DIR"]["default"] == "data"

    def test_the_reference_page_has_every_command(self) -> None:
        page = cli_page()
        for command in ("up", "serve", "work", "migrate down", "key import", "rejects replay", "import access-log"):
            assert f"\n## `mainstem {command}`\n" in page

    def test_help_loads_nothing_heavy(self) -> None:
        code = (
            "import sys, mainstem.cli\n"
            "heavy = {'asyncpg', 'psycopg', 'fastapi', 'pydantic', 'sqlalchemy', 'uvicorn'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
