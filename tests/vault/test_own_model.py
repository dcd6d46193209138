"""A user's model from file to view: applied, loaded, changed, filled from history."""

import asyncio
from decimal import Decimal

import asyncpg
import pytest
from vault.modelling import FEEDS, SHOP, apply_model, contents, fill, load_all, model, order, rows
from vault.vaulting import append, balance, event

from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring
from mainstem.pii.identify import Identifier, Kind
from mainstem.subjects.erase import erase
from mainstem.vault.check import check
from mainstem.vault.custom import catalogue
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.custom.apply import apply
from mainstem.vault.custom.backfill import backfill, empty
from mainstem.vault.custom.document import ModelError
from mainstem.vault.custom.plan import plan
from mainstem.vault.feed import structures_of
from mainstem.vault.loader import Loader
from mainstem.vault.rebuild import Plan, rebuild

FIRST = {
    "order_id": "7",
    "customer": {"id": "c1"},
    "total": "12.50",
    "clerk": "Ann",
    "items": [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}],
}
SECOND = {
    "order_id": "7",
    "customer": {"id": "c1", "was": "c0"},
    "total": 0,
    "clerk": "Bob",
    "items": [{"sku": "B", "quantity": "2"}],
}
TABLES = [spec.table for spec in model().structures]


async def test_from_file_to_views(connection: asyncpg.Connection, dsn: str):
    await apply_model(connection, model())
    await fill(connection, model())
    await order(connection, FIRST)
    await load_all(dsn)
    await order(connection, SECOND, kind="order.refunded")
    await load_all(dsn)
    assert await rows(connection, "select order_id, total, status from business.shop_order") == [
        ("7", Decimal(0), "order.refunded")
    ]
    history = "select total, status, valid_to is null from business.shop_order_state_history order by valid_from"
    assert await rows(connection, history) == [
        (Decimal("12.50"), "order.paid", False),
        (Decimal(0), "order.refunded", True),
    ]
    assert await rows(connection, "select order_id, customer_id from business.shop_order_customer") == [("7", "c1")]
    assert await rows(connection, "select order_id, sku, quantity from business.shop_order_item") == [("7", "B", 2)]
    assert await rows(connection, "select clerk from business.shop_order_care") == [("Bob",)]
    care = "select clerk, valid_to is null from business.shop_order_care_history order by clerk"
    assert await rows(connection, care) == [("Ann", False), ("Bob", True)]
    assert await rows(connection, "select order_id, status from business.shop_order_sign") == [("7", "order.refunded")]
    same = "select master_customer_id, duplicate_customer_id from business.shop_customer_same"
    assert await rows(connection, same) == [("c1", "c0")]
    assert await connection.fetchval("select count(*) from business.event") == 2
    assert await balance(connection) == (2, 2, 0, 0)


async def test_check_and_rebuild_follow_the_model_in_force(connection: asyncpg.Connection, dsn: str):
    await order(connection, FIRST)
    await load_all(dsn)
    await apply_model(connection, model())
    await fill(connection, model())
    await order(connection, SECOND, kind="order.refunded")
    await append(connection, [event({"page": "p", "visitor": "v"}), event({"n": 1}, kind="order.noted")])
    await load_all(dsn)
    feeds = (await ModelSource(FEEDS, None)(connection)).feeds
    found = await check(dsn, structures_of(feeds), full=True)
    assert [one for one in found if one.state == "failed"] == []
    assert {one.check: one.note for one in found if one.state == "skipped" and "shop" in one.subject} == {}
    assert (await rebuild(dsn, feeds, Plan())).differences == []
    before = await contents(connection, TABLES)
    await connection.execute("delete from vault.sat_shop_order_state; delete from vault.hub_shop_customer")
    assert {one.subject for one in await check(dsn, structures_of(feeds), full=True) if one.state == "failed"} > {
        "vault.lnk_shop_order_customer"
    }
    assert (await rebuild(dsn, feeds, Plan(), decide=lambda _: True)).swapped
    assert await contents(connection, TABLES) == before
    await order(connection, FIRST | {"total": 13})
    await load_all(dsn)
    assert await rows(connection, "select total, status from business.shop_order") == [(Decimal(13), "order.paid")]


