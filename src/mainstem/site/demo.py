"""The demo: two weeks of visits to a venue that does not exist, for tenant `demo`. Everything in it is made up.

Hosts are example domains (RFC 2606), addresses are from the documentation ranges (RFC 5737). The story is fixed
by a seed; only the dates follow the first load. Every event has a message id of its own, so a second load
adds nothing. Events go the way of a browser's: read by `site.receive`, committed by the intake.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Final, NamedTuple

import msgspec

from mainstem.events.intake import Intake
from mainstem.events.model import NewEvent
from mainstem.events.receive import Sender, custom_event
from mainstem.platform.addresses import stored_ip, visitor_key
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Pool
from mainstem.platform.errors import ConflictError
from mainstem.platform.settings import SaltRotation, Settings
from mainstem.platform.tenants import Tenant, create_tenant, find_tenant, get_tenant
from mainstem.site.access_log.queries import known_events
from mainstem.site.receive import site_event

TENANT: Final = "demo"
TENANT_NAME: Final = "Harbour Room (demo, synthetic data)"
SITE: Final = "https://harbour-room.example.com"
DAYS: Final = 14
SESSIONS: Final = 410
_SEED: Final = 1
_A_BOT_IN: Final = 25
_LOOKS_AROUND: Final = 0.45
_SUBSCRIBES: Final = 0.4
_LUNCH_AND_EVENING: Final = (1, 1, 0, 0, 0, 0, 1, 2, 3, 4, 6, 9, 10, 7, 5, 5, 6, 8, 10, 10, 8, 6, 4, 2)
# addresses of the documentation ranges need no secret to be kept
_SALT: Final = b"demo"

_NETWORKS: Final = ("192.0.2", "198.51.100", "203.0.113")
_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
_AGENTS: Final = {
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1": 30,
    f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36": 24,
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36": 22,
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15": 12,
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0": 7,
    f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1": 5,
}
"""Browsers, and how many of a hundred visitors use each."""
_BOTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.14.1",
)
_TITLES: Final = {
    "/": "Harbour Room: supper and music by the water",
    "/menu": "Menu",
    "/menu/drinks": "Drinks",
    "/events": "What's on",
    "/events/friday-jazz": "Friday jazz",
    "/private-dining": "Private dining",
    "/book": "Book a table",
    "/book/thanks": "Thank you",
}
_AROUND: Final = ("/", "/events", "/events/friday-jazz", "/menu/drinks", "/private-dining")


def _utm(source: str, medium: str, campaign: str) -> str:
    return f"?utm_source={source}&utm_medium={medium}&utm_campaign={campaign}"


class _Origin(NamedTuple):
    """A way that visitors come, and how well it works."""

    weight: int
    landing: str
    query: str
    referrer: str
    interest: float
    """Chance that each further step of the funnel is taken."""


_SEARCH: Final = "https://search.example.net/"
_ORIGINS: Final = (
    _Origin(30, "/", "", _SEARCH, 0.62),
    _Origin(22, "/", "", "", 0.66),
    _Origin(10, "/events/friday-jazz", "", "https://city-guide.example.org/nights-out", 0.58),
    _Origin(16, "/menu", _utm("newsletter", "email", "autumn-menu"), "", 0.78),
    _Origin(12, "/events", _utm("social", "post", "friday-jazz"), "https://social.example.net/", 0.52),
    _Origin(10, "/private-dining", _utm("search-ads", "cpc", "private-dining"), _SEARCH, 0.45),
)


class _Step(NamedTuple):
    """One event of the story, before it has a day."""

    after: timedelta
    """Since the session began."""
    event_type: str
    path: str
    query: str
    referrer: str
    details: dict[str, object]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What a load of the demo did."""

    tenant_id: int
    tenant: str
    events: int
    """Events committed by this load."""
    known: int
    """Events that an earlier load had brought in."""


async def load_demo(intake: Intake, pool: Pool, settings: Settings, *, now: datetime) -> DemoReport:
    """Make tenant `demo` where it is missing and commit the demo's events that are not loaded yet.

    `pool` runs as the owner; `now` is the end of the two weeks. Raises what `Intake.commit` raises.
    """
    async with pool.acquire() as connection:
        tenant = await find_tenant(connection, TENANT)
        if tenant is None:
            try:
                tenant = await create_tenant(connection, TENANT, TENANT_NAME)
            except ConflictError:
                tenant = await get_tenant(connection, TENANT)
        events = demo_events(tenant, settings, now=now)
        known = await known_events(connection, tenant.id, [event.event_uid for event in events])
    new = [event for event in events if event.event_uid not in known]
    if new:
        await intake.commit(new, origin="import")
    return DemoReport(tenant.id, tenant.slug, len(new), len(events) - len(new))


