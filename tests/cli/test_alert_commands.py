"""`mainstem alerts`: what is printed, and the exit codes."""

import asyncio
import json
from datetime import UTC, datetime

import asyncpg
import pytest

from mainstem.alerts import store
from mainstem.alerts.defaults import SHIPPED, seed
from mainstem.alerts.labels import fingerprint
from mainstem.alerts.model import Route, Severity, own_labels
from mainstem.platform.tenants import create_tenant


@pytest.fixture
def raised(dsn: str) -> None:
    """Raise two alerts of tenant default, and give it the shipped rules."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await create_tenant(connection, "other")
        await seed(connection)
        now = datetime.now(UTC)
        for name, severity in (("DiskFull", Severity.CRITICAL), ("BackupLate", Severity.INFO)):
            labels = own_labels(name, severity, "default")
            occurrence = store.Occurrence(
                source="api",
                fingerprint=fingerprint("api", labels),
                alert_type=name,
                severity=severity,
                message=f"{name}!",
                labels=labels,
                started_at=now,
                route=Route(),
            )
            async with connection.transaction():
                await store.raise_all(connection, 1, [occurrence], now)
        await connection.close()

    asyncio.run(run())


@pytest.mark.usefixtures("raised")
def test_alerts_are_listed_and_acknowledged(on_database) -> None:
    listed = json.loads(on_database("alerts", "list", "--json").out)
    assert [(one["id"], one["alert_type"], one["status"]) for one in listed] == [
        (2, "BackupLate", "firing"),
        (1, "DiskFull", "firing"),
    ]
    assert "DiskFull!" in on_database("alerts", "list", "--severity", "critical").out
    done = on_database("alerts", "ack", "1", "99", "--notes", "new disk on its way")
    assert (done.code, done.out.strip()) == (0, "1 of 2 acknowledged")
    again = on_database("alerts", "ack", "1", "--json")
    assert (again.code, json.loads(again.out)) == (1, {"acknowledged_count": 0, "alert_ids": []})
    (known,) = json.loads(on_database("alerts", "list", "--status", "acknowledged", "--json").out)
    assert (known["acknowledged_by"], known["notes"]) == ("cli", "new disk on its way")
    assert len(json.loads(on_database("alerts", "list", "--status", "all", "--json").out)) == 2
    assert "no alerts" in on_database("alerts", "list", "--status", "resolved").err
    assert "no alerts" in on_database("alerts", "list", "--tenant", "other").err


@pytest.mark.usefixtures("raised")
def test_silences_are_made_listed_and_ended(on_database) -> None:
    made = on_database("alerts", "silence", "alertname=Disk*", "severity!=info", "--for", "2h", "--comment", "swap")
    assert (made.code, made.out.strip()) == (0, "1")
    listed = on_database("alerts", "silences")
    assert "alertname=Disk* severity!=info" in listed.out
    (silence,) = json.loads(on_database("alerts", "silences", "--json").out)
    assert (silence["status"], silence["created_by"], silence["comment"]) == ("active", "cli", "swap")
    alerts = json.loads(on_database("alerts", "list", "--json").out)
    assert [one["suppressed_by"] for one in alerts] == [[], [1]]
    assert on_database("alerts", "unsilence", "1").code == 0
    assert "no silences" in on_database("alerts", "silences").err
    assert len(json.loads(on_database("alerts", "silences", "--expired", "--json").out)) == 1


@pytest.mark.usefixtures("raised")
def test_rules_are_listed(on_database) -> None:
    found = json.loads(on_database("alerts", "rules", "--json").out)
    assert {one["name"] for one in found} == {rule.name for rule in SHIPPED}
    assert "WebhookDeliveriesFailing" in on_database("alerts", "rules", "--tenant", "other").out
    assert "ApiErrorsHigh" not in on_database("alerts", "rules", "--tenant", "other").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--status", "asleep"], "status_filter must be one of"),
        (["list", "--tenant", "nobody"], "not found"),
        (["silence", "alertname", "--comment", "x"], "is no condition"),
        (["silence", "a=b", "--for", "soon", "--comment", "x"], "is no time"),
        (["silence", "a=b", "--for", "900w", "--comment", "x"], "within a year"),
        (["silence", "a=b", "--comment", " "], "--comment"),
        (["unsilence", "7"], "Silence 7 not found"),
        (["ack", "1", "--notes", "x" * 501], "500 characters"),
    ],
)
def test_faults_are_one_line(on_database, dsn: str, arguments: list[str], said: str) -> None:
    outcome = on_database("alerts", *arguments)
    assert outcome.code == 1
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
