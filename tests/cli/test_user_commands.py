"""`mainstem user`: people listed, kept out, invited, and helped to a new password."""

import asyncio
import json
import re

import asyncpg
import pytest
from postbox import mailing

PASSWORD = "correct horse battery"
ANA = "ana@harbour.example"


@pytest.fixture
def people(on_database):
    """Return `cli` on a database with Ana, a member of default, in an empty data folder."""
    made = on_database("user", "create", ANA, "--tenant", "default", "--name", "Ana", stdin=f"{PASSWORD}\n")
    assert made.code == 0
    return on_database


def fetchval(dsn: str, query: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_listed_disabled_and_enabled(people):
    [row] = json.loads(people("user", "list", "--tenant", "default", "--json").out)
    assert (row["email"], row["name"], row["role"], row["disabled_at"]) == (ANA, "Ana", "member", None)
    assert row["email_verified_at"] is not None
    assert ANA in people("user", "list", "--tenant", "default").out
    assert people("user", "disable", ANA, "--tenant", "default").out == f"user {ANA} disabled\n"
    off = json.loads(people("user", "disable", ANA, "--tenant", "default", "--json").out)
    assert off["disabled_at"] is not None
    refused = people("user", "reset", ANA, "--tenant", "default")
    assert (refused.code, "enable it first" in refused.err) == (1, True)
    assert people("user", "enable", ANA, "--tenant", "default").out == f"user {ANA} enabled\n"
    people("tenant", "create", "other")
    for command in ("disable", "enable", "reset"):
        foreign = people("user", command, ANA, "--tenant", "other")
        assert (foreign.code, foreign.err) == (1, f"mainstem: User {ANA} not found\n")


def test_links_are_printed_where_nothing_can_be_mailed(people, dsn, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://hub.example")
    link = people("user", "reset", ANA, "--tenant", "default").out
    assert re.fullmatch(r"https://hub\.example/api/auth/reset-password#[\w-]{43}\n", link)
    invited = json.loads(
        people("user", "invite", "bo@harbour.example", "--tenant", "default", "--role", "viewer", "--json").out
    )
    assert re.fullmatch(r"https://hub\.example/api/auth/invitation#[\w-]{43}", invited["link"])
    assert (invited["role"], invited["email"]) == ("viewer", "bo@harbour.example")
    assert fetchval(dsn, "select count(*) from platform.mail") == 0
    wrong = people("user", "invite", "c@harbour.example", "--tenant", "default", "--role", "king")
    assert (wrong.code, "A role is one of" in wrong.err) == (1, True)
    monkeypatch.setenv("SIGN_UP", "closed")
    closed = people("user", "invite", "c@harbour.example", "--tenant", "default")
    assert (closed.code, "Sign-up is not open" in closed.err) == (1, True)


def test_links_are_queued_where_mails_can_be_sent(people, dsn, monkeypatch):
    with mailing() as box:
        monkeypatch.setenv("SMTP_URL", box.url)
        monkeypatch.setenv("MAIL_FROM", "hub@example.org")
        asked = people("user", "reset", ANA, "--tenant", "default")
        assert asked.out == f"a link to a new password is on its way to {ANA}\n"
        assert json.loads(people("user", "reset", ANA, "--tenant", "default", "--json").out)["link"] is None
        people("user", "invite", "bo@harbour.example", "--tenant", "default")
        assert fetchval(dsn, "select count(*) from platform.mail where body = '' and sealed is not null") == 3
        shown = people("user", "reset", ANA, "--tenant", "default", "--print")
        assert "#" in shown.out
        assert fetchval(dsn, "select count(*) from platform.mail") == 3


def test_a_key_for_a_person(people):
    made = json.loads(people("key", "create", "--tenant", "default", "--user", ANA, "--json").out)
    assert made["scopes"] == ["ingest", "read", "tasks"]
    assert made["user_id"] is not None
    narrow = json.loads(people("key", "create", "--tenant", "default", "--user", ANA, "--scope", "tasks", "--json").out)
    assert narrow["scopes"] == ["tasks"]
    plain = json.loads(people("key", "create", "--tenant", "default", "--scope", "read", "--json").out)
    assert plain["user_id"] is None
    nobody = people("key", "create", "--tenant", "default", "--user", "nobody@harbour.example")
    assert (nobody.code, "not found" in nobody.err) == (1, True)