async def test_what_is_personal_leads_from_a_users_feed_to_the_customer(connection: asyncpg.Connection, dsn: str):
    sealer = Sealer(["email"], Keyring(bytes(32)))
    await apply_model(connection, model())
    await fill(connection, model())
    await order(connection, FIRST | {"email": "anna@example.com"})
    assert await Loader(dsn, FEEDS, source=ModelSource(FEEDS, None), sealer=sealer).load_once() is not None
    (customer,) = await rows(connection, "select customer from business.customer")
    assert await rows(connection, "select kind, customer from business.event") == [("order.paid", *customer)]
    async with connection.transaction():
        (subject,) = await sealer.subjects.find(connection, 1, [Identifier(Kind.EMAIL, "anna@example.com")])
        await connection.execute(
            "insert into staging.rejected (tenant_id, stage, code, reason, origin, payload) "
            "values (1, 'intake', 'x', 'x', 'http', 'anna@example.com')"
        )
        done = await erase(connection, sealer.keyring, 1, subject, by="test")
    assert (str(subject), done.counts["refused_events"]) == (*customer, 1)


async def test_applying_twice_finds_nothing_to_do(connection: asyncpg.Connection):
    first = await apply_model(connection, model())
    assert [change.what for change in first.changes][:2] == [
        "table vault.hub_shop_order",
        "table vault.hub_shop_customer",
    ]
    assert plan(model(), await catalogue.read(connection)).is_empty
    assert (await apply_model(connection, model())).is_empty
    assert await connection.fetchval("select count(*) from vault.model") == 1


async def test_the_plan_of_an_empty_model_is_empty_of_statements(connection: asyncpg.Connection):
    found = plan(model("feeds: []"), await catalogue.read(connection))
    assert (found.changes, found.add_loads, found.refusals) == ((), (), ())


async def test_the_tables_are_protected_and_have_ghosts_for_old_and_new_tenants(connection: asyncpg.Connection):
    await apply_model(connection, model())
    await connection.execute("insert into platform.tenant (slug, name) values ('new', 'New')")
    tenants = await connection.fetchval("select count(*) from platform.tenant")
    for table in ("hub_shop_order", "hub_shop_clerk", "sat_shop_order_state", "msat_shop_order_item"):
        assert await connection.fetchval(f"select count(*) from vault.{table}") == tenants == 2
    open_tables = "select relname from pg_class where relname ~ 'shop_' and relkind = 'r' and not relforcerowsecurity"
    assert await rows(connection, open_tables) == []
    await connection.execute("set role mainstem_api; set mainstem.tenant_id = '2'")
    assert await rows(connection, "select tenant_id from vault.hub_shop_order") == [(2,)]
    assert await rows(connection, "select tenant_id from business.shop_order") == []


async def test_history_is_filled_as_if_it_had_been_loaded(connection: asyncpg.Connection, dsn: str, empty_dsn: str):
    async def send() -> None:
        for n in range(6):
            data = FIRST | {"order_id": str(n % 2), "total": n % 3, "clerk": f"C{n % 3}"}
            await order(connection, data, data | {"order_id": "x"}, kind="order.refunded" if n == 4 else "order.paid")
            await load_all(dsn)

    await send()
    await apply_model(connection, model())
    # loads between the two: they leave the waiting tables alone
    await order(connection, SECOND)
    await load_all(dsn)
    assert await connection.fetchval("select count(*) from vault.sat_shop_order_state where raw_id > 0") == 0
    reports = await fill(connection, model())
    assert (reports[0].facts, sorted(reports[0].tables)) == (13, sorted(set(TABLES)))
    filled = await contents(connection, TABLES)
    assert len(filled["vault.sat_shop_order_state"]) > 6
    # the same events in the same loads, with the model from the first day
    for table in TABLES:
        await connection.execute(f"delete from {table} where load_ts > '1901-01-01'")
    stored = await connection.fetch("select distinct load_ts from vault.nhl_event order by 1")
    times = iter([row[0] for row in stored])
    await connection.execute("delete from vault.event_seen; delete from vault.nhl_event")
    await connection.execute("create table load_times (n serial, load_ts timestamptz)")
    for time in times:
        await connection.execute("insert into load_times (load_ts) values ($1)", time)
    await connection.execute("""create or replace function vault.open_load(p_lane integer) returns timestamptz
      language sql as $$ delete from load_times where n = (select min(n) from load_times) returning load_ts $$""")
    for batch_id in [row[0] for row in await connection.fetch("select batch_id from raw.batch order by load_ts")]:
        await connection.execute(
            "update raw.batch set loaded_at = null, load_ts = null, loaded = 0 where batch_id = $1", batch_id
        )
        await load_all(dsn)
    assert await contents(connection, TABLES) == filled


async def test_emptying_and_filling_gives_the_same_rows(connection: asyncpg.Connection, dsn: str):
    found = model()
    await apply_model(connection, found)
    await fill(connection, found)
    for n in range(4):
        await order(connection, FIRST | {"order_id": str(n % 2), "total": n}, SECOND)
        await load_all(dsn)
    before = await contents(connection, TABLES)
    async with connection.transaction():
        await empty(connection, found.feeds[0])
        await backfill(
            connection, found.feeds[0], [*FEEDS, *found.feeds], history=True, progress=lambda _done, _all: None
        )
    assert await contents(connection, TABLES) == before


