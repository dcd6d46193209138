"""Synthetic visitors of a shop: page views that look like real ones, the same for the same seed.

About 2,000 visitors are on the site at any moment. Each looks at a handful of pages and goes, and a new or (one in
three) a returning one comes. Pages are few and popular ones frequent; one visit in six comes by a campaign, one
visitor in thirty is a crawler. Times go forward by a fixed step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

import msgspec
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

_ON_SITE: Final = 2_000
_PAGES: Final = 5_000
_MOST_RETURNING: Final = 50_000
_BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{m} "
        "Safari/605.1.15"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{m} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{m} "
        "Mobile/15E148 Safari/604.1"
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Pixel {m}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Mobile "
        "Safari/537.36"
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 17_{m} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/{v}.0 "
        "Mobile/15E148 Safari/604.1"
    ),
)
_REFERRERS: Final = (
    None,
    None,
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://m.facebook.com/story.php?id=81",
    "https://blog.example.org/ten-tours-worth-the-walk",
)
_SECTIONS: Final = ("tours", "menu", "events", "blog", "gift-cards", "about")
_SCREENS: Final = ("1920x1080", "390x844", "1440x900", "412x915", "820x1180")
_LANGUAGES: Final = ("en-GB", "en-US", "de-DE", "fr-FR", "es-ES")


@dataclass(slots=True)
class _Visitor:
    number: int
    session: str
    address: str
    agent: str
    screen: str
    language: str
    referrer: str | None
    campaign: str


class Traffic:
    """An endless stream of page views."""

    def __init__(self, seed: int, *, start: datetime, step: timedelta) -> None:
        """Begin at `start`; each event happens `step` after the one before."""
        self._random = Random(seed)
        self._seed = seed
        self._now = start
        self._step = step
        self._sessions = 0
        self._visitors = 0
        self._agents = browsers(self._random)
        self._on_site = [self._arrive() for _ in range(_ON_SITE)]

    def events(self, count: int) -> Iterator[bytes]:
        """Yield the JSON of so many page views, as a server sends them for its visitors."""
        for _ in range(count):
            yield msgspec.json.encode(self._next())

    def bulk(self, count: int) -> bytes:
        """Return the JSON body of one bulk request."""
        return b'{"events":[' + b",".join(self.events(count)) + b"]}"

    def _next(self) -> dict[str, object]:
        choose = self._random
        place = choose.randrange(_ON_SITE)
        visitor = self._on_site[place]
        # five pages a visit
        if choose.random() < 1 / 5:
            visitor = self._on_site[place] = self._arrive()
        # the square makes some pages popular
        page = int(choose.random() ** 2 * _PAGES)
        section = _SECTIONS[page % len(_SECTIONS)]
        self._now += self._step
        return {
            "page_url": f"https://shop.example.com/{section}/{page:04d}-offer?ref={choose.randrange(1000)}{visitor.campaign}",
            "event_type": "page_view",
            "session_id": visitor.session,
            "visitor_id": f"{self._seed}-{visitor.number:08d}",
            "timestamp": self._now.isoformat(),
            "user_agent": visitor.agent,
            "ip_address": visitor.address,
            "event_data": {
                "title": f"Offer {page:04d} in {section}",
                "referrer": visitor.referrer,
                "screen_resolution": visitor.screen,
                "language": visitor.language,
                "scroll_depth": choose.randrange(100),
            },
        }

    def _arrive(self) -> _Visitor:
        choose = self._random
        self._sessions += 1
        if self._visitors > _ON_SITE and choose.random() < 1 / 3:
            number = self._visitors - choose.randrange(min(self._visitors, _MOST_RETURNING))
        else:
            self._visitors += 1
            number = self._visitors
        campaign = ""
        if choose.random() < 1 / 6:
            campaign = f"&utm_source=mail&utm_medium=newsletter&utm_campaign=week-{choose.randrange(40)}"
        return _Visitor(
            number,
            f"s-{self._seed}-{self._sessions:08d}",
            f"{20 + number % 150}.{number // 150 % 250}.{number // 37_500 % 250}.{number % 251}",
            # the same visitor keeps its browser
            self._agents[number * 2_654_435_761 % len(self._agents)],
            choose.choice(_SCREENS),
            choose.choice(_LANGUAGES),
            choose.choice(_REFERRERS),
            campaign,
        )


def browsers(random: Random) -> list[str]:
    """Return user agents: some hundred browsers and a few crawlers."""
    people = [text.format(v=version, m=version % 10) for text in _BROWSERS for version in range(110, 150)]
    crawlers = [agent for entry in CRAWLER_USER_AGENTS_DATA for agent in entry["instances"][:1]]
    return people + random.sample(crawlers, 8)
