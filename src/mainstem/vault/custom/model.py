"""A model of a user: feeds and snapshots beside the built-in ones, whatever file they come from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mainstem.vault.custom.document import Problems
from mainstem.vault.engine.snapshot import Snapshot
from mainstem.vault.engine.spec import Structure
from mainstem.vault.engine.views import View, business_views
from mainstem.vault.feed import Feed
from mainstem.vault.model import GENERAL, STRUCTURES

Format: TypeAlias = Literal["yaml", "python"]
PREFIXES = ("hub_", "lnk_", "sat_", "msat_", "esat_", "rts_", "sal_", "nhl_", "pit_", "brg_", "xts_")
"""Beginnings of table names, by kind of structure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a file says."""

    feeds: tuple[Feed, ...]
    """Each loads the general fact first, then structures of its own."""
    snapshots: tuple[Snapshot, ...]
    path: str
    format: Format
    sha256: str
    source: str
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of the feeds by name, for complaints."""

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Return the structures of all feeds, each table once."""
        own: dict[str, Structure] = {}
        for spec in (spec for feed in self.feeds for spec in own_structures(feed)):
            own.setdefault(spec.table, spec)
        return tuple(own.values())

    def views(self, taken: Collection[str]) -> tuple[View, ...]:
        """Return the views over the model. Raises ValueError where names collide."""
        own = {spec.table for spec in (*self.structures, *self.snapshots)}
        views = business_views((*STRUCTURES, *self.structures), self.snapshots, taken=taken)
        return tuple(view for view in views if view.of in own)


def own_structures(feed: Feed) -> tuple[Structure, ...]:
    """Return what a feed loads besides what every feed of events does."""
    return tuple(spec for spec in feed.structures if spec not in GENERAL)


def check(model: Model, builtin: Sequence[Feed], taken: Collection[str]) -> None:
    """Raise ModelError where a model and the built-in feeds, or two feeds of it, are in each other's way."""
    problems = Problems(model.path)
    _feeds(model, builtin, problems)
    _tables(model, problems)
    problems.check()
    try:
        model.views(taken)
    except ValueError as error:
        problems.add(None, "", f"{error}; choose another name")
    problems.check()


def _feeds(model: Model, builtin: Sequence[Feed], problems: Problems) -> None:
    names = {feed.name: "the product" for feed in builtin}
    # a feed for some sources alone keeps nobody from its kinds
    usual = [feed for feed in builtin if not feed.sources]
    kinds = {kind: f"the feed {feed.name} of the product" for feed in usual for kind in feed.kinds if kind != "*"}
    for feed in model.feeds:
        line = model.lines.get(feed.name)
        if feed.name in names:
            problems.add(line, feed.name, f"the name is taken by {names[feed.name]}")
        names[feed.name] = "another feed of this file"
        for kind in feed.kinds:
            owner = next((kinds[one] for one in kinds if _claims(one, kind, by_product=one in _patterns(usual))), None)
            if kind == "*" or owner is not None:
                problems.add(line, f"{feed.name}.kinds", f"{kind} is claimed already, by {owner or 'the general feed'}")
        kinds |= dict.fromkeys(feed.kinds, f"the feed {feed.name}")


def _patterns(builtin: Sequence[Feed]) -> set[str]:
    return {kind for feed in builtin for kind in feed.kinds}


def _claims(pattern: str, kind: str, *, by_product: bool) -> bool:
    """Tell whether a pattern keeps others from a kind: the product's with all below it, users' if it is the same."""
    if not by_product:
        return pattern == kind
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == kind


def _tables(model: Model, problems: Problems) -> None:
    product = {spec.table for spec in STRUCTURES}
    owners: dict[str, tuple[str, Structure]] = {}
    for feed in model.feeds:
        line = model.lines.get(feed.name)
        for spec in own_structures(feed):
            if spec.table in product:
                problems.add(line, feed.name, f"the name is taken: {spec.table} is a table of the product")
            elif not spec.name.startswith(PREFIXES) or not spec.table.startswith("vault."):
                problems.add(line, feed.name, f"{spec.table} must be vault. and one of {', '.join(PREFIXES)}")
            owner, other = owners.setdefault(spec.table, (feed.name, spec))
            if owner != feed.name and not _shareable(spec, other):
                sentence = f"{spec.table} is of the feed {owner}, too, and a hub or link with another definition there"
                problems.add(line, feed.name, sentence)


def _shareable(one: Structure, other: Structure) -> bool:
    """Tell whether two feeds may load one table: the same hub or link, whose rows are facts whoever says them."""
    from_feeds = {type(one).__name__, type(other).__name__}
    return from_feeds in ({"Hub"}, {"Link"}) and one.columns == other.columns
