"""`mainstem vault check` at the command line."""

import json

import psycopg


def test_the_command_tells_people_and_programs(on_database, dsn: str):
    shown = on_database("vault", "check")
    assert shown.code == 0
    assert "nhl_site_event" in shown.out
    told = json.loads(on_database("vault", "check", "--full", "--json").out)
    assert (told["ok"], told["full"]) == (True, True)
    assert {"check", "subject", "state", "checked", "violations", "examples", "seconds", "note"} == set(
        told["checks"][0]
    )


def test_a_failure_shows_its_example_and_exits_with_1(on_database, dsn: str):
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into vault.hub_page values (1, sha256('x'), 'https://a/', now(), 'test')")
    shown = on_database("vault", "check")
    assert shown.code == 1
    assert "https://a/" in shown.err
    told = on_database("vault", "check", "--json")
    assert told.code == 1
    (found,) = [one for one in json.loads(told.out)["checks"] if one["state"] == "failed"]
    assert (found["check"], found["subject"], found["violations"]) == ("hash", "vault.hub_page", 1)


def test_without_the_schema_it_says_what_to_do(cli, empty_dsn: str, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    refused = cli("vault", "check")
    assert refused.code == 1
    assert "mainstem migrate up" in refused.err
