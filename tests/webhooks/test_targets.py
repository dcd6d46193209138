"""What a worker knows of endpoints, and when it reads them again."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mainstem.pii.box import Keyring, new_key
from mainstem.webhooks import targets as module
from mainstem.webhooks.retry import DEFAULT_SCHEDULE_S
from mainstem.webhooks.secrets import seal_headers, seal_secret
from mainstem.webhooks.sign import Secret, SecretKind
from mainstem.webhooks.targets import Targets, endpoint_of

RING = Keyring(new_key())
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CURRENT, OLD = Secret.new(SecretKind.HMAC), Secret.new(SecretKind.HMAC)


def row(endpoint_id: int = 1, *, ring: Keyring = RING, **changes: object) -> dict[str, object]:
    """Return a row of the query `endpoints`: a current secret, and one that ends in an hour."""
    uid = UUID(int=endpoint_id)
    wrapped = [(seal_secret(ring, uid, CURRENT), None), (seal_secret(ring, uid, OLD), NOW + timedelta(hours=1))]
    return {
        "endpoint_id": endpoint_id,
        "uid": uid,
        "tenant_id": 7,
        "tenant": "acme",
        "name": "hook",
        "url": "https://example.com/hook",
        "headers": seal_headers(ring, uid, {"Authorization": "Bearer s3cr3t"}),
        "signature": "hmac",
        "envelope": "standard",
        "timeout_ms": 1_500,
        "retry_policy": None,
        "fifo": False,
        "version": 1,
        "secrets": [("hmac", one.key_id, one.box, ends) for one, ends in wrapped],
        **changes,
    }


class Table:
    """Answers like the query, and counts."""

    def __init__(self, *ids: int) -> None:
        self.rows = {endpoint_id: row(endpoint_id) for endpoint_id in ids}
        self.asked: list[list[int]] = []
        self.read = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, endpoint_ids):
        self.asked.append(list(endpoint_ids))
        found = [self.rows[one] for one in endpoint_ids if one in self.rows]
        self.read.set()
        await self.hold.wait()
        return found


def test_an_endpoint_is_opened():
    endpoint = endpoint_of(row(), RING)
    assert endpoint.fault is None
    assert endpoint.headers == {"Authorization": "Bearer s3cr3t"}
    assert (endpoint.timeout_s, endpoint.policy.delays_s) == (1.5, DEFAULT_SCHEDULE_S)


def test_secrets_sign_until_they_end():
    endpoint = endpoint_of(row(), RING)
    hour = timedelta(hours=1)
    assert endpoint.secrets_at(NOW) == [CURRENT, OLD]
    assert endpoint.secrets_at(NOW + hour - timedelta(microseconds=1)) == [CURRENT, OLD]
    assert endpoint.secrets_at(NOW + hour) == [CURRENT]


def test_an_endpoint_in_a_log_shows_no_secret():
    shown = repr(endpoint_of(row(), RING))
    assert "s3cr3t" not in shown
    assert repr(CURRENT.key) not in shown


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(row(ring=Keyring(new_key())), id="sealed under another key"),
        pytest.param(row(secrets=None), id="no secret"),
        pytest.param(row(secrets=[]), id="no secret left"),
        pytest.param(row(headers=b"damaged"), id="damaged headers"),
    ],
)
def test_an_endpoint_that_can_not_be_opened_has_a_fault_and_sends_nothing(given):
    endpoint = endpoint_of(given, RING)
    assert endpoint.fault
    assert "s3cr3t" not in endpoint.fault


@pytest.mark.parametrize("text", ['{"schedule": [1, 2]}', None, '{"nonsense": 1}', '{"backoff_base": 1e400}'])
def test_an_endpoint_has_a_policy_whatever_is_written_there(text):
    policy = endpoint_of(row(retry_policy=text), RING).policy
    assert policy.delays_s == ((1.0, 2.0) if text and "schedule" in text else DEFAULT_SCHEDULE_S)


async def test_endpoints_are_read_once():
    table, targets = Table(1, 2, 3), Targets(RING)
    assert sorted(await targets.all([1, 2, 2, 1], table)) == [1, 2]
    assert sorted(await targets.all([1, 2, 3], table)) == [1, 2, 3]
    assert table.asked == [[1, 2], [3]]


async def test_one_that_is_gone_is_left_out_and_looked_for_again():
    table, targets = Table(1), Targets(RING)
    assert sorted(await targets.all([1, 9], table)) == [1]
    table.rows[9] = row(9)
    assert sorted(await targets.all([1, 9], table)) == [1, 9]


async def test_what_is_forgotten_is_read_again():
    table, targets = Table(1, 2), Targets(RING)
    await targets.all([1, 2], table)
    table.rows[1] = row(1, url="https://example.com/new")
    assert (await targets.all([1], table))[1].url == "https://example.com/hook"
    targets.renew(1)
    assert (await targets.all([1, 2], table))[1].url == "https://example.com/new"
    targets.renew()
    await targets.all([1, 2], table)
    assert table.asked == [[1, 2], [1], [1, 2]]
    targets.renew(99)


async def test_one_that_is_deleted_is_gone_once_it_is_forgotten():
    table, targets = Table(1), Targets(RING)
    await targets.all([1], table)
    table.rows.clear()
    targets.renew(1)
    assert await targets.all([1], table) == {}


async def test_a_change_that_is_told_while_it_is_read_is_not_missed():
    table, targets = Table(1), Targets(RING)
    table.hold.clear()
    reading = asyncio.create_task(targets.all([1], table))
    await table.read.wait()
    # now it changes, and the worker hears of it
    table.rows[1] = row(1, url="https://example.com/new")
    targets.renew(1)
    table.hold.set()
    await reading
    assert (await targets.all([1], table))[1].url == "https://example.com/new"


async def test_a_change_that_is_not_told_is_seen_after_half_a_minute(monkeypatch):
    clock = 1_000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    table, targets = Table(1), Targets(RING)
    await targets.all([1], table)
    table.rows[1] = row(1, url="https://example.com/new")
    clock += 29.9
    assert (await targets.all([1], table))[1].url == "https://example.com/hook"
    clock += 0.2
    assert (await targets.all([1], table))[1].url == "https://example.com/new"


async def test_no_more_endpoints_are_kept_than_fit(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    table, targets = Table(*range(1, 41)), Targets(RING)
    for number in range(1, 41):
        assert (await targets.all([number], table))[number].endpoint_id == number
    assert len(targets._known) <= 11
