"""What staged events add to sessions and roll-ups: grouped and counted here, merged into the tables by load.sql.

Grouping texts by the thousand is what Python's dicts do faster than sorts and a GROUP BY with thirteen columns.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

from mainstem.site.stage import PAGE_VIEW
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.feed import DigestTables
from mainstem.vault.model import SITE_COLUMNS

DIMENSIONS: Final = {
    "page": "page_bk",
    "referrer": "referrer_host",
    "channel": "channel",
    "source": "utm_source",
    "medium": "utm_medium",
    "campaign": "utm_campaign",
    "device": "device",
    "os": "os",
    "browser": "browser",
    "event_type": "event_type",
}
"""Stage column of every dimension of business.site_day."""

_WHO: Final = (("tenant_id", "int4"), ("is_bot", "bool"))
_COUNTS: Final = (("events", "int8"), ("page_views", "int8"))
_ORIGIN_COLUMNS: Final = (
    *("session_hk", "visitor_hk", "is_bot", "referrer_host", "channel", "campaign_hk", "utm_source", "utm_medium"),
    *("utm_campaign", "device", "os", "browser"),
)
_TYPES: Final = dict(SITE_COLUMNS)

DIGEST_TABLES: Final[DigestTables] = (
    (
        "digest_session",
        (
            *(("tenant_id", "int4"), ("explicit", "bool"), ("started_at", "timestamptz"), ("ended_at", "timestamptz")),
            *(("first_uid", "uuid"), ("events", "int4"), ("page_views", "int4")),
            *(("entry_at", "timestamptz"), ("entry_uid", "uuid"), ("entry_page", "text")),
            *(("exit_at", "timestamptz"), ("exit_uid", "uuid"), ("exit_page", "text")),
            *((name, _TYPES[name]) for name in _ORIGIN_COLUMNS),
        ),
    ),
    ("digest_hour", (*_WHO, ("hour", "int8"), *_COUNTS)),
    ("digest_visitor", (*_WHO, ("day", "date"), ("visitor_hk", "bytea"), ("first_at", "timestamptz"))),
    ("digest_value", (*_WHO, ("day", "date"), ("dimension", "text"), ("value", "text"), *_COUNTS)),
)
"""Temp tables that load.sql reads; `hour` counts from 1970."""

_PLACES: Final = {name: place for place, (name, _) in enumerate(SITE_COLUMNS)}
_VALUES: Final = [(dimension, itemgetter(_PLACES[column])) for dimension, column in DIMENSIONS.items()]
_PART_ROWS: Final = 1_000
_PAUSE: Final = timedelta(minutes=30)
_TENANT: Final = _PLACES["tenant_id"]
_KIND: Final = _PLACES["kind"]
_UID: Final = _PLACES["event_uid"]
_AT: Final = _PLACES["occurred_at"]
_PAGE: Final = _PLACES["page_bk"]
_THREAD: Final = itemgetter(*map(_PLACES.__getitem__, ("session_hk", "visitor_hk", "is_bot")))
_ORDER: Final = itemgetter(_AT, _UID)
_VIEW: Final = itemgetter(_AT, _UID, _PAGE)
_NO_VIEWS: Final = (None,) * 6
_ORIGIN: Final = itemgetter(*map(_PLACES.__getitem__, _ORIGIN_COLUMNS))
_GROUP: Final = itemgetter(*map(_PLACES.__getitem__, ("tenant_id", "is_bot", "kind", "occurred_at")))
_VISITOR: Final = itemgetter(*map(_PLACES.__getitem__, ("visitor_hk", "occurred_at")))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_HOUR_S: Final = 3_600

_Part = TypeVar("_Part")
_Row: TypeAlias = tuple[Any, ...]
_Hour: TypeAlias = tuple[int, bool, int]
"""Tenant, bot or not, hours since 1970."""


class SiteDigest:
    """What one load adds to the roll-ups; days and hours are those of UTC."""

    def __init__(self) -> None:
        """Start with no events."""
        # a thread is what a pause can part: all events of a session id, or all of a visitor that have none
        self._threads: dict[Hashable, list[_Row]] = {}
        self._events: Counter[_Hour] = Counter()
        self._views: Counter[_Hour] = Counter()
        self._visitors: dict[tuple[int, bool, int], dict[bytes, datetime]] = {}
        self._values: dict[tuple[int, bool, int, bool], list[Counter[str | None]]] = {}

    def add(self, rows: Sequence[_Row]) -> None:
        """Count further rows of SITE_COLUMNS."""
        threads = self._threads
        for row, (session, visitor, is_bot) in zip(rows, map(_THREAD, rows), strict=True):
            thread = session if session != ZERO_KEY else (visitor, is_bot)
            if thread in threads:
                threads[thread].append(row)
            else:
                threads[thread] = [row]
        groups: dict[tuple[int, bool, int, bool], list[_Row]] = {}
        for row, (tenant_id, is_bot, kind, at) in zip(rows, map(_GROUP, rows), strict=True):
            key = tenant_id, is_bot, int(at.timestamp() // _HOUR_S), kind == PAGE_VIEW
            group = groups.get(key)
            if group is None:
                groups[key] = [row]
            else:
                group.append(row)
        for (tenant_id, is_bot, hour, is_view), group in groups.items():
            self._events[tenant_id, is_bot, hour] += len(group)
            if is_view:
                self._views[tenant_id, is_bot, hour] += len(group)
            day = hour // 24
            firsts = self._visitors.setdefault((tenant_id, is_bot, day), {})
            for visitor, at in map(_VISITOR, group):
                first = firsts.get(visitor)
                if first is None or at < first:
                    firsts[visitor] = at
            counters = self._values.setdefault((tenant_id, is_bot, day, is_view), [Counter() for _ in _VALUES])
            for counter, (_, value) in zip(counters, _VALUES, strict=True):
                counter.update(map(value, group))

    def rows(self) -> Iterator[tuple[str, Sequence[_Row]]]:
        """Yield rows of DIGEST_TABLES."""
        for threads in _parts(list(self._threads.values())):
            yield "digest_session", [one for thread in threads for one in _sessions(thread)]
        yield "digest_hour", [(*key, events, self._views[key]) for key, events in self._events.items()]
        firsts = [
            (tenant_id, is_bot, _date(day), visitor, at)
            for (tenant_id, is_bot, day), visitors in self._visitors.items()
            for visitor, at in visitors.items()
        ]
        for visits in _parts(firsts):
            yield "digest_visitor", visits
        for values in _parts(self._counted()):
            yield "digest_value", values

    def _counted(self) -> list[_Row]:
        """Return (tenant, bot, day, dimension, value, events, page views) of every value."""
        counted: list[_Row] = []
        for tenant_id, is_bot, day in {key[:3]: None for key in self._values}:
            views = self._values.get((tenant_id, is_bot, day, True))
            others = self._values.get((tenant_id, is_bot, day, False))
            for place, (dimension, _) in enumerate(_VALUES):
                seen = views[place] if views else Counter()
                events = seen + others[place] if others else seen
                counted += [
                    (tenant_id, is_bot, _date(day), dimension, value, count, seen[value])
                    for value, count in events.items()
                    if value is not None
                ]
        return counted


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH_DAY + day)


def _sessions(thread: list[_Row]) -> Iterator[_Row]:
    """Yield the sessions that the events of one thread alone would make."""
    thread.sort(key=_ORDER)
    first = thread[0]
    if first[_PLACES["session_hk"]] != ZERO_KEY or thread[-1][_AT] - first[_AT] <= _PAUSE:
        yield _session(thread)
        return
    start = 0
    for place in range(1, len(thread)):
        if thread[place][_AT] - thread[place - 1][_AT] > _PAUSE:
            yield _session(thread[start:place])
            start = place
    yield _session(thread[start:])


def _session(events: list[_Row]) -> _Row:
    first = events[0]
    views = [event for event in events if event[_KIND] == PAGE_VIEW]
    origin = _ORIGIN(first)
    return (
        first[_TENANT],
        origin[0] != ZERO_KEY,
        first[_AT],
        events[-1][_AT],
        first[_UID],
        len(events),
        len(views),
        *((*_VIEW(views[0]), *_VIEW(views[-1])) if views else _NO_VIEWS),
        *origin,
    )


def _parts(rows: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    for start in range(0, len(rows), _PART_ROWS):
        yield rows[start : start + _PART_ROWS]
