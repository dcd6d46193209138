"""What staged clicks add to the statistics: grouped and counted here, merged into the tables by load.sql.

A link that is clicked a thousand times within one load costs the tables one row each, as one that is clicked once.
Every click counts for its link and, under the zero key, for all links of its tenant.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, Final, TypeAlias

from mainstem.platform.web.text import clip_key
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.feed import DigestTables
from mainstem.vault.model import CLICK_COLUMNS

DIMENSIONS: Final = {
    "country": "country",
    "city": "city",
    "referrer": "referrer_host",
    "channel": "channel",
    "device": "device",
    "os": "os",
    "browser": "browser",
    "language": "language",
    "source": "click_source",
    "variant": "variant",
    "campaign": "utm_campaign",
}
"""Stage column of every dimension of business.link_day."""
FOR_ALL_ALONE: Final = frozenset(("channel", "language", "campaign"))
"""Dimensions that are not kept for each link: one row less for every link and day."""

_KEY: Final = (("tenant_id", "int4"), ("tracked_link_hk", "bytea"), ("is_bot", "bool"))
CLICK_TABLES: Final[DigestTables] = (
    ("click_time", (*_KEY, ("quarter", "int8"), ("clicks", "int8"))),
    ("click_visitor", (*_KEY, ("day", "date"), ("visitor_hk", "bytea"), ("first_at", "timestamptz"))),
    ("click_value", (*_KEY, ("day", "date"), ("dimension", "text"), ("value", "text"), ("clicks", "int8"))),
    (
        "click_total",
        (
            *(("tenant_id", "int4"), ("tracked_link_hk", "bytea"), ("tracking_id", "text")),
            *(("clicks", "int8"), ("bot_clicks", "int8"), ("first_at", "timestamptz"), ("last_at", "timestamptz")),
        ),
    ),
)
"""Temp tables that load.sql reads; `quarter` counts quarters of an hour from 1970."""
MISSED_TABLES: Final[DigestTables] = (
    (
        "digest_missed",
        (
            *(("tenant_id", "int4"), ("day", "date"), ("host", "text"), ("path", "text"), ("is_bot", "bool")),
            *(("visits", "int8"), ("last_at", "timestamptz")),
        ),
    ),
)

_QUARTER_S: Final = 900
_QUARTERS_A_DAY: Final = 96
_PART_ROWS: Final = 1_000
_VALUE_CHARACTERS: Final = 200
_EPOCH_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
_PLACES: Final = {name: place for place, (name, _) in enumerate(CLICK_COLUMNS)}
_VALUES: Final = [(dimension, itemgetter(_PLACES[column])) for dimension, column in DIMENSIONS.items()]
_CLICK: Final = itemgetter(
    *(_PLACES[name] for name in ("tenant_id", "tracked_link_hk", "is_bot", "occurred_at", "visitor_hk", "tracking_id"))
)

_Row: TypeAlias = tuple[Any, ...]
_Group: TypeAlias = tuple[int, bytes, bool]
"""Tenant, link or zero key, bot or not."""


class ClickDigest:
    """What one load of clicks adds to the statistics; days are those of UTC."""

    def __init__(self) -> None:
        """Start with no clicks."""
        self._quarters: Counter[tuple[_Group, int]] = Counter()
        self._firsts: dict[tuple[_Group, int, bytes], datetime] = {}
        self._values: list[Counter[tuple[_Group, int, Any]]] = [Counter() for _ in _VALUES]
        self._totals: dict[tuple[int, bytes], list[Any]] = {}

    def add(self, rows: Sequence[_Row]) -> None:
        """Count further rows of CLICK_COLUMNS."""
        groups: list[_Group] = []
        days: list[int] = []
        quarters: list[int] = []
        firsts = self._firsts
        for tenant_id, link, is_bot, at, visitor, tracking_id in map(_CLICK, rows):
            quarter = int(at.timestamp() // _QUARTER_S)
            day = quarter // _QUARTERS_A_DAY
            group = (tenant_id, link, is_bot)
            groups.append(group)
            days.append(day)
            quarters.append(quarter)
            key = group, day, visitor
            first = firsts.get(key)
            if first is None or at < first:
                firsts[key] = at
            self._add_total((tenant_id, link), tracking_id, at, is_bot=is_bot)
        self._quarters.update(zip(groups, quarters, strict=True))
        for counter, (_, value) in zip(self._values, _VALUES, strict=True):
            counter.update(zip(groups, days, map(value, rows), strict=True))

    def _add_total(self, key: tuple[int, bytes], tracking_id: str, at: datetime, *, is_bot: bool) -> None:
        total = self._totals.get(key)
        if total is None:
            self._totals[key] = [tracking_id, int(not is_bot), int(is_bot), at, at]
            return
        total[2 if is_bot else 1] += 1
        if at < total[3]:
            total[3] = at
        elif at > total[4]:
            total[4] = at

    def rows(self) -> Iterator[tuple[str, Sequence[_Row]]]:
        """Yield rows of CLICK_TABLES: those of the links, and their sums for all links."""
        quarters = self._quarters + _for_all(self._quarters)
        yield from _parts("click_time", [(*group, quarter, n) for (group, quarter), n in quarters.items()])
        everybody: dict[tuple[_Group, int, bytes], datetime] = {}
        for ((tenant_id, _, is_bot), day, visitor), at in self._firsts.items():
            key = (tenant_id, ZERO_KEY, is_bot), day, visitor
            everybody[key] = min(at, everybody.get(key, at))
        firsts = [
            (*group, _date(day), visitor, at)
            for (group, day, visitor), at in (*self._firsts.items(), *everybody.items())
        ]
        yield from _parts("click_visitor", firsts)
        yield from _parts("click_value", self._counted())
        yield from _parts("click_total", [(*key, *total) for key, total in self._totals.items()])

    def _counted(self) -> list[_Row]:
        # two long values may become one when they are cut
        merged: Counter[_Row] = Counter()
        for counter, (dimension, _) in zip(self._values, _VALUES, strict=True):
            counts = _for_all(counter)
            if dimension not in FOR_ALL_ALONE:
                counts += counter
            for (group, day, value), clicks in counts.items():
                if value is not None:
                    merged[*group, _date(day), dimension, clip_key(str(value), _VALUE_CHARACTERS)] += clicks
        return [(*key, clicks) for key, clicks in merged.items()]


def _for_all(counter: Counter[Any]) -> Counter[Any]:
    """Return the counts of all links together: the group in the key has the zero key."""
    found: Counter[Any] = Counter()
    for ((tenant_id, _, is_bot), *rest), clicks in counter.items():
        found[(tenant_id, ZERO_KEY, is_bot), *rest] += clicks
    return found


class MissedDigest:
    """What one load of visits that met no link adds to business.missed_day."""

    def __init__(self) -> None:
        """Start with no visits."""
        self._visits: dict[tuple[int, int, str, str, bool], list[Any]] = {}

    def add(self, rows: Sequence[_Row]) -> None:
        """Count further rows of MISSED_COLUMNS."""
        for row in rows:
            tenant_id, at, (host, path, is_bot) = row[1], row[4], row[-3:]
            key = tenant_id, int(at.timestamp() // 86_400), host, path, is_bot
            found = self._visits.setdefault(key, [0, at])
            found[0] += 1
            found[1] = max(found[1], at)

    def rows(self) -> Iterator[tuple[str, Sequence[_Row]]]:
        """Yield rows of MISSED_TABLES."""
        yield from _parts(
            "digest_missed",
            [
                (tenant_id, _date(day), host, path, is_bot, *found)
                for (tenant_id, day, host, path, is_bot), found in self._visits.items()
            ],
        )


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH_DAY + day)


def _parts(table: str, rows: Sequence[_Row]) -> Iterator[tuple[str, Sequence[_Row]]]:
    for start in range(0, len(rows), _PART_ROWS):
        yield table, rows[start : start + _PART_ROWS]
