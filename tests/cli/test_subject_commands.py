"""`mainstem subject`: find, export, erase, rewrap, as an operator calls them."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from subjects.people import custom

from mainstem.events.group import PendingGroup
from mainstem.events.log import PostgresLog
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring
from mainstem.platform.settings import Settings
from mainstem.site.feed import SITE_FEED
from mainstem.vault.loader import Loader
from mainstem.vault.model import EVENT_FEED

KEY, NEW_KEY = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture
def cli(on_database, monkeypatch: pytest.MonkeyPatch):
    """Return the command line with a key of people's keys."""
    monkeypatch.setenv("PII_KEY", KEY)
    return on_database


@pytest.fixture
def anna(dsn: str) -> str:
    """Return the address of somebody whose event is loaded."""

    async def send() -> None:
        sealer = Sealer(Settings(_env_file=None).pii_fields, Keyring(base64.b64decode(KEY)))
        log = PostgresLog(dsn, sealer)
        event = sealer.mark(custom({"email": "anna@example.com", "phone": "+43 660 123456"}))
        await log.append([PendingGroup(1, "http", [event])])
        await log.close()
        await Loader(dsn, (SITE_FEED, EVENT_FEED), sealer=sealer).load_once()

    asyncio.run(send())
    return "anna@example.com"


def query(dsn: str, action: Callable[[asyncpg.Connection], Awaitable[object]]) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await action(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_finds_exports_and_erases(cli, anna: str, tmp_path: Path):
    found = cli("subject", "find", "--tenant", "default", "--email", anna.upper(), "--json")
    (one,) = json.loads(found.out)
    assert cli("subject", "erasures", "--tenant", "default").err == "nobody was erased\n"
    assert anna not in found.out
    assert one["identifiers"] == {"email": 1, "phone": 1}
    assert one["subject_id"] in cli("subject", "find", "--tenant", "default", "--phone", "0043 660 123456").out

    file = tmp_path / "anna.json"
    assert cli("subject", "export", "--tenant", "default", "--email", anna, "--file", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["events"][0]["data"]["email"] == anna

    erased = cli("subject", "erase", "--tenant", "default", "--email", anna, "--ticket", "DSR-7", "--yes", "--json")
    assert [proof["repeated"] for proof in json.loads(erased.out)] == [False]
    listed = json.loads(cli("subject", "erasures", "--tenant", "default", "--json").out)
    assert [(proof["subject_id"], proof["ticket"]) for proof in listed] == [(one["subject_id"], "DSR-7")]
    again = cli("subject", "erase", "--tenant", "default", "--subject", one["subject_id"], "--yes")
    assert "was erased before" in again.out
    assert cli("subject", "find", "--tenant", "default", "--email", anna).err == "nobody is known by that\n"
    export = cli("subject", "export", "--tenant", "default", "--subject", one["subject_id"])
    assert json.loads(export.out)["events"][0]["data"] == {"email": "(erased)", "phone": "(erased)"}


def test_asks_before_it_erases(cli, anna: str):
    asked = cli("subject", "erase", "--tenant", "default", "--email", anna)
    assert asked.code == 1
    assert json.loads(cli("subject", "find", "--tenant", "default", "--email", anna, "--json").out)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["find", "--tenant", "default"], 2, "say who"),
        (["erase", "--tenant", "default", "--email", "bob@example.com", "--yes"], 1, "nobody is known by that"),
        (["export", "--tenant", "default", "--email", "bob@example.com"], 1, "nobody is known by that"),
        (["find", "--tenant", "default", "--email", "bob"], 1, "email is not a valid one"),
        (["find", "--tenant", "nowhere", "--email", "bob@example.com"], 1, "nowhere"),
        (["export", "--tenant", "default", "--subject", "00000000-0000-4000-8000-000000000000"], 1, "no such person"),
    ],
)
def test_says_what_is_wrong(cli, arguments: list[str], code: int, line: str):
    outcome = cli("subject", *arguments)
    assert outcome.code == code
    assert line in outcome.err


def test_changes_the_key(cli, anna: str, dsn: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PII_KEY", NEW_KEY)
    lost = cli("subject", "find", "--tenant", "default", "--email", anna)
    assert lost.code == 1
    assert "PII_KEY_PREVIOUS" in lost.err
    monkeypatch.setenv("PII_KEY_PREVIOUS", KEY)
    assert json.loads(cli("subject", "rewrap", "--json").out)["rewrapped"] == 2
    assert json.loads(cli("subject", "rewrap", "--json").out)["rewrapped"] == 0
    monkeypatch.delenv("PII_KEY_PREVIOUS")
    assert json.loads(cli("subject", "find", "--tenant", "default", "--email", anna, "--json").out)
    count = query(dsn, lambda connection: connection.fetchval("select count(distinct key_id) from pii.subject_key"))
    assert count == 1


@pytest.mark.parametrize("key", ["short", "!" * 44, "ab" * 31])
def test_refuses_a_key_that_is_none_without_showing_it(cli, monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv("PII_KEY", key)
    outcome = cli("subject", "rewrap")
    assert outcome.code == 2
    assert "32 random bytes" in outcome.err
    assert key not in outcome.err
