"""A model file in YAML to a draft: every name and reference checked, all faults reported at once."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

from mainstem.vault.custom.document import NAME, Part, Problems, read
from mainstem.vault.custom.draft import (
    AboutDraft,
    ColumnDraft,
    Draft,
    FeedDraft,
    HubDraft,
    LinkDraft,
    SameDraft,
    SnapshotDraft,
)
from mainstem.vault.custom.place import Place
from mainstem.vault.custom.values import CASTS
from mainstem.vault.model import EVENT_COLUMNS

KEY_TYPES: Final = ("text", "int8", "uuid", "date")
"""Types whose values have one text each: parts of a hash."""
RESERVED: Final = frozenset(
    (
        *(name for name, _ in EVENT_COLUMNS),
        *("load_ts", "hashdiff", "first_seen", "last_changed", "last_seen", "valid_from", "valid_to"),
        *("as_of", "starts_at", "ends_at", "effective_from", "loaded_at", "source"),
    )
)
_KIND: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?")
_FEED: Final = (
    *("name", "kinds", "columns", "hubs", "links", "satellites"),
    *("multi_active", "effectivity", "record_tracking", "same_as"),
)


def read_draft(text: str, file: str) -> tuple[Draft, Problems]:
    """Return what a file says. Raises ModelError with everything that is wrong with it."""
    root, problems = read(text, file)
    parts = root.fields(("feeds", "snapshots"), ("feeds",))
    feeds = [_feed(part) for part in parts["feeds"].items()] if "feeds" in parts else []
    snapshots = [_snapshot(part) for part in parts["snapshots"].items()] if "snapshots" in parts else []
    problems.check()
    return Draft(feeds=feeds, snapshots=snapshots), problems


def known(part: Part, names: Collection[str], what: str, options: Collection[str]) -> None:
    """Note which of the names are no options."""
    for name in names:
        if name and name not in options:
            near = get_close_matches(name, options, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            part.wrong(f"there is no {what} {name}{hint}")


def _feed(part: Part) -> FeedDraft:
    parts = part.fields(_FEED, ("name", "kinds", "columns"))
    feed = FeedDraft(name=_name(parts.get("name")), part=part)
    if "kinds" in parts:
        feed.kinds = parts["kinds"].texts()
        for kind in feed.kinds:
            if _KIND.fullmatch(kind) is None:
                parts["kinds"].wrong(f"must be a kind (order.paid) or all kinds below one (order.*), not {kind!r}")
    for name, one in _named(parts, "columns"):
        feed.columns[name] = _column(name, one)
    for name, one in _named(parts, "hubs"):
        feed.hubs[name] = _hub(feed, name, one)
    for name, one in _named(parts, "links"):
        feed.links[name] = _link(feed, name, one)
    _abouts(feed, parts)
    for name, one in _named(parts, "same_as"):
        feed.same_as[name] = _same(feed, name, one)
    return feed


def _abouts(feed: FeedDraft, parts: Mapping[str, Part]) -> None:
    for name, one in _named(parts, "satellites"):
        feed.satellites[name] = _about(feed, name, one, required=("of", "columns"))
    for name, one in _named(parts, "multi_active"):
        feed.multi_active[name] = _about(feed, name, one, ("child_key",), required=("of", "child_key"))
    for name, one in _named(parts, "effectivity"):
        feed.effectivity[name] = _about(feed, name, one, ("driving",), required=("of", "driving"))
    for name, one in _named(parts, "record_tracking"):
        feed.record_tracking[name] = _about(feed, name, one, required=("of",))


def _column(name: str, part: Part) -> ColumnDraft:
    if name in RESERVED or name.endswith("_hk"):
        part.wrong("the vault has a column of this name; choose another, and say where from by `from`")
    parts = part.fields(("from", "type", "required", "comment"), ("from",))
    place = Place("")
    if "from" in parts:
        try:
            place = Place.parse(parts["from"].text())
        except ValueError as error:
            parts["from"].wrong(str(error))
    type_ = parts["type"].text() if "type" in parts else "text"
    if type_ not in CASTS:
        near = get_close_matches(type_, CASTS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        parts["type"].wrong(f"must be one of {', '.join(CASTS)}, not {type_!r}{hint}")
    comment = parts["comment"].text() if "comment" in parts else f"From {place.text} of the event."
    required = "required" in parts and parts["required"].flag()
    return ColumnDraft(name=name, place=place, type=type_, required=required, comment=comment, part=part)


def _hub(feed: FeedDraft, name: str, part: Part) -> HubDraft:
    parts = part.fields(("key", "comment"), ("key",))
    key = parts["key"].texts() if "key" in parts else ()
    if "key" in parts:
        _key(feed, parts["key"], key)
    return HubDraft(name=name, key=key, comment=_comment(parts, f"Hub {name} of the feed {feed.name}."), part=part)


def _key(feed: FeedDraft, part: Part, key: Collection[str]) -> None:
    known(part, key, "column", feed.columns)
    for name in key:
        column = feed.columns.get(name)
        if column is not None and column.type not in KEY_TYPES:
            part.wrong(f"{name} is of type {column.type}; a key is of {', '.join(KEY_TYPES)}")
        if column is not None and column.place.item is not None:
            part.wrong(f"{name} is in a list; a key is one value per event")


def _link(feed: FeedDraft, name: str, part: Part) -> LinkDraft:
    parts = part.fields(("hubs", "comment"), ("hubs",))
    hubs = parts["hubs"].texts() if "hubs" in parts else ()
    if "hubs" in parts:
        known(parts["hubs"], hubs, "hub", feed.hubs)
        if len(hubs) < 2:
            parts["hubs"].wrong("a link needs two hubs or more")
    return LinkDraft(
        name=name, hubs=hubs, comment=_comment(parts, f"Which {', '.join(hubs)} belong together."), part=part
    )


def _about(
    feed: FeedDraft, name: str, part: Part, more: Collection[str] = (), *, required: Collection[str]
) -> AboutDraft:
    parts = part.fields(("of", "columns", "comment", *more), required)
    of = parts["of"].text() if "of" in parts else ""
    if "of" in parts:
        known(parts["of"], [of], "hub or link", [*feed.hubs, *feed.links])
    columns, child_key = (_columns(feed, parts, field) for field in ("columns", "child_key"))
    driving = parts["driving"].text() if "driving" in parts else ""
    if "driving" in parts:
        hubs = feed.links[of].hubs if of in feed.links else ()
        if of in feed.hubs:
            parts["of"].wrong("must be a link: effectivity is of a relation")
        elif hubs:
            known(parts["driving"], [driving], f"hub of the link {of} called", hubs)
    if "child_key" in parts:
        _one_list(feed, parts["child_key"], (*child_key, *columns))
    elif any(feed.columns[one].place.item is not None for one in columns if one in feed.columns):
        parts["columns"].wrong("columns in a list (data.x[].y) go into multi_active")
    comment = _comment(parts, f"{name} of {of}, over time.")
    return AboutDraft(
        name=name, of=of, columns=columns, child_key=child_key, driving=driving, comment=comment, part=part
    )


def _columns(feed: FeedDraft, parts: Mapping[str, Part], field: str) -> tuple[str, ...]:
    if field not in parts:
        return ()
    columns = parts[field].texts()
    known(parts[field], columns, "column", feed.columns)
    return columns


def _one_list(feed: FeedDraft, part: Part, columns: Collection[str]) -> None:
    lists = {feed.columns[name].place.list_path for name in columns if name in feed.columns}
    if None in lists or len(lists) > 1:
        part.wrong("all columns of a multi-active satellite come from the items of one list (data.x[].y)")


def _same(feed: FeedDraft, name: str, part: Part) -> SameDraft:
    parts = part.fields(("hub", "master", "duplicate", "comment"), ("hub", "master", "duplicate"))
    hub = parts["hub"].text() if "hub" in parts else ""
    if "hub" in parts:
        known(parts["hub"], [hub], "hub", feed.hubs)
    roles = {}
    for role in ("master", "duplicate"):
        roles[role] = parts[role].texts() if role in parts else ()
        if role in parts and hub in feed.hubs:
            _key(feed, parts[role], roles[role])
            wanted = [feed.columns[one].type for one in feed.hubs[hub].key if one in feed.columns]
            if [feed.columns[one].type for one in roles[role] if one in feed.columns] != wanted:
                parts[role].wrong(f"must have the types of the key of {hub}: {', '.join(wanted)}")
    comment = _comment(parts, f"Which {hub} are the same.")
    return SameDraft(
        name=name, hub=hub, master=roles["master"], duplicate=roles["duplicate"], comment=comment, part=part
    )


def _snapshot(part: Part) -> SnapshotDraft:
    parts = part.fields(("name", "hub", "satellites", "links", "comment"), ("name", "hub"))
    satellites, links = (parts[name].texts() if name in parts else () for name in ("satellites", "links"))
    if bool(satellites) == bool(links):
        part.wrong("needs either satellites (a point-in-time table) or links (a bridge)")
    hub = parts["hub"].text() if "hub" in parts else ""
    comment = _comment(parts, f"What was known of {hub} at the beginning of each UTC day.")
    return SnapshotDraft(
        name=_name(parts.get("name")), hub=hub, satellites=satellites, links=links, comment=comment, part=part
    )


def _named(parts: Mapping[str, Part], name: str) -> list[tuple[str, Part]]:
    return list(parts[name].named()) if name in parts else []


def _name(part: Part | None) -> str:
    name = "" if part is None else part.text()
    if part is not None and name and NAME.fullmatch(name) is None:
        part.wrong("a name has up to 40 characters a-z, 0-9 and _, and begins with a letter")
    return name


def _comment(parts: Mapping[str, Part], otherwise: str) -> str:
    return parts["comment"].text() if "comment" in parts else otherwise
