"""The demo's tracked links and the clicks on them, for tenant `demo`. Everything in it is made up.

The links lead to the demo's site (`site/demo.py`); clicks go the way of a redirect's, with an id of their own each, so that
a second load adds nothing.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from mainstem.events.intake import Intake
from mainstem.events.model import NewEvent
from mainstem.links import store
from mainstem.links.click import CLICKED, SOURCE, Click
from mainstem.platform.addresses import stored_ip, visitor_key
from mainstem.platform.db import Pool, load_queries, transaction
from mainstem.platform.ids import event_uid
from mainstem.platform.settings import SaltRotation, Settings

DAYS: Final = 14
CLICKS: Final = 640
_SEED: Final = 2
_SALT: Final = b"demo"
_SITE: Final = "https://harbour-room.example.com"
_CAMPAIGN: Final = "Autumn menu"
_LINKS: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    (
        44,
        {
            "slug": "demo-autumn",
            "target_url": f"{_SITE}/menu",
            "title": "Autumn menu, newsletter",
            "tags": ["newsletter"],
            "utm_source": "newsletter",
            "utm_medium": "email",
        },
    ),
    (
        30,
        {
            "slug": "demo-jazz",
            "target_url": f"{_SITE}/events/friday-jazz",
            "title": "Friday jazz, social post",
            "tags": ["social"],
            "utm_source": "social",
            "utm_medium": "post",
            "utm_campaign": "friday-jazz",
        },
    ),
    (
        18,
        {
            "slug": "demo-table",
            "target_url": f"{_SITE}/book",
            "title": "QR code on the tables",
            "tags": ["print", "qr"],
            "utm_source": "table-card",
            "utm_medium": "print",
        },
    ),
    (
        8,
        {
            "slug": "demo-dining",
            "target_url": f"{_SITE}/private-dining",
            "title": "Private dining, city guide",
            "tags": ["partners"],
            "append_click": True,
        },
    ),
)
"""Of a hundred clicks so many, and the link."""
_REFERRERS: Final = (
    None,
    None,
    "https://mail.example.net/",
    "https://social.example.net/",
    "https://city-guide.example.org/nights-out",
)
_AGENTS: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)
_sql: Final = load_queries("mainstem.links")


async def load_demo_links(intake: Intake, pool: Pool, tenant_id: int, settings: Settings, *, now: datetime) -> int:
    """Make the demo's links where they are missing and commit its clicks; return how many links there are.

    `pool` runs as the owner; `now` is the end of the two weeks. Raises what `Intake.commit` raises.
    """
    async with transaction(pool, tenant_id=tenant_id) as connection:
        names = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
        utm = {"utm_campaign": "autumn-menu"}
        await connection.fetchrow(_sql["insert_campaign"], tenant_id, _CAMPAIGN, *(utm.get(name) for name in names))
        campaigns = {row["name"]: row["id"] for row in await connection.fetch(_sql["campaigns"], tenant_id)}
        scope = store.Scope(tenant_id, "cli", settings.link_schemes, ())
        wanted = [
            {**link, "campaign_id": campaigns[_CAMPAIGN]} if number == 0 else link
            for number, (_, link) in enumerate(_LINKS)
        ]
        # those that are there already are taken: nothing else can be wrong with them
        await store.create(connection, scope, wanted)
        found = [await store.find_place(connection, tenant_id, "", str(link["slug"])) for _, link in _LINKS]
    await intake.commit(
        clicks(tenant_id, [one for one in found if one is not None], settings, now=now), origin="import"
    )
    return len(found)


def clicks(tenant_id: int, link_ids: list[int], settings: Settings, *, now: datetime) -> list[NewEvent]:
    """Return all clicks of the demo, none later than `now`: always the same but for their dates."""
    random = Random(_SEED)  # noqa: S311 - a story, not a secret
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    keep = partial(stored_ip, mode=settings.ip_mode, salt=_SALT)
    key = partial(visitor_key, secret=_SALT, rotation=SaltRotation.NEVER)
    events = []
    for number in range(CLICKS):
        place = random.choices(range(len(_LINKS)), [weight for weight, _ in _LINKS])[0]
        link = _LINKS[place][1]
        at = today - timedelta(days=random.randrange(DAYS)) + timedelta(seconds=random.randrange(8 * 3_600, 23 * 3_600))
        at = at if at <= now else at - timedelta(days=DAYS)
        ip, agent = f"198.51.100.{random.randint(1, 254)}", random.choices(_AGENTS, (40, 26, 18, 12, 4))[0]
        click = Click(
            tracking_id=str(link["slug"]),
            link_id=link_ids[place] if place < len(link_ids) else None,
            click_source="redirect",
            target_url=str(link["target_url"]),
            referrer_url=random.choice(_REFERRERS),
            language=random.choice(("en-GB", "en-US", "de-DE", "fr-FR")),
            country=random.choices(("GB", "DE", "FR", "US"), (60, 20, 12, 8))[0],
            utm_source=str(link["utm_source"]) if "utm_source" in link else None,
            utm_medium=str(link["utm_medium"]) if "utm_medium" in link else None,
            utm_campaign="autumn-menu" if place == 0 else str(link["utm_campaign"]) if "utm_campaign" in link else None,
        )
        message_id = f"demo-click-{number:04d}"
        events.append(
            NewEvent(
                now,
                tenant_id,
                event_uid(tenant_id, SOURCE, message_id),
                CLICKED,
                at,
                SOURCE,
                message_id,
                str(link["slug"]),
                key(tenant_id, ip, agent, at),
                keep(ip),
                agent,
                0,
                msgspec.json.encode(click).decode(),
            )
        )
    return events