def demo_events(tenant: Tenant, settings: Settings, *, now: datetime) -> list[NewEvent]:
    """Return all events of the demo, about 2,000, none later than `now`: always the same but for their dates."""
    random = Random(_SEED)  # noqa: S311 - a story, not a secret
    visitors = [_visitor(random, tenant, settings, number) for number in range(SESSIONS * 3 // 5)]
    events: list[NewEvent] = []
    for number in range(SESSIONS):
        began = _began(random, now)
        sender = random.choice(visitors)._replace(received_at=now)
        events.extend(_session(random, sender, f"demo-{number:04d}", began))
    return events


def _visitor(random: Random, tenant: Tenant, settings: Settings, number: int) -> Sender:
    bot = number % _A_BOT_IN == 0
    return Sender(
        tenant_id=tenant.id,
        received_at=datetime.fromtimestamp(0, UTC),
        ip=f"{random.choice(_NETWORKS)}.{random.randint(1, 254)}",
        user_agent=random.choice(_BOTS) if bot else random.choices(list(_AGENTS), list(_AGENTS.values()))[0],
        server=False,
        future_tolerance=timedelta(seconds=settings.future_tolerance_seconds),
        stored_ip=partial(stored_ip, mode=settings.ip_mode, salt=_SALT),
        visitor_key=partial(visitor_key, secret=_SALT, rotation=SaltRotation.NEVER),
    )


def _began(random: Random, now: datetime) -> datetime:
    """Return a moment of the two weeks, mostly around lunch and in the evening, an hour ago at the latest."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hour = random.choices(range(24), _LUNCH_AND_EVENING)[0]
    began = today + timedelta(days=-random.randrange(DAYS), hours=hour, seconds=random.randrange(3_600))
    return began if began <= now - timedelta(hours=1) else began - timedelta(days=DAYS)


def _session(random: Random, sender: Sender, name: str, began: datetime) -> Iterator[NewEvent]:
    bot = sender.user_agent in _BOTS
    steps = _crawl(random) if bot else _visit(random)
    for number, step in enumerate(steps):
        event = {
            "event_id": f"{name}-{number:02d}",
            "event_type": step.event_type,
            "timestamp": rfc3339(began + step.after),
            "page_url": SITE + step.path + step.query,
            "title": _TITLES[step.path],
            "referrer": step.referrer,
            "event_data": step.details,
        }
        yield site_event(msgspec.json.encode(event), sender)[0]
        if step.event_type == "booking_requested" and step.details["newsletter"]:
            subscription = {
                "kind": "newsletter.subscribed",
                "message_id": f"{name}-newsletter",
                "source": "demo",
                "subject": name,
                "occurred_at": event["timestamp"],
                "data": {"list": "autumn-menu", "booking": step.details["reference"]},
            }
            yield custom_event(msgspec.json.encode(subscription), sender)[0]


def _crawl(random: Random) -> Iterator[_Step]:
    for number, path in enumerate(random.sample(sorted(_TITLES), 4)):
        yield _Step(timedelta(seconds=2 * number), "page_view", path, "", "", {"synthetic": True})


def _visit(random: Random) -> Iterator[_Step]:
    """Tell one visit: landing, menu, booking form, request; and some looking around by those who don't book."""
    origin = random.choices(_ORIGINS, [origin.weight for origin in _ORIGINS])[0]
    clock = timedelta()
    here, query, referrer = origin.landing, origin.query, origin.referrer
    details: dict[str, object] = {"synthetic": True}
    yield _Step(clock, "page_view", here, query, referrer, details)

    def step(event_type: str, path: str, more: Mapping[str, object] | None = None) -> _Step:
        nonlocal clock, here, query, referrer
        clock += timedelta(seconds=random.uniform(6, 110))
        if event_type == "page_view":
            here, query, referrer = path, "", SITE + here + query
        return _Step(clock, event_type, here, query, referrer, {**details, **(more or {})})

    while random.random() < _LOOKS_AROUND:
        yield step("page_view", random.choice([path for path in _AROUND if path != here]))
    if here != "/menu" and random.random() < origin.interest:
        yield step("page_view", "/menu")
    if random.random() < origin.interest:
        yield step("page_view", "/book")
        party = random.choices((2, 3, 4, 6, 8, 12), (40, 12, 26, 12, 6, 4))[0]
        if random.random() < origin.interest + 0.1:
            yield step("booking_started", "/book", {"party_size": party})
            if random.random() < origin.interest:
                reference = f"HR-{random.randrange(10_000, 100_000)}"
                booking = {"party_size": party, "reference": reference, "newsletter": random.random() < _SUBSCRIBES}
                yield step("booking_requested", "/book", booking)
                yield step("page_view", "/book/thanks")
    seen = {"time_on_page": round(random.uniform(4, 90), 1), "scroll_depth": random.randrange(20, 101)}
    yield step("page_leave", here, seen)
