"""The SQL contract of site tracking, from plain connections as psql makes them, while a loader runs."""

import asyncio
import json

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from siting import at, land, load_all, loading, until

from mainstem.platform import migrate
from mainstem.platform.ids import event_uid

UP_TO_DATE = "No processing needed - all events up to date"
DASHBOARD_COLUMNS = [
    "event_id",
    "raw_event_id",
    "raw_event_type",
    "page_url",
    "session_id",
    "raw_load_date",
    "staging_status",
    "business_status",
    "processing_ms",
    "error_message",
]


@pytest.fixture
async def loader(dsn):
    async with loading(dsn) as loader:
        yield loader


@pytest.fixture
async def api(dsn):
    """Yield a connection as mainstem_api, as a client of a hosted database has it."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("set role mainstem_api")
    yield connection
    await connection.close()


async def track(connection, page_url="https://example.com/", event_type="page_view", data=None, ip="203.0.113.77"):
    text = await connection.fetchval(
        "select api.track_site_event($1::text::inet, 'Firefox/140', $2, $3, $4::jsonb)",
        ip,
        page_url,
        event_type,
        None if data is None else json.dumps(data),
    )
    return json.loads(text)


async def test_an_event_of_sql_is_loaded_when_the_call_returns(connection, loader):
    answer = await track(connection, data={"event_id": "e1", "session_id": "s1", "user_id": "u1", "k": "v"})
    assert answer == {"success": True, "message": "Event tracked successfully", "event_id": "e1"}
    text = await connection.fetchval("select staging.auto_process_if_needed()")
    assert text in {"Processed: 1 total (1 raw→staging, 1 staging→business)", UP_TO_DATE}
    assert await connection.fetchval("select staging.auto_process_if_needed()") == UP_TO_DATE
    fact = await connection.fetchrow(
        "select session_bk, user_id, page_url, properties ->> 'k' as k, ip, rsrc from vault.nhl_site_event"
    )
    assert tuple(fact) == ("s1", "u1", "https://example.com/", "v", "203.0.113.0", "site")
    assert await connection.fetchval("select visitor_bk from vault.hub_visitor where visitor_bk like '_:%'") == "u:u1"


async def test_the_result_counts_what_was_loaded(connection, dsn):
    await land(connection, [at(0), at(1), at(2, data={"page_url": ""})])
    async with loading(dsn) as loader:
        call = asyncio.create_task(connection.fetchval("select staging.auto_process_if_needed()"))
        loader.nudge()
        text = await call
    assert text in {UP_TO_DATE, "Processed: 3 total (2 raw→staging, 2 staging→business)"}


async def test_the_trigger_counts_as_the_contract_names(connection, dsn):
    await land(connection, [at(0), at(1)])
    waiting = asyncio.create_task(connection.fetchval("select staging.trigger_pipeline_now()"))
    other = await asyncpg.connect(dsn)
    await until(other, "exists (select from pg_stat_activity where wait_event = 'PgSleep')")
    await other.close()
    async with loading(dsn):
        result = json.loads(await waiting)
    assert result["success"] is True
    assert result["results"] == {
        "total_processed": 2,
        "raw_to_staging_count": 2,
        "staging_to_business_count": 2,
        "total_success_count": 2,
        "total_error_count": 0,
        "processing_summary": "Processed: 2 total (2 raw→staging, 2 staging→business)",
    }


async def test_events_of_the_callers_own_transaction_are_not_waited_for(connection, loader):
    async with connection.transaction():
        await track(connection)
        async with connection.transaction():
            await track(connection)
        async with asyncio.timeout(5):
            assert await connection.fetchval("select staging.auto_process_if_needed()") == UP_TO_DATE
    await load_all(connection, loader)
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 2


async def test_without_a_loader_the_wait_ends_and_says_so(connection):
    await land(connection, [at(0)])
    row = await connection.fetchrow("select * from staging.process_pending(1, '50 milliseconds')")
    assert tuple(row) == (0, 0, 0, 0, 1)
    text = await connection.fetchval("select staging.processing_summary(0, 0, 0, 1)")
    assert text == "Processed: 0 total (0 raw→staging, 0 staging→business); 1 still pending, is the loader running?"


async def test_under_repeatable_read_nothing_is_waited_for(connection):
    await land(connection, [at(0)])
    async with asyncio.timeout(5), connection.transaction(isolation="repeatable_read"):
        assert "1 still pending" in await connection.fetchval("select staging.auto_process_if_needed()")


async def test_the_same_event_id_counts_once_over_http_and_sql(connection, loader):
    await land(connection, [at(0, message_id="e1", event_uid=event_uid(1, "site", "e1"))])
    assert (await track(connection, data={"event_id": "e1"}))["event_id"] == "e1"
    await load_all(connection, loader)
    rows = await connection.fetch("select staging_status from staging.pipeline_dashboard order by raw_load_date")
    assert [row[0] for row in rows] == ["PROCESSED", "DUPLICATE"]


async def test_the_dashboard_has_the_contracts_columns_and_states(connection, loader, dsn):
    empty = await asyncpg.connect(dsn)
    prepared = await empty.prepare("select * from staging.pipeline_dashboard")
    assert [attribute.name for attribute in prepared.get_attributes()] == DASHBOARD_COLUMNS
    await empty.close()
    await land(connection, [at(0, message_id="e1", subject="s1"), at(1, data={"page_url": ""})])
    await load_all(connection, loader)
    rows = await connection.fetch("select * from staging.pipeline_dashboard order by raw_event_id")
    good, bad = (dict(row) for row in rows)
    assert (good["event_id"], good["raw_event_type"], good["session_id"]) == ("e1", "page_view", "s1")
    assert (good["staging_status"], good["business_status"]) == ("PROCESSED", "✅ Complete Pipeline")
    assert good["processing_ms"] >= 0
    assert good["error_message"] is None
    assert (bad["staging_status"], bad["business_status"]) == ("REJECTED", "Rejected")
    assert bad["error_message"] == "A page view needs the address of its page."


async def test_the_dashboard_finds_an_address_in_event_data_too(connection):
    await land(connection, [at(0, data={"event_data": {"page_url": "https://example.com/inner"}})])
    assert await connection.fetchval("select page_url from staging.pipeline_dashboard") == "https://example.com/inner"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("198.51.100.7", "198.51.100.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("198.51.100.7/8", "198.51.100.0"),
        ("no address", None),
        (7, None),
    ],
)
async def test_sql_keeps_no_more_of_an_address_than_its_network(connection, sent, kept):
    await track(connection, data={"ip_address": sent})
    data = json.loads(await connection.fetchval("select data from raw.event"))
    assert data["event_data"]["ip_address"] == kept


async def test_a_waiting_event_is_pending(connection):
    await land(connection, [at(0)])
    row = await connection.fetchrow("select * from staging.pipeline_dashboard")
    assert (row["staging_status"], row["business_status"], row["processing_ms"]) == ("PENDING", "Pending", None)


async def test_escapes_that_text_cannot_hold_do_not_break_the_dashboard(connection):
    data = r'{"page_url":"https://example.com/\u0000\ud800","event_type":"x\\u0000"}'
    await connection.execute(
        """insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to)
           values (1, 1, 1, 'http', now(), now())"""
    )
    await connection.execute(
        """insert into raw.event (raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, data)
           values (1, now(), 1, gen_random_uuid(), 'site.x', now(), 'site', $1)""",
        data,
    )
    row = await connection.fetchrow("select page_url, raw_event_type from staging.pipeline_dashboard")
    assert tuple(row) == ("https://example.com/\ufffd\ufffd", "x\\ufffd")


async def test_status_has_the_four_rows_of_the_contract(connection, loader):
    await land(connection, [at(0), at(1)])
    await load_all(connection, loader)
    rows = await connection.fetch("select * from staging.get_pipeline_status()")
    assert [(row["status_type"], row["metric_name"]) for row in rows] == [
        ("RAW_LAYER", "pending_events"),
        ("STAGING_LAYER", "unprocessed_to_business"),
        ("BUSINESS_LAYER", "events_today"),
        ("PERFORMANCE", "avg_processing_time_minutes"),
    ]
    assert [int(row["metric_value"]) for row in rows[:3]] == [0, 0, 2]
    assert all(row["last_updated"] is not None for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"page_url": None}, "page_url is required for a page_view."),
        ({"page_url": "https://example.com/" + "x" * 5_000}, "page_url must be a string of at most 4,096 characters."),
        ({"event_type": "x" * 101}, "event_type must be a string of at most 100 characters."),
        (
            {"data": {"session_id": "x" * 129}},
            "event_id, session_id, user_id and visitor_id must be strings of at most 128 characters.",
        ),
        ({"data": {"x": "x" * 70_000}}, "The event is larger than 64 KB."),
    ],
)
async def test_a_refusal_is_an_answer_and_stores_nothing(connection, arguments, message):
    answer = await track(connection, **arguments)
    assert (answer["success"], answer["message"]) == (False, message)
    assert await connection.fetchval("select count(*) from raw.batch") == 0


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [("page_view", "page.viewed"), ("", "page.viewed"), ("Add To-Cart!", "site.add_to_cart"), ("!!", "site.event")],
)
async def test_event_types_become_the_kinds_that_http_gives(connection, event_type, kind):
    await track(connection, event_type=event_type)
    assert await connection.fetchval("select kind from raw.event") == kind


@pytest.mark.parametrize(
    ("timestamp", "flags", "kept"),
    [
        ("2026-01-02T03:04:05Z", 0, True),
        ("2999-01-01T00:00:00Z", 1, False),
        ("infinity", 8, False),
        ("4000-01-01 BC", 8, False),
        ("not a time", 8, False),
        (None, 8, False),
    ],
)
async def test_times_that_no_event_can_have_become_now(connection, timestamp, flags, kept):
    await track(connection, data={"timestamp": timestamp})
    row = await connection.fetchrow(
        "select flags, occurred_at = '2026-01-02T03:04:05Z' as kept, occurred_at = received_at or flags = 0 as now from raw.event"
    )
    assert (row["flags"], row["kept"]) == (flags, kept)


async def test_the_cookieless_key_is_stable_keyed_and_apart_per_tenant(connection):
    keys = await connection.fetchrow(
        """select api.visitor_key(1, '203.0.113.7', 'a', '2026-01-02 01:00Z') as base,
                  api.visitor_key(1, '203.0.113.7', 'a', '2026-01-02 23:00Z') as same_day,
                  api.visitor_key(1, '203.0.113.7', 'a', '2026-01-03 01:00Z') as next_day,
                  api.visitor_key(2, '203.0.113.7', 'a', '2026-01-02 01:00Z') as other_tenant,
                  api.visitor_key(1, '203.0.113.8', 'a', '2026-01-02 01:00Z') as other_address,
                  api.visitor_key(1, null, null, '2026-01-02 01:00Z') as nobody"""
    )
    assert keys["base"] == keys["same_day"]
    assert len({*keys}) == len(keys) - 1
    assert all(len(key) == 34 and key.startswith("h:") for key in keys)


async def test_the_api_role_acts_for_its_setting_and_else_for_the_default_tenant(connection, api, loader):
    await connection.execute("insert into platform.tenant (slug, name) values ('one_spa', 'One Spa')")
    await api.execute("set mainstem.tenant = 'one_spa'")
    assert (await track(api, page_url="https://spa.example/"))["success"] is True
    await load_all(connection, loader)
    assert [row["page_url"] for row in await api.fetch("select page_url from staging.pipeline_dashboard")] == [
        "https://spa.example/"
    ]
    await api.execute("reset mainstem.tenant")
    assert (await track(api, page_url="https://default.example/"))["success"] is True
    assert await api.fetchval("select platform.current_tenant_id()") is None
    await load_all(connection, loader)
    pages = await connection.fetch(
        "select t.slug, f.page_url from vault.nhl_site_event f join platform.tenant t using (tenant_id) order by 1"
    )
    assert [tuple(row) for row in pages] == [
        ("default", "https://default.example/"),
        ("one_spa", "https://spa.example/"),
    ]
    status = await api.fetch("select metric_value from staging.get_pipeline_status()")
    assert [int(row[0]) for row in status[:3]] == [0, 0, 1]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.fetch("select * from api.secret")


async def test_a_misspelt_tenant_is_refused_and_not_taken_for_the_default(connection):
    await connection.execute("set mainstem.tenant = 'nobody'")
    answer = await track(connection)
    assert (answer["success"], answer["message"]) == (False, "mainstem.tenant names no tenant.")
    assert await connection.fetchval("select count(*) from raw.batch") == 0
    await connection.execute("reset mainstem.tenant")
    assert (await track(connection))["success"]
    await connection.execute("set mainstem.tenant = 'nobody'")
    for query in (
        "select * from staging.pipeline_dashboard",
        "select * from staging.get_pipeline_status()",
        "select staging.auto_process_if_needed()",
        "select staging.trigger_pipeline_now()",
    ):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=r"mainstem\.tenant names no tenant: nobody"):
            await connection.fetch(query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    tenant_id=st.integers(1, 2**31 - 1),
    source=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    message_id=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=128),
)
async def test_sql_gives_the_uid_that_python_gives(connection, tenant_id, source, message_id):
    found = await connection.fetchval("select raw.event_uid($1, $2, $3)", tenant_id, source, message_id)
    assert found == event_uid(tenant_id, source, message_id)


def test_unqualified_names_work_and_the_migration_can_be_taken_back(empty_dsn):
    migrate.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        answer = connection.execute(
            "select track_site_event('203.0.113.7', 'x', 'https://example.com/', 'page_view', '{}')"
        )
        assert answer.fetchone()[0]["success"] is True
        assert connection.execute("select count(*) from pipeline_dashboard").fetchone() == (1,)
        assert len(connection.execute("select * from get_pipeline_status()").fetchall()) == 4
    migrate.downgrade(empty_dsn, "0003")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        assert connection.execute("show search_path").fetchone() == ('"$user", public',)
        left = connection.execute(
            """select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
               where n.nspname in ('api', 'staging')"""
        )
        assert left.fetchone() == (0,)
    migrate.upgrade(empty_dsn)