async def test_filling_again_changes_nothing(connection: asyncpg.Connection, dsn: str):
    await order(connection, FIRST, SECOND)
    await load_all(dsn)
    await apply_model(connection, model())
    await fill(connection, model())
    before = await contents(connection, TABLES)
    reports = await fill(connection, model())
    assert (reports[0].tables, reports[0].facts) == ((), 0)
    assert await contents(connection, TABLES) == before


async def test_without_history_the_tables_begin_empty(connection: asyncpg.Connection, dsn: str):
    await order(connection, FIRST)
    await load_all(dsn)
    await apply_model(connection, model())
    await fill(connection, model(), history=False)
    assert await rows(connection, "select * from business.shop_order") == []
    await order(connection, SECOND)
    await load_all(dsn)
    assert await rows(connection, "select order_id from business.shop_order") == [("7",)]


async def test_a_running_loader_takes_a_new_model_up(connection: asyncpg.Connection, dsn: str):
    one = Loader(dsn, FEEDS, source=ModelSource(FEEDS, None))
    slot = one._slot()
    await order(connection, FIRST)
    claim = await slot.begin(0)
    assert claim is not None
    # in the middle of a load the model changes: that load is undone, and done again by the new one
    await apply_model(connection, model())
    await fill(connection, model())
    with pytest.raises(asyncpg.SerializationError, match="the model changed"):
        await slot.load(claim)
    slot.drop()
    assert await connection.fetchval("select count(*) from vault.nhl_event") == 0
    claim = await slot.begin(0)
    assert claim is not None
    await slot.load(claim)
    slot.drop()
    assert await rows(connection, "select order_id from business.shop_order") == [("7",)]
    assert await balance(connection) == (1, 1, 0, 0)


async def test_a_model_is_applied_and_filled_while_loads_go_on(connection: asyncpg.Connection, dsn: str):
    found = model()
    stop = asyncio.Event()
    loaders = [Loader(dsn, FEEDS, source=ModelSource(FEEDS, None)) for _ in range(2)]
    tasks = [asyncio.create_task(one.run(stop)) for one in loaders]
    writer = await asyncpg.connect(dsn)

    async def write() -> None:
        for n in range(60):
            await order(writer, *(FIRST | {"order_id": str(n % 5), "total": n * k, "clerk": str(k)} for k in range(3)))
            for one in loaders:
                one.nudge()

    writing = asyncio.create_task(write())
    async with connection.transaction():
        await apply(connection, found)
    await fill(connection, found)
    await writing
    while await connection.fetchval("select count(*) from raw.batch where loaded_at is null"):
        for one in loaders:
            one.nudge()
        await asyncio.sleep(0)
    stop.set()
    await asyncio.gather(*tasks)
    await writer.close()
    assert await balance(connection) == (180, 180, 0, 0)
    live = await contents(connection, TABLES)
    assert len(live["vault.rts_shop_order_sign"]) == 180
    async with connection.transaction():
        await empty(connection, found.feeds[0])
    await fill(connection, found)
    assert await contents(connection, TABLES) == live


async def test_a_new_column_leaves_old_rows_their_hash(connection: asyncpg.Connection, dsn: str):
    await apply_model(connection, model())
    await fill(connection, model())
    await order(connection, FIRST)
    await load_all(dsn)
    wider = model(
        SHOP.replace("columns: [total, status]", "columns: [total, status, note]").replace(
            "      total:", "      note: {from: data.note}\n      total:"
        )
    )
    found = await apply_model(connection, wider)
    assert [change.what for change in found.changes] == [
        "column vault.sat_shop_order_state.note",
        "view business.shop_order",
        "view business.shop_order_state_history",
        "view business.shop_order_daily",
    ]
    assert plan(wider, await catalogue.read(connection)).is_empty
    # says nothing new: the row without the column has the same hash
    await order(connection, FIRST)
    await load_all(dsn)
    assert await connection.fetchval("select count(*) from vault.sat_shop_order_state where raw_id > 0") == 1
    await order(connection, FIRST | {"note": "gift"})
    await load_all(dsn)
    assert await rows(connection, "select total, note from business.shop_order") == [(Decimal("12.50"), "gift")]


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("columns: [total, status]", "columns: [total]", r"sat_shop_order_state: the column status is not in the file"),
        (
            "total, type: numeric",
            "total, type: int8",
            r"sat_shop_order_state\.total is numeric and can't become bigint",
        ),
        (
            "shop_order: {key: [order_id]",
            "shop_order: {key: [order_id, status]",
            "hub_shop_order: the column status can't",
        ),
        ("shop_order, shop_customer]", "shop_order, shop_customer, shop_clerk]", "its key is"),
        ("name: shop\n", "name: shop_two\n", "a feed can't be renamed"),
    ],
)
async def test_what_can_not_be_changed_in_place_is_refused(
    connection: asyncpg.Connection, old: str, new: str, refusal: str
):
    await apply_model(connection, model())
    feeds = SHOP.split("snapshots:")[0]
    assert old in feeds
    with pytest.raises(ModelError, match=refusal):
        await apply_model(connection, model(feeds.replace(old, new)))


