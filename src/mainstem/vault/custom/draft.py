"""What a model file says, before it becomes specs: names as they are written, each with its place for complaints."""

from dataclasses import dataclass, field

from mainstem.vault.custom.document import Part
from mainstem.vault.custom.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDraft:
    """One column of a feed."""

    name: str
    place: Place
    type: str
    required: bool
    comment: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDraft:
    """A hub: its key, as names of columns."""

    name: str
    key: tuple[str, ...]
    comment: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDraft:
    """A link between hubs of the feed."""

    name: str
    hubs: tuple[str, ...]
    comment: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutDraft:
    """A structure about a hub or link: satellite, multi-active satellite, effectivity satellite, record tracking."""

    name: str
    of: str
    columns: tuple[str, ...] = ()
    child_key: tuple[str, ...] = ()
    driving: str = ""
    comment: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class SameDraft:
    """A same-as link: the columns that hold the keys of both roles."""

    name: str
    hub: str
    master: tuple[str, ...]
    duplicate: tuple[str, ...]
    comment: str
    part: Part


@dataclass(slots=True, kw_only=True)
class FeedDraft:
    """One feed."""

    name: str
    part: Part
    kinds: tuple[str, ...] = ()
    columns: dict[str, ColumnDraft] = field(default_factory=dict)
    hubs: dict[str, HubDraft] = field(default_factory=dict)
    links: dict[str, LinkDraft] = field(default_factory=dict)
    satellites: dict[str, AboutDraft] = field(default_factory=dict)
    multi_active: dict[str, AboutDraft] = field(default_factory=dict)
    effectivity: dict[str, AboutDraft] = field(default_factory=dict)
    record_tracking: dict[str, AboutDraft] = field(default_factory=dict)
    same_as: dict[str, SameDraft] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDraft:
    """A daily snapshot: a point-in-time table of satellites, or a bridge over links."""

    name: str
    hub: str
    satellites: tuple[str, ...]
    links: tuple[str, ...]
    comment: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The whole file."""

    feeds: list[FeedDraft]
    snapshots: list[SnapshotDraft]
