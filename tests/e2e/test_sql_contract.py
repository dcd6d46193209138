"""The SQL of the site-tracking document, from a plain connection as psql makes one, with the product running."""

import json

import psycopg
import pytest


@pytest.fixture
def sql(server):
    with psycopg.connect(server.database_url(), autocommit=True) as connection:
        yield connection


def test_the_required_functions_exist(sql):
    found = sql.execute(
        """select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname in ('api', 'staging')"""
    ).fetchall()
    assert {
        "api.track_site_event",
        "staging.auto_process_if_needed",
        "staging.trigger_pipeline_now",
        "staging.get_pipeline_status",
    } <= {name for (name,) in found}


def test_an_event_tracked_in_sql_goes_through_the_pipeline(sql, server, key):
    sql.execute("set mainstem.tenant = 'one_spa'")
    answer = sql.execute(
        """select api.track_site_event('203.0.113.7'::inet, 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
                  'http://localhost/from-sql', 'page_view', '{"session_id": "sql-1", "event_id": "sql-event-1"}'::jsonb)"""
    ).fetchone()[0]
    assert answer["success"] is True
    assert answer["event_id"] == "sql-event-1"
    text = sql.execute("select staging.auto_process_if_needed()").fetchone()[0]
    assert text == "No processing needed - all events up to date" or text.startswith("Processed: ")
    row = sql.execute(
        """select staging_status, business_status, page_url, session_id
           from staging.pipeline_dashboard where event_id = 'sql-event-1' order by raw_load_date desc limit 10"""
    ).fetchone()
    assert row == ("PROCESSED", "✅ Complete Pipeline", "http://localhost/from-sql", "sql-1")
    assert sql.execute("select staging.auto_process_if_needed()").fetchone()[0] == (
        "No processing needed - all events up to date"
    )


def test_the_debugging_queries_of_the_document_work(sql, key):
    sql.execute("set mainstem.tenant = 'one_spa'")
    assert (
        len(sql.execute("SELECT * FROM staging.pipeline_dashboard ORDER BY raw_load_date DESC LIMIT 10").fetchall())
        <= 10
    )
    raw, staged, completed = sql.execute(
        """SELECT COUNT(*) as raw_events,
                  COUNT(CASE WHEN staging_status = 'PROCESSED' THEN 1 END) as staged,
                  COUNT(CASE WHEN business_status = '✅ Complete Pipeline' THEN 1 END) as completed
           FROM staging.pipeline_dashboard"""
    ).fetchone()
    assert raw >= staged >= completed


def test_status_and_trigger_have_the_contracts_shape(sql):
    rows = sql.execute(
        "select status_type, metric_name, metric_value, last_updated from staging.get_pipeline_status()"
    ).fetchall()
    assert [(kind, name) for kind, name, *_ in rows] == [
        ("RAW_LAYER", "pending_events"),
        ("STAGING_LAYER", "unprocessed_to_business"),
        ("BUSINESS_LAYER", "events_today"),
        ("PERFORMANCE", "avg_processing_time_minutes"),
    ]
    result = sql.execute("select staging.trigger_pipeline_now()").fetchone()[0]
    assert {"triggered_at", "results"} <= set(result), json.dumps(result)


def test_one_tenants_session_sees_nothing_of_another(sql, server, key):
    sql.execute("set mainstem.tenant = 'one_spa'")
    sql.execute("select api.track_site_event(null, null, 'http://localhost/secret', 'page_view', '{}')")
    sql.execute("set mainstem.tenant = 'default'")
    pages = sql.execute("select count(*) from staging.pipeline_dashboard where page_url = 'http://localhost/secret'")
    assert pages.fetchone()[0] == 0
