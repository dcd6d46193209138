"""Records what the redirect saw: the clicks of one turn of the event loop are committed together.

A visitor waits until the click is durable, at most LINK_WAIT_MS, and then goes on in any case: the commit continues. All
who came in one turn share one future and one timer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import msgspec
import structlog

from mainstem.events.intake import Intake
from mainstem.events.model import NewEvent
from mainstem.events.sealing import Sealer
from mainstem.links.click import CLICKED, MISSED, SOURCE, Click
from mainstem.links.geo import locator
from mainstem.links.resolve import Link
from mainstem.platform import metrics
from mainstem.platform.addresses import stored_ip, visitor_key
from mainstem.platform.errors import MainstemError
from mainstem.platform.ids import uuid7
from mainstem.platform.settings import Settings

if TYPE_CHECKING:
    from mainstem.events.group import Receipt

_CACHED: Final = 8_192
_MAX_AGENT: Final = 512
_MAX_REFERRER: Final = 1_000
_MAX_LANGUAGE: Final = 35
_MAX_PATH: Final = 300
_encode: Final = msgspec.json.Encoder().encode
# what NewEvent(…) does, without the call of a Python function
_made: Final = tuple.__new__
log = structlog.get_logger(__name__)


class Visitor(NamedTuple):
    """Who comes, as the request says."""

    ip: str | None
    user_agent: str | None
    referrer: str | None
    language: str | None
    label: str | None
    """`prefetch` or `preview`, where a browser or program only looks ahead."""


class _Group:
    """Clicks that are committed together."""

    __slots__ = ("done", "events", "timer")

    def __init__(self, done: "asyncio.Future[None]") -> None:
        self.events: list[NewEvent] = []
        self.done = done
        self.timer: asyncio.TimerHandle | None = None

    def release(self) -> None:
        """Let the visitors go on."""
        if not self.done.done():
            self.done.set_result(None)


class Clicks:
    """The clicks of one process."""

    def __init__(
        self, intake: Intake, sealer: Sealer, settings: Settings, *, visitor_secret: bytes, ip_secret: bytes
    ) -> None:
        """Keep where clicks go and how what is private in them is kept."""
        self._intake = intake
        self._sealer = sealer
        self._wait_s = settings.link_wait_ms / 1000
        self._most_missed = settings.missed_visits_per_minute
        self._missed_left, self._missed_until = 0, 0.0
        self._group: _Group | None = None
        self._fates: Counter[str] = Counter()
        self.place_of = locator(settings.geoip_file)
        """Country and city of an address."""
        self._stored_ip = lru_cache(_CACHED)(partial(stored_ip, mode=settings.ip_mode, salt=ip_secret))
        key = partial(visitor_key, secret=visitor_secret, rotation=settings.visitor_salt_rotation)
        self._visitor_key: Callable[[int, str | None, str | None, int, datetime], str] = _by_day(key)
        self._tail = lru_cache(_CACHED)(self._make_tail)
        self._knows_places = settings.geoip_file is not None

    def visitor(self, tenant_id: int, visitor: Visitor, now: datetime) -> str:
        """Return the cookieless key of a visitor, the same as for its visits of the tenant's site."""
        return self._visitor_key(tenant_id, visitor.ip, visitor.user_agent, now.toordinal(), now)

    def went(
        self, link: Link, told: str, visitor: Visitor, now: datetime, *, uid: UUID | None = None
    ) -> "asyncio.Future[None]":
        """Record a click; return what its visitor waits for.

        `told` is the beginning of its data (`Link.told`), `uid` its identity where it is known already.
        """
        tail, personal = self._tail(visitor.referrer, visitor.language, visitor.label)
        if self._knows_places:
            tail = self._place(visitor.ip) + tail
        tenant_id = link.tenant_id
        event: NewEvent = _made(
            NewEvent,
            (
                now,
                tenant_id,
                uid or uuid7(),
                CLICKED,
                now,
                SOURCE,
                None,
                link.tracking_id,
                self._visitor_key(tenant_id, visitor.ip, visitor.user_agent, now.toordinal(), now),
                self._stored_ip(visitor.ip),
                visitor.user_agent,
                0,
                told + tail,
            ),
        )
        return self._add(self._sealer.mark(event) if personal else event, "go")

    def missed(
        self, tenant_id: int, host: str, path: str, visitor: Visitor, now: datetime
    ) -> "asyncio.Future[None] | None":
        """Record a visit that met no link; None beyond MISSED_VISITS_PER_MINUTE, when it is only counted."""
        if not self._may_record():
            self._count("unrecorded")
            return None
        kind = "base_url" if not path else "regular_404" if "/" in path or "." in path else "invalid_short_url"
        click = Click(
            host=host or None,
            slug=path[:_MAX_PATH],
            missed=kind,
            referrer_url=visitor.referrer,
            label=visitor.label,
            language=visitor.language,
        )
        event = NewEvent(
            now,
            tenant_id,
            uuid7(),
            MISSED,
            now,
            SOURCE,
            None,
            None,
            self.visitor(tenant_id, visitor, now),
            self._stored_ip(visitor.ip),
            visitor.user_agent,
            0,
            _encode(click).decode(),
        )
        return self._add(self._sealer.mark(event), "missed")

    def seen(self, fate: str) -> None:
        """Count a visit that is no click: of a page, or by HEAD."""
        self._count(fate)

    def _may_record(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now >= self._missed_until:
            self._missed_left, self._missed_until = self._most_missed, now + 60
        self._missed_left -= 1
        return self._missed_left >= 0

    def _count(self, fate: str) -> None:
        if not self._fates:
            # soon, and for all that come until then
            asyncio.get_running_loop().call_later(1.0, self._tell)
        self._fates[fate] += 1

    def _tell(self) -> None:
        fates, self._fates = self._fates, Counter()
        for fate, visits in fates.items():
            metrics.redirected(fate, visits)

    def _add(self, event: NewEvent, fate: str) -> "asyncio.Future[None]":
        group = self._group
        if group is None:
            loop = asyncio.get_running_loop()
            group = self._group = _Group(loop.create_future())
            loop.call_soon(self._commit)
        group.events.append(event)
        self._count(fate)
        return group.done

    def _commit(self) -> None:
        """Hand over what came in this turn of the event loop."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            kept = self._intake.submit(group.events)
        except MainstemError as error:
            _lost(group, error)
            return
        kept.add_done_callback(partial(_kept, group))
        if self._wait_s > 0:
            group.timer = asyncio.get_running_loop().call_later(self._wait_s, group.release)
        else:
            group.release()

    def _make_tail(self, referrer: str | None, language: str | None, label: str | None) -> tuple[str, bool]:
        """Return the end of a click's data, and whether something in it may be personal."""
        said = {"referrer_url": referrer, "language": language, "label": label}
        text = "".join(f',"{name}":{_encode(value).decode()}' for name, value in said.items() if value is not None)
        return text + "}", referrer is not None and ("@" in referrer or "?" in referrer or "%" in referrer)

    def _place(self, ip: str | None) -> str:
        country, city = self.place_of(ip)
        return (f',"country":{_encode(country).decode()}' if country else "") + (
            f',"city":{_encode(city).decode()}' if city else ""
        )


def read_visitor(headers: dict[bytes, bytes], ip: str | None) -> Visitor:
    """Return who comes by the headers of a request."""
    get = headers.get
    label = None
    if b"sec-purpose" in headers or b"purpose" in headers or b"x-purpose" in headers or b"x-moz" in headers:
        label = _label(headers)
    return Visitor(ip, *_said(get(b"user-agent"), get(b"referer"), get(b"accept-language")), label)


@lru_cache(maxsize=_CACHED)
def _said(
    agent: bytes | None, referrer: bytes | None, languages: bytes | None
) -> tuple[str | None, str | None, str | None]:
    """Return user agent, referrer and first language; a header may hold any byte."""
    return (
        None if agent is None else _text(agent, _MAX_AGENT),
        None if referrer is None else _text(referrer, _MAX_REFERRER),
        None if languages is None else _text(languages.partition(b",")[0].partition(b";")[0], _MAX_LANGUAGE),
    )


def _text(value: bytes, characters: int) -> str | None:
    return value.decode("utf-8", "replace").replace("\x00", "").strip()[:characters] or None


def _label(headers: dict[bytes, bytes]) -> str | None:
    """Return why a request is no visit: browsers say so when they look ahead (Fetch, "Sec-Purpose"; older ones others)."""
    for name in (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"):
        value = headers.get(name, b"")
        if b"prefetch" in value or b"prerender" in value:
            return "prefetch"
        if b"preview" in value:
            return "preview"
    return None


def _by_day(
    key: Callable[[int, str | None, str | None, datetime], str],
) -> Callable[[int, str | None, str | None, int, datetime], str]:
    """Return the keys of visitors, kept per day: one clicks more than once."""
    cached: dict[tuple[int, str | None, str | None, int], str] = {}

    def find(tenant_id: int, ip: str | None, agent: str | None, day: int, now: datetime) -> str:
        known = (tenant_id, ip, agent, day)
        found = cached.get(known)
        if found is None:
            if len(cached) >= _CACHED:
                cached.clear()
            found = cached[known] = key(tenant_id, ip, agent, now)
        return found

    return find


def _kept(group: _Group, kept: "asyncio.Future[Receipt]") -> None:
    if group.timer is not None:
        group.timer.cancel()
    error = None if kept.cancelled() else kept.exception()
    if error is not None:
        _lost(group, error)
    group.release()


def _lost(group: _Group, error: BaseException) -> None:
    # the visitors go on all the same: that is what they came for
    metrics.clicks_lost(len(group.events))
    log.error("clicks_lost", clicks=len(group.events), reason=str(error))
    group.release()
