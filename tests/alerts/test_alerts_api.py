"""The alerts API: CONTRACTS part C, rules, silences, tests of who is told; the defects of the public original by letter."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from alerts.watching import no_shipped_rules, told
from links.visiting import serving
from postbox import mailing

from mainstem.alerts.defaults import SHIPPED
from mainstem.alerts.run import one_round
from mainstem.platform.keys import create_key
from mainstem.platform.tenants import create_tenant
from mainstem.platform.users import create_user

ALERTS = "/api/v1/alerts"
CONTRACT = {
    "id",
    "webhook_id",
    "alert_type",
    "severity",
    "message",
    "status",
    "delivery_status",
    "acknowledged",
    "acknowledged_at",
    "acknowledged_by",
    "notes",
    "created_at",
    "resolved_at",
}
RULE = {"name": "Failing", "metric": "webhook_failure_percent", "threshold": 5, "severity": "warning"}


async def key(connection: asyncpg.Connection, *scopes: str, tenant: str = "default") -> str:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = $1", tenant)
    return (await create_key(connection, tenant_id, scopes=list(scopes), label="test")).key


@pytest.fixture
async def desk(dsn, tmp_path, connection):
    """Yield (client with an admin key of tenant default, hub); rules are not judged by themselves."""
    async with serving(dsn, tmp_path, rate_limit_requests=100_000, alerts_enabled=False) as (client, hub):
        client.headers.update({"authorization": f"Bearer {await key(connection, 'admin')}"})
        yield client, hub


async def sent(client: httpx.AsyncClient, **fields: object) -> dict:
    body = {"alert_type": "backup_failed", "severity": "CRITICAL", "message": "No backup since Monday.", **fields}
    answer = await client.post(ALERTS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


class TestContract:
    async def test_an_alert_that_is_sent_has_every_field(self, desk) -> None:
        client, _ = desk
        alert = await sent(client, labels={"webhook_id": "7", "host": "db1"})
        assert set(alert) >= CONTRACT
        assert (alert["id"], alert["webhook_id"], alert["alert_type"], alert["severity"]) == (
            1,
            7,
            "backup_failed",
            "CRITICAL",
        )
        assert (alert["status"], alert["delivery_status"], alert["acknowledged"]) == ("firing", "pending", False)
        assert alert["created_at"].endswith("Z")
        assert alert["labels"] == {
            "alertname": "backup_failed",
            "severity": "critical",
            "tenant": "default",
            "webhook_id": "7",
            "host": "db1",
        }
        assert (await client.get(f"{ALERTS}/1")).json() == alert

    async def test_the_list_has_both_names_and_its_pages(self, desk) -> None:
        client, _ = desk
        for number in range(5):
            await sent(client, message=f"m{number}", severity=["INFO", "WARNING"][number % 2])
        first = (await client.get(ALERTS, params={"page": 1, "page_size": 2})).json()
        assert set(first) == {"items", "alerts", "total", "page", "page_size", "pages"}
        assert first["items"] == first["alerts"]
        assert ([one["message"] for one in first["items"]], first["total"], first["pages"]) == (["m4", "m3"], 5, 3)
        offset = (await client.get(ALERTS, params={"limit": 2, "offset": 3})).json()
        assert [one["message"] for one in offset["items"]] == ["m1", "m0"]
        assert set(first["items"][0]) >= CONTRACT

    async def test_filters(self, desk) -> None:
        client, _ = desk
        for number, severity in enumerate(("INFO", "WARNING", "CRITICAL")):
            await sent(client, message=f"m{number}", severity=severity)
        await client.post(f"{ALERTS}/1/ack")
        await client.post(f"{ALERTS}/2/resolve")

        async def ids(**query: str) -> list[int]:
            answer = await client.get(ALERTS, params=query)
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        assert await ids(severity_filter="CRITICAL") == await ids(severity_filter="critical") == [3]
        assert await ids(status_filter="pending") == await ids(status="pending") == [3]
        assert await ids(status_filter="delivered") == [2, 1]
        assert await ids(status_filter="failed") == []
        assert await ids(status_filter="acknowledged") == [1]
        assert await ids(status_filter="resolved") == [2]
        assert await ids(status_filter="open") == [3, 1]
        assert await ids(alert_type="backup_failed", severity_filter="INFO") == [1]
        assert await ids(webhook_id="7") == []
        wrong = await client.get(ALERTS, params={"status_filter": "sleeping"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "status_filter")
        assert (await client.get(ALERTS, params={"severity_filter": "HIGH"})).status_code == 422

    async def test_acknowledging_one_says_who_and_why(self, desk) -> None:
        client, _ = desk
        await sent(client)
        alert = (await client.post(f"{ALERTS}/1/ack", json={"notes": "disk is on its way"})).json()
        assert (alert["status"], alert["acknowledged"], alert["notes"]) == ("acknowledged", True, "disk is on its way")
        assert alert["acknowledged_by"].startswith("key:")
        assert alert["resolved_at"] is None
        too_long = await client.post(f"{ALERTS}/1/ack", json={"notes": "x" * 501})
        assert too_long.status_code == 422

    async def test_a_person_is_named_as_a_person(self, desk, connection) -> None:
        client, _ = desk
        user = await create_user(connection, 1, "ana@example.com", "correct horse battery", role="owner")
        login = await client.post(
            "/api/v1/auth/token", json={"email": "ana@example.com", "password": "correct horse battery"}
        )
        await sent(client)
        answer = await client.post(
            f"{ALERTS}/1/ack", headers={"authorization": f"Bearer {login.json()['access_token']}"}
        )
        assert answer.json()["acknowledged_by"] == f"user:{user.id}"

    async def test_the_summary(self, desk, connection) -> None:
        client, _ = desk
        assert (await client.get(f"{ALERTS}/stats/summary")).json() | {"total_alerts": 0} == {
            "total_alerts": 0,
            "pending_alerts": 0,
            "acknowledged_alerts": 0,
            "failed_alerts": 0,
            "open_alerts": 0,
            "firing_alerts": 0,
            "resolved_alerts": 0,
            "critical_count": 0,
            "warning_count": 0,
            "info_count": 0,
            "avg_pending_hours": 0.0,
            "oldest_pending_alert": None,
            "oldest_firing_alert": None,
        }
        for number, severity in enumerate(("INFO", "WARNING", "CRITICAL", "CRITICAL", "CRITICAL")):
            await sent(client, message=f"m{number}", severity=severity)
        await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": [1]})
        await client.post(f"{ALERTS}/2/resolve")
        await connection.execute(
            "update alerts.alert set created_at = created_at - interval '2 hours' where alert_id = 3"
        )
        await connection.execute(
            "update alerts.alert set created_at = created_at - interval '31 days' where alert_id = 4"
        )
        await connection.execute("update alerts.alert set delivery_status = 'failed' where alert_id = 5")
        found = (await client.get(f"{ALERTS}/stats/summary")).json()
        assert found["avg_pending_hours"] == pytest.approx(2, abs=0.01)
        assert found["oldest_pending_alert"] == (await client.get(f"{ALERTS}/3")).json()["created_at"]
        counts = ("total", "pending", "acknowledged", "failed", "open", "firing", "resolved")
        assert [found[f"{name}_alerts"] for name in counts] == [4, 1, 1, 1, 3, 2, 1]
        assert [found[f"{name}_count"] for name in ("critical", "warning", "info")] == [2, 1, 1]

    @pytest.mark.parametrize("path", ["/9", "/9/ack", "/9/resolve", f"/{2**70}", f"/{2**70}/ack", "/0"])
    async def test_an_unknown_alert_is_404(self, desk, path: str) -> None:
        client, _ = desk
        method = "POST" if path.endswith(("ack", "resolve")) else "GET"
        answer = await client.request(method, ALERTS + path)
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"Alert {path.split('/')[1]} not found"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"alert_type": "a", "severity": "HIGH", "message": "m"},
            {"alert_type": "", "severity": "INFO", "message": "m"},
            {"alert_type": " ", "severity": "INFO", "message": "m"},
            {"alert_type": "\x00", "severity": "INFO", "message": "m"},
            {"alert_type": "a", "severity": "INFO", "message": "m" * 4_001},
            {"alert_type": "a", "severity": "INFO", "message": "m", "labels": {"a b": "c"}},
            {"alert_type": "a", "severity": "INFO", "message": "m", "labels": {"alertname": "c"}},
            {"alert_type": "a", "severity": "INFO", "message": "m", "labels": {"a": 1}},
        ],
    )
    async def test_what_is_no_alert_is_422(self, desk, body: dict) -> None:
        client, _ = desk
        assert (await client.post(ALERTS, json=body)).status_code == 422

    async def test_what_postgresql_can_not_hold_is_left_out(self, desk) -> None:
        client, _ = desk
        text = '{"alert_type": "a", "severity": "info", "message": "m\\u0000\\ud800!", "labels": {"a": "\\u0000b"}}'
        answer = await client.post(ALERTS, content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 201
        assert (answer.json()["message"], answer.json()["labels"]["a"]) == ("m\ufffd!", "b")

    async def test_who_may_do_what(self, desk, connection) -> None:
        client, _ = desk
        await sent(client)
        reader = {"authorization": f"Bearer {await key(connection, 'read')}"}
        for path in ("", "/1", "/stats/summary", "/rules", "/silences", "/metrics"):
            assert (await client.get(ALERTS + path, headers=reader)).status_code == 200
            assert (await client.get(ALERTS + path, headers={"authorization": ""})).status_code == 401
        for path in ("", "/1/ack", "/acknowledge", "/1/resolve", "/rules", "/silences", "/rules/1/test"):
            assert (await client.post(ALERTS + path, headers=reader, json={})).status_code == 403

    async def test_tenants_do_not_see_each_other(self, desk, connection) -> None:
        client, _ = desk
        await sent(client)
        made = (await client.post(f"{ALERTS}/rules", json=RULE)).json()
        await create_tenant(connection, "other")
        theirs = {"authorization": f"Bearer {await key(connection, 'admin', tenant='other')}"}
        assert (await client.get(ALERTS, headers=theirs)).json()["total"] == 0
        assert (await client.get(f"{ALERTS}/1", headers=theirs)).status_code == 404
        many = await client.post(f"{ALERTS}/acknowledge", headers=theirs, json={"alert_ids": [1]})
        assert many.json()["acknowledged_count"] == 0
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.request(method, f"{ALERTS}/rules/{made['id']}", headers=theirs, json={})
            assert answer.status_code == 404, method
        assert (await client.get(f"{ALERTS}/1")).json()["acknowledged"] is False


class TestDefects:
    """Of the public original (research/originals.md 3.6); each of these failed there."""

    async def test_b_every_list_figure_and_acknowledgement_answers_on_the_products_own_schema(self, desk) -> None:
        client, _ = desk
        await sent(client)
        for path in ("", "/1", "/stats/summary"):
            assert (await client.get(ALERTS + path)).status_code == 200
        assert (await client.post(f"{ALERTS}/1/ack", json={"notes": "seen"})).status_code == 200

    async def test_c_the_rate_limit_is_the_setting(self, dsn, tmp_path, connection) -> None:
        async with serving(dsn, tmp_path, rate_limit_requests=3, alerts_enabled=False) as (client, _):
            client.headers.update({"authorization": f"Bearer {await key(connection, 'read')}"})
            codes = [(await client.get(ALERTS)).status_code for _ in range(4)]
            last = await client.get(ALERTS)
        assert codes == [200, 200, 200, 429]
        assert last.json()["detail"] == "Rate limit exceeded"
        assert int(last.headers["retry-after"]) >= 1

    async def test_d_a_change_shows_in_the_next_list(self, desk) -> None:
        client, _ = desk
        for number in range(3):
            await sent(client, message=f"m{number}")
            assert (await client.get(ALERTS)).json()["total"] == number + 1
        await client.post(f"{ALERTS}/2/ack")
        assert [one["acknowledged"] for one in (await client.get(ALERTS)).json()["items"]] == [False, True, False]

    async def test_h_nothing_answers_without_credentials(self, desk) -> None:
        client, _ = desk
        del client.headers["authorization"]
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/1"),
            ("POST", "/1/ack"),
            ("POST", "/acknowledge"),
            ("GET", "/stats/summary"),
        ):
            answer = await client.request(method, ALERTS + path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    async def test_i_acknowledged_count_is_what_was_changed(self, desk) -> None:
        client, _ = desk
        for number in range(2):
            await sent(client, message=f"m{number}")
        first = (await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": [1, 1, 2, 99, -1, 2**80]})).json()
        ids = [1, 1, 2, 99, -1, 2**80]
        assert first == {"status": "success", "acknowledged_count": 2, "alert_ids": ids, "acknowledged_ids": [1, 2]}
        again = (await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": [1, 2, 99]})).json()
        assert (again["acknowledged_count"], again["alert_ids"], again["acknowledged_ids"]) == (0, [1, 2, 99], [])
        assert (await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": []})).json()["acknowledged_count"] == 0

    async def test_i_an_acknowledgement_is_not_stamped_again(self, desk, connection) -> None:
        client, _ = desk
        await sent(client)
        first = (await client.post(f"{ALERTS}/1/ack", json={"notes": "mine"})).json()
        other = {"authorization": f"Bearer {await key(connection, 'admin')}"}
        second = await client.post(f"{ALERTS}/1/ack", json={"notes": "no, mine"}, headers=other)
        await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": [1]}, headers=other)
        assert second.status_code == 200
        assert second.json() == (await client.get(f"{ALERTS}/1")).json() == first
        assert len(await told(connection, "alert.acknowledged")) == 1

    async def test_i_an_acknowledgement_records_who(self, desk, connection) -> None:
        client, _ = desk
        await sent(client)
        await client.post(f"{ALERTS}/acknowledge", json={"alert_ids": [1], "notes": "on it"})
        (event,) = await told(connection, "alert.acknowledged")
        assert (event["alert_id"], event["notes"], event["status"]) == (1, "on it", "acknowledged")
        assert event["acknowledged_by"].startswith("key:")


class TestSending:
    async def test_the_same_alert_is_one_while_it_is_open(self, desk, connection) -> None:
        client, _ = desk
        first = await sent(client, labels={"host": "db1"}, message="first")
        again = await sent(client, labels={"host": "db1"}, message="still")
        assert (again["id"], again["occurrences"], again["message"]) == (first["id"], 2, "still")
        assert (await sent(client, labels={"host": "db2"}))["id"] != first["id"]
        await client.post(f"{ALERTS}/{first['id']}/resolve")
        anew = await sent(client, labels={"host": "db1"})
        assert anew["id"] > first["id"]
        assert anew["fingerprint"] == first["fingerprint"]
        assert len(await told(connection, "alert.raised")) == 3

    async def test_twenty_at_once_are_one(self, desk, connection) -> None:
        client, _ = desk
        made = await asyncio.gather(*(sent(client, labels={"host": "db1"}) for _ in range(20)))
        assert {one["id"] for one in made} == {made[0]["id"]}
        assert sorted(one["occurrences"] for one in made) == list(range(1, 21))
        assert len(await told(connection, "alert.raised")) == 1

    async def test_two_who_acknowledge_at_once_share_the_count(self, desk, connection) -> None:
        client, _ = desk
        ids = [(await sent(client, message=f"m{number}"))["id"] for number in range(10)]
        answers = await asyncio.gather(
            *(client.post(f"{ALERTS}/acknowledge", json={"alert_ids": order}) for order in (ids, ids[::-1]) * 3)
        )
        assert [answer.status_code for answer in answers] == [200] * 6
        assert sum(answer.json()["acknowledged_count"] for answer in answers) == 10
        assert len(await told(connection, "alert.acknowledged")) == 10

    async def test_without_labels_the_message_tells_alerts_apart(self, desk) -> None:
        client, _ = desk
        ids = [(await sent(client, message=message))["id"] for message in ("a", "b", "a")]
        assert ids[0] == ids[2] != ids[1]

    async def test_what_was_sent_ends_when_somebody_says_so(self, desk, connection) -> None:
        client, _ = desk
        await sent(client)
        for _ in range(2):
            alert = (await client.post(f"{ALERTS}/1/resolve")).json()
            assert alert["status"] == "resolved"
            assert alert["resolved_by"].startswith("key:")
        (event,) = await told(connection, "alert.resolved")
        assert (event["alert_id"], event["status"]) == (1, "resolved")

    async def test_what_is_over_may_still_be_acknowledged(self, desk) -> None:
        client, _ = desk
        await sent(client)
        await client.post(f"{ALERTS}/1/resolve")
        alert = (await client.post(f"{ALERTS}/1/ack", json={"notes": "known"})).json()
        assert (alert["status"], alert["acknowledged"], alert["notes"]) == ("resolved", True, "known")

    async def test_those_who_watch_are_told_at_once(self, desk, connection) -> None:
        client, _ = desk
        heard: list[str] = []
        await connection.add_listener("mainstem_live", lambda *given: heard.append(given[3]))
        await sent(client)
        await client.post(f"{ALERTS}/1/ack")
        await client.post(f"{ALERTS}/1/resolve")
        while len(heard) < 3:
            await connection.execute("select")
        messages = [httpx.Response(200, text=one).json() for one in heard]
        assert [one["type"] for one in messages] == ["alert_new", "alert_changed", "alert_changed"]
        assert messages[0]["data"] == {
            "alert_id": 1,
            "alert_type": "backup_failed",
            "severity": "CRITICAL",
            "message": "No backup since Monday.",
            "webhook_id": None,
            "status": "firing",
            "acknowledged_by": None,
        }

    async def test_it_is_mailed_to_the_operators(self, dsn, tmp_path, connection) -> None:
        with mailing() as box:
            settings = {"smtp_url": box.url, "mail_from": "hub@example.org", "mail_to": ["ops@example.com"]}
            async with serving(dsn, tmp_path, alerts_enabled=False, **settings) as (client, hub):
                client.headers.update({"authorization": f"Bearer {await key(connection, 'admin')}"})
                await sent(client)
                await connection.execute("update alerts.alert_group set due_at = now()")
                await connection.execute("update alerts.round set at = '-infinity'")
                await one_round(hub.worker_pool, hub.alerting, datetime.now(UTC))
                await wait_for(box)
                while (await client.get(f"{ALERTS}/1")).json()["delivery_status"] != "delivered":
                    pass
        assert box.subjects() == ["[FIRING:1] CRITICAL backup_failed (default)"]


async def wait_for(box) -> None:
    await asyncio.to_thread(box.wait, 1)


class TestRules:
    async def test_a_rule_is_made_changed_and_deleted(self, desk) -> None:
        client, _ = desk
        answer = await client.post(f"{ALERTS}/rules", json={**RULE, "receivers": ["ana@example.com"]})
        assert answer.status_code == 201
        rule = answer.json()
        assert rule | RULE | {"severity": "WARNING"} == rule
        assert (rule["unit"], rule["no_data"], rule["state"], rule["shipped"]) == ("%", "alert", "clear", False)
        assert (rule["group_by"], rule["repeat_interval_seconds"]) == (["alertname"], 14_400)
        path = f"{ALERTS}/rules/{rule['id']}"
        changed = (await client.patch(path, json={"threshold": 9, "labels": {"team": "a"}, "enabled": False})).json()
        assert (changed["threshold"], changed["labels"], changed["state"]) == (9, {"team": "a"}, "disabled")
        assert changed["receivers"] == ["ana@example.com"]
        assert (await client.get(f"{ALERTS}/rules")).json()["items"] == [changed]
        assert (await client.get(path)).json() == changed
        assert (await client.delete(path)).status_code == 204
        for method in ("GET", "PATCH", "DELETE"):
            gone = await client.request(method, path, json={})
            assert (gone.status_code, gone.json()["detail"]) == (404, f"Rule {rule['id']} not found")

    async def test_a_name_is_taken_once(self, desk) -> None:
        client, _ = desk
        await client.post(f"{ALERTS}/rules", json=RULE)
        again = await client.post(f"{ALERTS}/rules", json=RULE)
        assert (again.status_code, again.json()["code"]) == (409, "rule_taken")
        other = (await client.post(f"{ALERTS}/rules", json={**RULE, "name": "Other"})).json()
        renamed = await client.patch(f"{ALERTS}/rules/{other['id']}", json={"name": "Failing"})
        assert (renamed.status_code, renamed.json()["code"]) == (409, "rule_taken")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"metric": "moon_phase"},
            {"comparison": "="},
            {"threshold": "NaN"},
            {"window_seconds": 59},
            {"severity": "HIGH"},
            {"receivers": ["nobody"]},
            {"receivers": ["a@b.example\r\nBcc: c@d.example"]},
            {"labels": {"severity": "x"}},
            {"group_by": ["a b"]},
            {"no_data": "perhaps"},
            {"colour": "red"},
        ],
    )
    async def test_what_is_no_rule_is_422(self, desk, wrong: dict) -> None:
        client, _ = desk
        assert (await client.post(f"{ALERTS}/rules", json={**RULE, **wrong})).status_code == 422
        made = (await client.post(f"{ALERTS}/rules", json=RULE)).json()
        assert (await client.patch(f"{ALERTS}/rules/{made['id']}", json=wrong)).status_code == 422

    async def test_figures_of_the_installation_are_for_those_who_run_it(self, desk, connection) -> None:
        client, _ = desk
        await create_tenant(connection, "other")
        theirs = {"authorization": f"Bearer {await key(connection, 'admin', tenant='other')}"}
        rule = {**RULE, "metric": "api_p99_ms"}
        assert (await client.post(f"{ALERTS}/rules", json=rule)).status_code == 201
        refused = await client.post(f"{ALERTS}/rules", json=rule, headers=theirs)
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown_metric")
        mine = (await client.get(f"{ALERTS}/metrics")).json()["items"]
        shown = (await client.get(f"{ALERTS}/metrics", headers=theirs)).json()["items"]
        assert {one["scope"] for one in shown} == {"tenant"}
        assert {"api_p99_ms", "loader_lag_seconds", "webhooks_degraded"} <= {one["name"] for one in mine}

    async def test_shipped_rules_are_there_soon_after_the_start(self, dsn, tmp_path, connection) -> None:
        async with serving(dsn, tmp_path, rate_limit_requests=100_000) as (client, _):
            client.headers.update({"authorization": f"Bearer {await key(connection, 'read')}"})
            while (found := (await client.get(f"{ALERTS}/rules")).json())["total"] < len(SHIPPED):
                pass
        assert {one["name"] for one in found["items"]} == {rule.name for rule in SHIPPED}
        assert all(one["shipped"] for one in found["items"])
        assert [one["name"] for one in found["items"] if one["unit"] is None] == []

    async def test_where_a_rule_stands(self, desk, connection) -> None:
        client, hub = desk
        await no_shipped_rules(connection)
        rule = {**RULE, "metric": "webhooks_degraded", "threshold": 0, "for_seconds": 30}
        made = (await client.post(f"{ALERTS}/rules", json=rule)).json()
        endpoint = await connection.fetchval(
            "insert into webhooks.endpoint (tenant_id, name, url) values (1, 'A', 'https://a.example') returning endpoint_id"
        )
        await connection.execute(
            "insert into webhooks.endpoint_total (endpoint_id, tenant_id, health) values ($1, 1, 'failing')", endpoint
        )
        judging = hub.alerting.__class__(hub.alerting.metrics, hub.alerting.teller, timedelta(seconds=1))
        now = datetime.now(UTC)
        states = []
        for number in range(4):
            await connection.execute("update alerts.round set at = '-infinity'")
            await one_round(hub.worker_pool, judging, now + number * timedelta(seconds=15))
            states.append((await client.get(f"{ALERTS}/rules/{made['id']}")).json())
        assert [one["state"] for one in states] == ["pending", "pending", "firing", "firing"]
        (instance,) = states[-1]["instances"]
        assert (instance["phase"], instance["value"], instance["alert_id"]) == ("firing", 1.0, 1)
        alert = (await client.get(f"{ALERTS}/1")).json()
        assert (alert["rule_id"], alert["value"]) == (made["id"], 1.0)
        refused = await client.post(f"{ALERTS}/1/resolve")
        assert (refused.status_code, refused.json()["code"]) == (409, "alert_of_rule")

    async def test_a_test_tells_those_who_would_be_told(self, dsn, tmp_path, connection) -> None:
        with mailing() as box:
            settings = {"smtp_url": box.url, "mail_from": "hub@example.org", "mail_to": ["ops@example.com"]}
            async with serving(dsn, tmp_path, alerts_enabled=False, **settings) as (client, _):
                client.headers.update({"authorization": f"Bearer {await key(connection, 'admin')}"})
                made = (await client.post(f"{ALERTS}/rules", json={**RULE, "receivers": ["ana@example.com"]})).json()
                answer = (await client.post(f"{ALERTS}/rules/{made['id']}/test")).json()
                assert (answer["status"], answer["receivers"]) == ("success", ["ana@example.com"])
                await wait_for(box)
                assert (await client.get(ALERTS)).json()["total"] == 0
        ((_, mail),) = box.mails
        assert (mail["to"], mail["subject"]) == ("ana@example.com", "[TEST] WARNING Failing (default)")
        assert "This is a test of the rule Failing" in mail.get_content()
        (body,) = await told(connection, "alert.notified")
        assert (body["alert_id"], body["alerts"][0]["labels"]["test"]) == (0, "true")

    async def test_a_test_without_a_mail_server_says_so(self, desk, connection) -> None:
        client, _ = desk
        made = (await client.post(f"{ALERTS}/rules", json=RULE)).json()
        answer = (await client.post(f"{ALERTS}/rules/{made['id']}/test")).json()
        assert (answer["receivers"], "no mails" in answer["message"]) == ([], True)
        assert len(await told(connection, "alert.notified")) == 1


class TestSilences:
    async def test_a_silence_is_made_shown_changed_and_ended(self, desk) -> None:
        client, _ = desk
        body = {
            "matchers": [{"name": "alertname", "value": "backup*"}, {"name": "severity", "value": "CRITICAL"}],
            "duration_seconds": 3_600,
            "comment": "Disk swap",
        }
        answer = await client.post(f"{ALERTS}/silences", json=body)
        assert answer.status_code == 201
        silence = answer.json()
        assert (silence["status"], silence["comment"]) == ("active", "Disk swap")
        assert silence["created_by"].startswith("key:")
        assert silence["matchers"][1] == {"name": "severity", "value": "critical", "is_equal": True}
        assert (await sent(client))["suppressed_by"] == [silence["id"]]
        assert (await sent(client, severity="INFO"))["suppressed_by"] == []
        path = f"{ALERTS}/silences/{silence['id']}"
        changed = (await client.patch(path, json={"comment": "Longer"})).json()
        assert (changed["comment"], changed["ends_at"]) == ("Longer", silence["ends_at"])
        assert (await client.get(f"{ALERTS}/silences")).json()["items"] == [changed]
        assert (await client.delete(path)).status_code == 204
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).json()["status"] == "expired"
        assert (await client.get(f"{ALERTS}/silences")).json()["total"] == 0
        assert (await client.get(f"{ALERTS}/silences", params={"expired": True})).json()["total"] == 1
        assert (await client.get(f"{ALERTS}/1")).json()["suppressed_by"] == []

    async def test_a_silence_may_begin_later(self, desk) -> None:
        client, _ = desk
        begins, ends = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2)
        body = {"matchers": [{"name": "alertname", "value": "*"}], "comment": "Night"}
        times = {"starts_at": begins.isoformat(), "ends_at": ends.isoformat()}
        silence = (await client.post(f"{ALERTS}/silences", json={**body, **times})).json()
        assert silence["status"] == "pending"
        assert (await sent(client))["suppressed_by"] == []
        await client.delete(f"{ALERTS}/silences/{silence['id']}")
        assert (await client.get(f"{ALERTS}/silences/{silence['id']}")).json()["status"] == "expired"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"matchers": []},
            {"matchers": [{"name": "a b", "value": "x"}]},
            {"matchers": [{"name": "a", "value": "x", "is_regex": True}]},
            {"comment": " "},
            {"duration_seconds": None},
            {"ends_at": "2020-01-01T00:00:00Z", "duration_seconds": None},
            {"ends_at": "2999-01-01T00:00:00Z", "duration_seconds": None},
            {"ends_at": "2030-01-01T00:00:00Z"},
        ],
    )
    async def test_what_is_no_silence_is_422(self, desk, wrong: dict) -> None:
        client, _ = desk
        body = {"matchers": [{"name": "alertname", "value": "*"}], "comment": "why", "duration_seconds": 60}
        assert (await client.post(f"{ALERTS}/silences", json=body)).status_code == 201
        assert (await client.post(f"{ALERTS}/silences", json={**body, **wrong})).status_code == 422

    @pytest.mark.parametrize("silence_id", [99, 0, 2**70])
    async def test_an_unknown_silence_is_404(self, desk, silence_id: int) -> None:
        client, _ = desk
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.request(method, f"{ALERTS}/silences/{silence_id}", json={})
            assert (answer.status_code, answer.json()["detail"]) == (404, f"Silence {silence_id} not found")
