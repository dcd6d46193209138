"""Links in the database: one typed function per use. The caller's transaction is bound to the tenant.

Every change of a link is an event `link.*` in the same transaction.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from mainstem.events.record import Change, record_all
from mainstem.links.draft import applied, as_json, event_of, new_row
from mainstem.links.slugs import made_up
from mainstem.links.targets import place_of
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, InvalidFieldError, MainstemError, NotFoundError

SOURCE: Final = "links"
_TRIES: Final = 8
_MOST_STEPS: Final = 5
_sql: Final = load_queries("mainstem.links")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who acts, and what is known of the hub."""

    tenant_id: int
    by: str
    """`key:<id>`, `user:<id>` or `cli`."""
    schemes: Collection[str]
    hosts: Sequence[str]
    """Hosts of the hub's own address, as in a Host header: targets there are looked into for loops."""


@dataclass(slots=True)
class _Draft:
    row: dict[str, Any]
    own_slug: bool
    own_tracking_id: bool
    link_id: int | None = None
    error: MainstemError | None = field(default=None)


async def create(
    connection: Connection, scope: Scope, wanted: Sequence[Mapping[str, Any] | MainstemError]
) -> list[int | MainstemError]:
    """Make links; return for each its id or why there is none. What is an error already stays one.

    `wanted` have the fields of LinkIn that were set. A taken slug or tracking id is a ConflictError; made-up ones are
    made up again.
    """
    drafts = [await _draft(connection, scope, one) for one in wanted]
    for _ in range(_TRIES):
        waiting = [one for one in drafts if one.error is None and one.link_id is None]
        if not waiting:
            break
        await _insert(connection, scope, waiting)
    made = [one for one in drafts if one.link_id is not None]
    if made:
        names = await _campaign_names(connection, scope.tenant_id)
        changes = [_change("created", one.row, one.link_id or 0, names, scope.by) for one in made]
        await record_all(connection, scope.tenant_id, changes, source=SOURCE)
    return [one.link_id if one.link_id is not None else one.error or _taken(one) for one in drafts]


async def change(
    connection: Connection, scope: Scope, wanted: Sequence[tuple[int, Mapping[str, Any]]]
) -> list[int | MainstemError]:
    """Change links; return for each its id or why it is as it was. `wanted` are ids with the fields that were set."""
    rows = await connection.fetch(_sql["lock"], scope.tenant_id, [link_id for link_id, _ in wanted])
    known = {row["link_id"]: dict(row) for row in rows}
    names = await _campaign_names(connection, scope.tenant_id)
    results: list[int | MainstemError] = []
    changes: list[Change] = []
    for link_id, given in wanted:
        row = known.get(link_id)
        if row is None:
            results.append(NotFoundError(f"Link {link_id} not found"))
            continue
        try:
            made = await _changed(connection, scope, row, given)
            async with connection.transaction():
                await connection.execute(
                    _sql["update"], scope.tenant_id, link_id, json.dumps(json.loads(as_json([made]))[0])
                )
        except asyncpg.UniqueViolationError:
            results.append(ConflictError(f"The slug {made['slug']} is taken.", field="slug", code="slug_taken"))
        except MainstemError as error:
            results.append(error)
        else:
            known[link_id] = {**row, **made}
            changes.append(_change("updated", made, link_id, names, scope.by))
            results.append(link_id)
    if changes:
        await record_all(connection, scope.tenant_id, changes, source=SOURCE)
    return results


async def delete(connection: Connection, scope: Scope, ids: Sequence[int]) -> list[int | MainstemError]:
    """Delete links; their clicks and history stay in the vault. Return for each its id or NotFoundError."""
    rows = await connection.fetch(_sql["lock"], scope.tenant_id, ids)
    known = {row["link_id"]: _plain(row) for row in rows}
    if known:
        names = {row["campaign_id"]: row["campaign"] for row in rows}
        changes = [_change("deleted", row, link_id, names, scope.by) for link_id, row in known.items()]
        await connection.execute(_sql["delete"], scope.tenant_id, list(known))
        await record_all(connection, scope.tenant_id, changes, source=SOURCE)
    return [link_id if link_id in known else NotFoundError(f"Link {link_id} not found") for link_id in ids]


async def read(connection: Connection, tenant_id: int, ids: Sequence[int]) -> list[asyncpg.Record]:
    """Return links by id, in the order of the ids, with campaign and clicks."""
    rows = {row["link_id"]: row for row in await connection.fetch(_sql["links"], tenant_id, ids)}
    return [rows[link_id] for link_id in ids if link_id in rows]


async def find_place(connection: Connection, tenant_id: int, host: str, slug: str) -> int | None:
    """Return the id of a tenant's link by host and slug."""
    found: int | None = await connection.fetchval(_sql["by_place"], tenant_id, host, slug)
    return found


