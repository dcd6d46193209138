"""Which staged rows can bring a structure anything: decided in Python, so that PostgreSQL sorts few rows, not all.

Structure number n of a feed reads the rows whose `load_mask` has bit n. A row lacks the bit only where it would
certainly add nothing: for a hub or link when an earlier row of the load has the same key, or a load that this
connection has committed (rows of hubs and links are never deleted); for a satellite when the row before it of the same
key says the same. All else is the database's to decide: a bit too many costs time and changes nothing. Structures that
are neither hub nor link nor plain satellite read all rows.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from mainstem.vault.engine.spec import Column, Hub, Link, Satellite, Structure
from mainstem.vault.feed import Feed

MASK: Final = "load_mask"
"""Column of every stage, before those of its feed; int4."""
_BITS: Final = 31
_REMEMBERED: Final = 16_384
_ABSENT: Final = object()

Row: TypeAlias = tuple[object, ...]


class Known:
    """Keys that are surely in the table of a hub or link: some thousands of those met last."""

    def __init__(self) -> None:
        """Start with none."""
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether a key is remembered."""
        return key in self._young or key in self._old

    def add(self, keys: Iterable[Hashable]) -> None:
        """Remember keys, and forget the older half when they become too many."""
        self._young.update(keys)
        if len(self._young) > _REMEMBERED:
            self._young, self._old = set(), self._young


class _Firsts:
    """The first row of every key of a hub or link."""

    def __init__(self, bit: int, key: Sequence[int], needs: Sequence[int]) -> None:
        self.bit = bit
        self._key = itemgetter(*key)
        # loads without any row that says something are common
        self._need = needs[0] if needs else None

    def mark(self, rows: Sequence[Row], masks: list[int], keys: dict[Hashable, object], known: Known) -> None:
        if self._need is not None and not any(row[self._need] is not None for row in rows):
            return
        # backwards, so that the first row of a key is the one that stays
        last = len(rows) - 1
        firsts = dict(zip(map(self._key, reversed(rows)), range(last, -1, -1), strict=True))
        for key, place in firsts.items():
            if key not in keys:
                keys[key] = None
                if key not in known:
                    masks[place] |= self.bit


class _Changes:
    """The rows of a satellite that say something else than the row before them of the same key."""

    def __init__(self, bit: int, key: Sequence[int], payload: Sequence[int], needs: Sequence[int]) -> None:
        self.bit = bit
        self._key = itemgetter(*key)
        self._payload = itemgetter(*payload)
        self._needs = needs
        # loads without any row that says something are common
        self._need = needs[0] if needs else None

    def mark(self, rows: Sequence[Row], masks: list[int], keys: dict[Hashable, object], _known: Known) -> None:
        if self._need is not None and not any(row[self._need] is not None for row in rows):
            return
        said = keys.get
        for place, (key, payload) in enumerate(zip(map(self._key, rows), map(self._payload, rows), strict=True)):
            if said(key, _ABSENT) != payload and all(rows[place][column] is not None for column in self._needs):
                keys[key] = payload
                masks[place] |= self.bit


class Selection:
    """The rows of one load, or of a part of it that is undone as a whole; they come by raw id."""

    def __init__(self, rules: Sequence[_Firsts | _Changes], known: Mapping[int, Known]) -> None:
        """Start a load; `known` are the keys that are in the tables, by bit."""
        self._rules = rules
        self._known = known
        self._keys: dict[int, dict[Hashable, object]] = {rule.bit: {} for rule in rules}

    def masks(self, rows: Sequence[Row]) -> list[int]:
        """Return the masks of the next rows."""
        masks = [0] * len(rows)
        for rule in self._rules:
            rule.mark(rows, masks, self._keys[rule.bit], self._known[rule.bit])
        return masks

    def committed(self) -> None:
        """Remember the keys: the rows are in the tables for good."""
        for rule in self._rules:
            if isinstance(rule, _Firsts):
                self._known[rule.bit].add(self._keys[rule.bit])


class Selector:
    """The rules of one feed, and the keys that one connection has committed."""

    def __init__(self, feed: Feed) -> None:
        """Find the structures for which rows can be told apart."""
        places = {name: place for place, (name, _) in enumerate(feed.columns)}
        specs = enumerate(feed.structures[:_BITS])
        self._rules = [rule for number, spec in specs if (rule := _rule(spec, 1 << number, places)) is not None]
        self._known = {rule.bit: Known() for rule in self._rules}
        self.bits = frozenset(self._known)
        """The bits of the structures that need not read all rows; that of structure n is 2^n."""

    def start(self) -> Selection:
        """Return the selection of a load."""
        return Selection(self._rules, self._known)


def _rule(spec: Structure, bit: int, places: Mapping[str, int]) -> _Firsts | _Changes | None:
    """Return how rows are told apart for a structure; None where it reads all."""
    if not isinstance(spec, Hub | Link | Satellite) or spec.order != ("raw_id",):
        return None
    key = _staged(spec.key)
    needs = [places[name] for name in spec.needs]
    payload = []
    if isinstance(spec, Satellite):
        # what is compared in the end: a hashdiff that the stage holds, or the payload that it will be made of
        payload = [spec.hashdiff.staged] if spec.hashdiff_from == "stage" else _staged(spec.payload)
    match spec:
        # whether a row counts must be a matter of its key alone, or the first one of a key might not count
        case Hub() if set(spec.needs) <= set(key):
            return _Firsts(bit, [places[name] for name in key], needs)
        case Link() if {*spec.needs, *_staged(spec.references)} <= set(key):
            return _Firsts(bit, [places[name] for name in key], needs)
        case Satellite(skip_not_newer=False) if payload:
            return _Changes(bit, [places[name] for name in key], [places[name] for name in payload], needs)
        case _:
            return None


def _staged(columns: Iterable[Column]) -> list[str]:
    return [column.staged for column in columns]
