"""`mainstem vault plan|apply|backfill|docs`, and the guide, as a newcomer types it."""

import asyncio
import json
import re
from pathlib import Path

import asyncpg
import psycopg
import pytest
from vault.modelling import SHOP, load_all
from vault.vaulting import append, event

GUIDE = (Path(__file__).parents[2] / "docs/guides/own-vault-model.md").read_text(encoding="utf-8")
MODEL = re.search(r"<<'YAML'\n(.*?)YAML\n", GUIDE, re.DOTALL)
SENT = re.search(r"-d '(\{\"events\".*?\})'\n", GUIDE, re.DOTALL)
QUERIES = re.search(r"<<'SQL'\n(.*?)SQL\n", GUIDE, re.DOTALL)
PYTHON = re.search(r"```python\n(.*?)```\n", GUIDE, re.DOTALL)


def send(dsn: str, *events: tuple[str, dict[str, object]]) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        for kind, data in events:
            await append(connection, [event(data, kind=kind)])
        await connection.close()
        await load_all(dsn)

    asyncio.run(run())


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def shop(on_database, tmp_path: Path):
    """Return `cli` in a folder whose data folder has a model file."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vault.yaml").write_text(SHOP)
    return on_database


def test_the_guide_works_as_it_is_written(shop, dsn: str, tmp_path: Path):
    assert MODEL
    assert SENT
    assert QUERIES
    (tmp_path / "data" / "vault.yaml").write_text(MODEL[1])
    assert "create table" in shop("vault", "plan").out
    assert shop("vault", "apply", "--yes").code == 0
    assert shop("vault", "plan").out == "nothing to do\n"
    send(dsn, *[(one["kind"], one["data"]) for one in json.loads(SENT[1])["events"]])
    current, history, customers, items = (ask(dsn, query) for query in QUERIES[1].split(";\n") if query.strip())
    assert [(row[0], str(row[1]), row[2]) for row in current] == [("7", "0.00", "order.refunded")]
    assert [str(row[1]) for row in history] == ["129.00", "0.00"]
    assert customers == [("7", "42")]
    assert items == [("7", "socks", 3)]


def test_the_python_of_the_guide_works_as_it_is_written(
    shop, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert PYTHON
    path = tmp_path / "vault.py"
    path.write_text(PYTHON[1])
    monkeypatch.setenv("VAULT_MODEL", str(path))
    assert shop("vault", "apply", "--yes").code == 0
    send(dsn, ("legacy.made", {"number": " a1 "}))
    assert ask(dsn, "select legacy_order from business.legacy_order") == [("A1",)]
    # a file that was changed since is followed as far as the tables are those that it wants
    path.write_text(PYTHON[1].replace(".upper()", ""))
    send(dsn, ("legacy.made", {"number": "b1"}))
    path.write_text(PYTHON[1].replace("hub_legacy_order", "hub_other"))
    send(dsn, ("legacy.made", {"number": "c1"}))
    path.unlink()
    send(dsn, ("legacy.made", {"number": "d1"}))
    assert ask(dsn, "select legacy_order from business.legacy_order order by 1") == [("A1",), ("b1",)]
    assert ask(dsn, "select count(*) from business.event") == [(4,)]
    # what was missed meanwhile is in the facts
    path.write_text(PYTHON[1])
    assert shop("vault", "backfill", "legacy", "--again").code == 0
    assert ask(dsn, "select legacy_order from business.legacy_order order by 1") == [("A1",), ("B1",), ("C1",), ("D1",)]
    assert shop("vault", "backfill", "--again").code == 2


def test_apply_fills_from_history_and_says_so_as_json(shop, dsn: str):
    send(dsn, ("order.paid", {"order_id": "1"}), ("order.paid", {"order_id": "2", "total": "x"}))
    asked = shop("vault", "apply")
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    done = json.loads(shop("vault", "apply", "--yes", "--json").out)
    assert done["backfills"][0]["events"] == 2
    assert done["backfills"][0]["left_out"] == [{"reason": "data.total must be a number, not 'x'.", "events": 1}]
    assert ask(dsn, "select order_id from business.shop_order") == [("1",)]
    again = json.loads(shop("vault", "apply", "--yes", "--json").out)
    assert (again["nothing_to_do"], again["backfills"]) == (True, [])
    assert shop("vault", "backfill").out == "nothing to do\n"
    assert shop("vault", "backfill", "shop", "--json").out == "[]\n"
    assert shop("vault", "backfill", "other").code == 2


def test_an_apply_that_was_killed_before_the_backfill_goes_on(shop, dsn: str):
    send(dsn, ("order.paid", {"order_id": "1"}))
    assert shop("vault", "apply", "--yes").code == 0
    with psycopg.connect(dsn) as connection:
        connection.execute("update vault.model_load set live_at = null; delete from vault.hub_shop_order")
        connection.execute("update vault.model_state set version = version + 1")
    send(dsn, ("order.paid", {"order_id": "2"}))
    assert ask(dsn, "select order_id from business.shop_order") == []
    assert "10 tables filled from 2 stored events" in shop("vault", "apply", "--yes").out
    assert ask(dsn, "select order_id from business.shop_order order by 1") == [("1",), ("2",)]


def test_a_file_that_is_not_applied_fills_nothing(shop, tmp_path: Path):
    assert shop("vault", "backfill").code == 1
    assert shop("vault", "apply", "--yes").code == 0
    (tmp_path / "data" / "vault.yaml").write_text(SHOP.replace("data.total", "data.sum"))
    behind = shop("vault", "backfill", "shop", "--again")
    assert (behind.code, "is not the model that is applied" in behind.err) == (1, True)
    assert "-- comment on vault.sat_shop_order_state.total" in shop("vault", "plan").out


def test_what_is_refused_is_told_and_fails(shop, tmp_path: Path):
    assert shop("vault", "apply", "--yes").code == 0
    (tmp_path / "data" / "vault.yaml").write_text(SHOP.replace("total, type: numeric", "total, type: int8"))
    for command in (("plan",), ("apply", "--yes")):
        refused = shop("vault", *command)
        assert refused.code == 1
        assert "refused: vault.sat_shop_order_state.total is numeric and can't become bigint" in refused.err


def test_two_at_once_do_not_meet(shop, dsn: str):
    with psycopg.connect(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('vault.model'))")
        busy = shop("vault", "apply", "--yes")
    assert busy.code == 1
    assert "another process is applying or filling the model" in busy.err


def test_a_table_that_stays_locked_is_told(shop, dsn: str):
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table platform.tenant in access exclusive mode")
        locked = shop("vault", "apply", "--yes")
    assert (locked.code, "nothing was changed, try again" in locked.err) == (1, True)
    assert ask(dsn, "select count(*) from vault.model") == [(0,)]


def test_without_a_file_it_says_where_it_looked(on_database):
    missing = on_database("vault", "plan")
    assert missing.code == 2
    assert "vault.yaml" in missing.err
    assert "docs/guides/own-vault-model.md" in missing.err
    named = on_database("vault", "plan", "--model", "none.yaml")
    assert named.code == 1
    assert "none.yaml: No such file" in named.err


def test_faults_of_a_file_are_told_one_per_line(shop, tmp_path: Path):
    (tmp_path / "data" / "vault.yaml").write_text("feeds:\n  - {name: X, kind: [a.b]}\n")
    wrong = shop("vault", "plan")
    assert wrong.code == 2
    assert "vault.yaml:2: feeds[0].kind: there is no such setting; did you mean kinds?" in wrong.err
    assert len(wrong.err.splitlines()) == 4


def test_docs_need_no_database(cli, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vault.yaml").write_text(SHOP)
    assert "## vault.hub_shop_order" in cli("vault", "docs").out
    assert cli("vault", "docs", "--format", "mermaid").out.startswith("flowchart LR")
    assert cli("vault", "docs", "--format", "html", "--out", "site").out == "site/vault-model.html\n"
    assert "hub_shop_order" in (tmp_path / "site" / "vault-model.html").read_text()