async def test_somebody_elses_table_and_view_are_let_be(connection: asyncpg.Connection):
    await connection.execute("create table vault.hub_shop_order (x int); create view business.shop_clerk as select 1")
    found = plan(model(), await catalogue.read(connection))
    assert any("left from an earlier model" in refusal for refusal in found.refusals)
    assert any("business.shop_clerk is there already" in refusal for refusal in found.refusals)


async def test_values_that_do_not_fit_are_rejected_with_their_field(connection: asyncpg.Connection, dsn: str):
    await apply_model(connection, model())
    await fill(connection, model())
    wrong = [
        {"order_id": "1", "total": "much"},
        {"total": 1},
        {"order_id": "1", "items": [{"sku": None}]},
        {"order_id": "1", "items": 5},
        {"order_id": "x" * 501},
    ]
    await order(connection, *wrong, {"order_id": "2"})
    await load_all(dsn)
    found = await rows(connection, "select code, field, reason from staging.rejected order by raw_id")
    assert found == [
        ("invalid_value", "data.total", "data.total must be a number, not 'much'."),
        ("missing_value", "data.order_id", "data.order_id is missing."),
        ("missing_value", "data.items[].sku", "data.items[].sku is missing."),
        ("invalid_value", "data.items", "data.items must be a list."),
        ("key_too_long", "order_id", "order_id is longer than 500 characters."),
    ]
    assert await balance(connection) == (6, 1, 0, 5)


async def test_a_stored_fact_that_does_not_fit_is_told_and_left_out(connection: asyncpg.Connection, dsn: str):
    await order(connection, {"order_id": "1", "total": "much"}, FIRST)
    await load_all(dsn)
    await apply_model(connection, model())
    reports = await fill(connection, model())
    assert reports[0].refused == {"data.total must be a number, not 'much'.": 1}
    assert await rows(connection, "select order_id from business.shop_order") == [("7",)]


async def test_two_feeds_share_a_hub(connection: asyncpg.Connection, dsn: str):
    two = (
        SHOP.split("snapshots:")[0]
        + """\
  - name: refunds
    kinds: ["refund.*"]
    columns: {order_id: {from: data.order, required: true}}
    hubs: {shop_order: {key: [order_id], comment: Orders of the web shop.}}
"""
    )
    two = two.replace(", required: true, comment: Number of the order.}", ", required: true}")
    await apply_model(connection, model(two))
    await fill(connection, model(two))
    await order(connection, FIRST)
    await append(connection, [event({"order": "8"}, kind="refund.asked"), event({"order": "7"}, kind="refund.asked")])
    await load_all(dsn)
    assert await rows(connection, "select order_id from business.shop_order order by 1") == [("7",), ("8",)]


async def test_a_feed_is_filled_into_a_hub_that_another_one_loads(connection: asyncpg.Connection, dsn: str):
    first = SHOP.split("snapshots:")[0].replace(", required: true, comment: Number of the order.}", ", required: true}")
    await apply_model(connection, model(first))
    await fill(connection, model(first))
    await order(connection, FIRST)
    await append(connection, [event({"order": "8"}, kind="refund.asked")])
    await load_all(dsn)
    both = (
        first
        + """\
  - name: refunds
    kinds: [refund.asked]
    columns: {order_id: {from: data.order, required: true}}
    hubs: {shop_order: {key: [order_id], comment: Orders of the web shop.}}
"""
    )
    await apply_model(connection, model(both))
    assert [report.facts for report in await fill(connection, model(both))] == [0, 1]
    assert await rows(connection, "select order_id from business.shop_order order by 1") == [("7",), ("8",)]


async def test_a_feed_that_leaves_the_file_is_no_longer_loaded(connection: asyncpg.Connection, dsn: str):
    await apply_model(connection, model())
    await fill(connection, model())
    found = await apply_model(connection, model("feeds: []"))
    assert len(found.drop_loads) == len(set(TABLES))
    await order(connection, FIRST)
    await load_all(dsn)
    assert await rows(connection, "select * from business.shop_order") == []
    assert await connection.fetchval("select count(*) from business.event") == 1