async def find_tracking_id(connection: Connection, tenant_id: int, tracking_id: str) -> int | None:
    """Return the id of a tenant's link by its tracking id."""
    found: int | None = await connection.fetchval(_sql["by_tracking_id"], tenant_id, tracking_id)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which links a list has; None: all."""

    search: str | None = None
    tag: str | None = None
    campaign_id: int | None = None
    host: str | None = None
    archived: bool | None = False
    active: bool | None = None


async def ids_of(  # noqa: PLR0913 - a list has this many sides
    connection: Connection,
    tenant_id: int,
    wanted: Filter,
    *,
    by_clicks: bool,
    after: tuple[int, int] | None,
    limit: int,
) -> list[tuple[int, int]]:
    """Return (place, id) of the links of a list, best first; `after` is the last of the page before."""
    # the filters that are not asked for vanish from the plan only when it knows them
    await connection.execute("set local plan_cache_mode = force_custom_plan")
    search = None if wanted.search is None else wanted.search.strip().replace("\x00", "")
    prefix = None if not search else _escaped(search.lower()) + "%"
    arguments = [
        *(tenant_id, None if after is None else after[0], prefix, search, wanted.tag, wanted.campaign_id),
        *(wanted.host, wanted.archived, wanted.active, limit),
    ]
    if by_clicks:
        arguments.append(None if after is None else after[1])
    rows = await connection.fetch(_sql["most_clicked" if by_clicks else "newest"], *arguments)
    return [(row["place"], row["link_id"]) for row in rows]


async def _draft(connection: Connection, scope: Scope, wanted: Mapping[str, Any] | MainstemError) -> _Draft:
    if isinstance(wanted, MainstemError):
        return _Draft({}, own_slug=False, own_tracking_id=False, error=wanted)
    given = dict(wanted)
    tracking_id = given.pop("tracking_id", None)
    own_slug = bool(given.get("slug"))
    try:
        row = await applied(new_row(scope.by), given, scope.schemes)
        await _check(connection, scope, row)
    except MainstemError as error:
        return _Draft({}, own_slug=own_slug, own_tracking_id=False, error=error)
    row["tracking_id"] = tracking_id or row["slug"]
    return _Draft(row, own_slug=own_slug, own_tracking_id=tracking_id is not None)


async def _insert(connection: Connection, scope: Scope, waiting: Sequence[_Draft]) -> None:
    rows = await connection.fetch(_sql["insert"], scope.tenant_id, as_json([one.row for one in waiting]))
    made = {(row["host"], row["slug"]): row["link_id"] for row in rows}
    left: list[_Draft] = []
    for one in waiting:
        # the second of two equal ones in a request finds it taken
        one.link_id = made.pop((one.row["host"], one.row["slug"]), None)
        if one.link_id is None:
            left.append(one)
    if not left:
        return
    ids = await connection.fetch(_sql["taken_ids"], [one.row["tracking_id"] for one in left])
    taken = {row["tracking_id"] for row in ids}
    for one in left:
        if one.row["tracking_id"] in taken and one.own_tracking_id:
            one.error = ConflictError(
                f"The tracking id {one.row['tracking_id']} is taken.", field="tracking_id", code="tracking_id_taken"
            )
        elif not one.own_slug:
            one.row["slug"] = made_up()
            if not one.own_tracking_id:
                one.row["tracking_id"] = one.row["slug"]
        elif one.row["tracking_id"] in taken and not await _is_taken(connection, scope, one):
            one.row["tracking_id"] = made_up()
        else:
            one.error = _taken(one)


async def _is_taken(connection: Connection, scope: Scope, one: _Draft) -> bool:
    return await find_place(connection, scope.tenant_id, one.row["host"], one.row["slug"]) is not None


def _taken(one: _Draft) -> ConflictError:
    return ConflictError(f"The slug {one.row.get('slug', '')} is taken.", field="slug", code="slug_taken")


async def _changed(
    connection: Connection, scope: Scope, row: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    archived = given.get("archived")
    made = await applied(
        _plain(row), {name: value for name, value in given.items() if name != "archived"}, scope.schemes
    )
    if archived is not None:
        made["archived_at"] = (row["archived_at"] or utc_now()) if archived else None
    await _check(connection, scope, made)
    return made


async def _check(connection: Connection, scope: Scope, row: Mapping[str, Any]) -> None:
    """Check what the database alone knows: domain, campaign, loops. Raises InvalidFieldError."""
    if row["host"] and not await connection.fetchval(_sql["has_domain"], scope.tenant_id, row["host"]):
        raise InvalidFieldError(f"{row['host']} is none of your domains.", field="host", code="unknown_domain")
    campaign_id = row["campaign_id"]
    if campaign_id is not None and await connection.fetchrow(_sql["campaign"], scope.tenant_id, campaign_id) is None:
        raise InvalidFieldError(f"There is no campaign {campaign_id}.", field="campaign_id", code="unknown_campaign")
    targets = [row["target_url"], row["expired_url"], row["limit_url"]]
    targets += [one["target_url"] for one in (*row["rules"], *row["variants"])]
    own = (row["host"], row["slug"])
    for target in targets:
        if target is not None and await _loops(connection, scope, own, target):
            raise InvalidFieldError(
                "The target leads back to this link, or through too many links of this hub.",
                field="target_url",
                code="link_loop",
            )


async def _loops(connection: Connection, scope: Scope, own: tuple[str, str], target: str) -> bool:
    domains = [own[0]] if own[0] else []
    for _ in range(_MOST_STEPS):
        place = place_of(target, [*scope.hosts, *domains])
        if place is None:
            return False
        host = "" if place[0] in scope.hosts else place[0]
        if (host, place[1]) == own:
            return True
        next_ = await connection.fetchval(_sql["steps"], scope.tenant_id, host, place[1])
        if next_ is None:
            return False
        target = next_
    return True


def _plain(row: Mapping[str, Any] | asyncpg.Record) -> dict[str, Any]:
    return {**dict(row), "rules": _parsed(row["rules"]), "variants": _parsed(row["variants"])}


def _parsed(value: Any) -> Any:  # noqa: ANN401 - JSON
    return json.loads(value) if isinstance(value, str) else value


def _change(kind: str, row: Mapping[str, Any], link_id: int, names: Mapping[int, str], by: str) -> Change:
    campaign = names.get(row["campaign_id"]) if row.get("campaign_id") is not None else None
    return Change(f"link.{kind}", event_of(row, link_id, campaign, by), subject=row["tracking_id"])


async def _campaign_names(connection: Connection, tenant_id: int) -> dict[int, str]:
    return {row["id"]: row["name"] for row in await connection.fetch(_sql["campaigns"], tenant_id)}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
