"""The demo: synthetic, seeded, idempotent, and a story that a dashboard can tell."""

import ipaddress
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.model import NewEvent
from mainstem.events.spool import Spool
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool
from mainstem.platform.settings import IpMode, Settings
from mainstem.platform.tenants import Tenant
from mainstem.site.demo import DAYS, SITE, demo_events, load_demo
from mainstem.site.feed import SITE_FEED
from mainstem.vault.loader import Loader
from mainstem.vault.model import EVENT_FEED

NOW = datetime(2026, 3, 3, 13, 30, tzinfo=UTC)
TENANT = Tenant(7, "demo", "Demo", NOW)
DOCUMENTATION = [ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
EXAMPLE_HOSTS = ("example.com", "example.net", "example.org")


def story(now: datetime = NOW) -> list[NewEvent]:
    return demo_events(TENANT, Settings(ip_mode=IpMode.KEEP), now=now)


class TestStory:
    def test_is_the_same_every_time(self) -> None:
        assert story() == story()

    def test_only_the_dates_follow_the_clock(self) -> None:
        def undated(events: list[NewEvent]) -> list[tuple[object, ...]]:
            return [(event.event_uid, event.kind, event.visitor, event.ip, event.user_agent) for event in events]

        assert undated(story()) == undated(story(NOW + timedelta(days=3, hours=11)))

    @pytest.mark.parametrize("hour", [0, 5, 23])
    def test_lies_within_the_two_weeks_before_now(self, hour: int) -> None:
        now = NOW.replace(hour=hour)
        times = [event.occurred_at for event in story(now)]
        assert max(times) <= now
        assert min(times) >= now - timedelta(days=DAYS + 1)
        assert len({moment.date() for moment in times}) >= DAYS

    def test_every_event_has_an_id_of_its_own(self) -> None:
        events = story()
        assert 1_800 <= len(events) <= 2_300
        assert len({event.event_uid for event in events}) == len(events)
        assert all(event.message_id for event in events)

    def test_is_clearly_synthetic(self) -> None:
        for event in story():
            assert any(ipaddress.ip_address(event.ip or "") in network for network in DOCUMENTATION)
            data = json.loads(event.data)
            for url in filter(None, (data.get("page_url"), data.get("referrer"))):
                assert (urlsplit(url).hostname or "").endswith(EXAMPLE_HOSTS)
            if event.source == "site":
                assert data["event_data"]["synthetic"] is True

    def test_tells_a_funnel_in_every_channel(self) -> None:
        events = story()
        kinds = Counter(event.kind for event in events)
        assert kinds["page.viewed"] > kinds["site.booking_started"] > kinds["site.booking_requested"] > 50
        assert kinds["newsletter.subscribed"] > 10
        urls = [json.loads(event.data).get("page_url", "") for event in events if event.kind == "page.viewed"]
        for campaign in ("autumn-menu", "friday-jazz", "private-dining"):
            assert sum(f"utm_campaign={campaign}" in url for url in urls) >= 20


@pytest.fixture
async def intake(dsn: str, tmp_path: Path) -> AsyncIterator[Intake]:
    """Yield a running intake on the test's database."""
    intake = Intake(PostgresLog(dsn), Spool(tmp_path / "spool"))
    await intake.start()
    yield intake
    await intake.stop()


class TestLoad:
    async def test_a_second_load_adds_nothing(self, intake: Intake, worker_pool: Pool, dsn: str) -> None:
        first = await load_demo(intake, worker_pool, Settings(), now=utc_now())
        loader = Loader(dsn, (SITE_FEED, EVENT_FEED))
        while await loader.load_once() is not None:
            pass
        second = await load_demo(intake, worker_pool, Settings(), now=utc_now() + timedelta(days=1))
        assert (first.tenant, first.known) == ("demo", 0)
        assert (second.tenant_id, second.events, second.known) == (first.tenant_id, 0, first.events)
        assert await worker_pool.fetchval("select count(*) from raw.event") == first.events
        assert await worker_pool.fetchval("select sum(loaded)::int from raw.batch") == first.events

    async def test_shows_campaigns_channels_devices_and_bots(self, intake: Intake, worker_pool: Pool, dsn: str) -> None:
        await load_demo(intake, worker_pool, Settings(), now=utc_now())
        loader = Loader(dsn, (SITE_FEED, EVENT_FEED))
        while await loader.load_once() is not None:
            pass
        rows = await worker_pool.fetch("select channel, device, is_bot, utm_campaign from business.session")
        assert {row["channel"] for row in rows} >= {"direct", "search", "referral", "campaign"}
        assert {row["device"] for row in rows} >= {"desktop", "mobile", "tablet", "bot"}
        assert {row["utm_campaign"] for row in rows} == {None, "autumn-menu", "friday-jazz", "private-dining"}
        assert await worker_pool.fetchval("select count(*) from vault.hub_page where page_bk like $1", SITE + "/%") == 8
