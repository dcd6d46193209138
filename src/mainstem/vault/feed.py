"""A feed: which event kinds are staged how, and which structures and business statements load from that stage."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, Self, TypeAlias

from mainstem.events.model import RawEvent
from mainstem.platform.db import Connection
from mainstem.vault.engine.column import quote
from mainstem.vault.engine.spec import Structure

BASE_COLUMNS: tuple[tuple[str, str], ...] = (
    ("raw_id", "int8"),
    ("tenant_id", "int4"),
    ("event_uid", "uuid"),
    ("kind", "text"),
    ("occurred_at", "timestamptz"),
    ("received_at", "timestamptz"),
    ("rsrc", "text"),
    ("flags", "int2"),
)
"""The first columns of every stage, in this order; `rsrc` is the event's source."""


class RejectedError(Exception):
    """Raised by a stage function: this event can't be loaded, for a reason that a person should read."""

    def __init__(self, code: str, reason: str, field: str | None = None) -> None:
        """Keep the stable code, the sentence and the field it is about."""
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field


DigestTables: TypeAlias = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Names of tables, each with its columns (name, PostgreSQL type)."""


class Digest(Protocol):
    """What the business layer needs to know of the rows of a stage, grouped and counted in Python."""

    def add(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Count further rows."""

    def rows(self) -> Iterator[tuple[str, Sequence[tuple[object, ...]]]]:
        """Yield rows of the feed's digest tables, each with the table's name, about a thousand at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSet:
    """A list in the events, of which a structure loads one row per item."""

    table: str
    """Table of the structure."""
    column: str
    """Stage column, jsonb: an array of objects with the columns below; NULL where the event has no list."""
    columns: tuple[tuple[str, str], ...]
    """What an item has (name, PostgreSQL type); no names that the stage has."""

    def rows(self, stage: str) -> str:
        """Return the query of the stage's rows, one per item, with the columns of both."""
        item = ", ".join(f"{quote(name)} {type_}" for name, type_ in self.columns)
        return (
            f"select s.*, i.* from {quote(stage)} s\n"  # noqa: S608 - quoted names
            f"cross join lateral jsonb_to_recordset(s.{quote(self.column)}) as i ({item})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One stage: the temp table `stage_<name>` of a load, and what is loaded from it."""

    name: str
    kinds: tuple[str, ...]
    """Patterns: an exact kind, a prefix (`page.*`), or `*` for whatever no other feed takes."""
    columns: tuple[tuple[str, str], ...]
    """Stage columns (name, PostgreSQL type) in the order of the rows that `stage` returns."""
    stage: Callable[[RawEvent], tuple[object, ...]]
    """Pure. Returns the stage row of an event, or raises RejectedError."""
    structures: tuple[Structure, ...]
    business: tuple[str, ...] = ()
    """Statements (one per text) run after the structures in the same transaction.

    They read the temp tables `stage_<name>` and `load_context` (one row: load_ts timestamptz). One load may run
    them more than once, each time with other events on the stage, never twice with the same event.
    """
    digest: Callable[[], Digest] | None = None
    """Returns an empty digest, which is given the rows of the stage."""
    digest_tables: DigestTables = ()
    """Tables of the digest as the business statements see them; in a small load they are parameters in truth."""
    sets: tuple[StageSet, ...] = ()
    """Lists in the events, for the structures that load their items."""
    sources: tuple[str, ...] = ()
    """Sources whose events alone it takes, each exact or a prefix (`connector:*`); none: those of every source.

    Such a feed keeps nobody from its kinds: events of other sources go to whatever feed takes them otherwise.
    """

    def __post_init__(self) -> None:
        """Refuse a stage that lacks the base columns."""
        if self.columns[: len(BASE_COLUMNS)] != BASE_COLUMNS:
            msg = f"the stage of feed {self.name} must start with the base columns"
            raise ValueError(msg)

    @property
    def table(self) -> str:
        """Return the name of the temp table."""
        return f"stage_{self.name}"


def structures_of(feeds: Iterable[Feed]) -> tuple[Structure, ...]:
    """Return the structures that feeds load, each table once: several feeds, or several roles, may load one hub."""
    found: dict[str, Structure] = {}
    for spec in (spec for feed in feeds for spec in feed.structures):
        found.setdefault(spec.table, spec)
    return tuple(found.values())


class Route(Protocol):
    """Says whose an event is."""

    def __call__(self, kind: str, source: str = "") -> Feed | None:
        """Return the feed that takes events of a kind from a source; None where none does."""


class FeedSet(NamedTuple):
    """What a loader loads, and the version of the model that says so."""

    feeds: tuple[Feed, ...]
    route: Route
    model: int | None
    """None where the feeds follow no model: loads then don't ask whether it changed."""

    @classmethod
    def of(cls, feeds: Sequence[Feed], model: int | None = None) -> Self:
        """Return feeds with their route. Raises ValueError when two claim the same events."""
        return cls(tuple(feeds), router(feeds), model)


FeedSource: TypeAlias = Callable[[Connection], Awaitable[FeedSet]]
"""Returns what to load from now on; asked once per connection of a loader, outside of any load."""


def base_row(event: RawEvent) -> tuple[object, ...]:
    """Return the values of BASE_COLUMNS for an event: what every stage row starts with."""
    return (
        event.raw_id,
        event.tenant_id,
        event.event_uid,
        event.kind,
        event.occurred_at,
        event.received_at,
        event.source,
        event.flags,
    )


def router(feeds: Sequence[Feed]) -> Route:
    """Return a function from an event's kind and source to its feed.

    Feeds for the event's source come before feeds for every source; then exact kinds first, then the longest prefix,
    then `*`. Raises ValueError when two feeds claim the same pattern for the same sources, or the same stage table.
    """
    if len({feed.name for feed in feeds}) < len(feeds):
        msg = "two feeds have the same name"
        raise ValueError(msg)
    digests = [name for feed in feeds for name, _ in feed.digest_tables]
    if len(set(digests)) < len(digests):
        msg = "two feeds have a digest table of the same name"
        raise ValueError(msg)
    of_sources: dict[tuple[str, ...], list[Feed]] = {}
    for feed in feeds:
        of_sources.setdefault(feed.sources, []).append(feed)
    everywhere = _by_kind(of_sources.pop((), ()))
    somewhere = [(sources, _by_kind(those)) for sources, those in of_sources.items()]

    @lru_cache(maxsize=4096)
    def choices(kind: str) -> tuple[Feed | None, tuple[tuple[tuple[str, ...], Feed], ...]]:
        special = tuple((sources, feed) for sources, find in somewhere if (feed := find(kind)) is not None)
        return everywhere(kind), special

    def route(kind: str, source: str = "") -> Feed | None:
        usual, special = choices(kind)
        for sources, feed in special:
            if any(_covers(pattern, source) for pattern in sources):
                return feed
        return usual

    return route


def _by_kind(feeds: Sequence[Feed]) -> Callable[[str], Feed | None]:
    patterns: dict[str, Feed] = {}
    for feed in feeds:
        for pattern in feed.kinds:
            if pattern in patterns:
                msg = f"feeds {patterns[pattern].name} and {feed.name} both claim {pattern}"
                raise ValueError(msg)
            patterns[pattern] = feed
    prefixes = sorted((pattern[:-1] for pattern in patterns if pattern.endswith("*")), key=len, reverse=True)

    def find(kind: str) -> Feed | None:
        if kind in patterns:
            return patterns[kind]
        return next((patterns[prefix + "*"] for prefix in prefixes if kind.startswith(prefix)), None)

    return find


def _covers(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
