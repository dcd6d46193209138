"""The links that a process knows: looked up in batches, kept in memory, forgotten within a second of an edit.

Edits reach every process by NOTIFY (`links.tell` in migration 0009). A signal may be lost with a connection: after a
reconnect, and every LINK_CACHE_TTL_SECONDS, what is kept is looked up again when it is next asked for, and served as it is
while the database is away. What is unknown then can't be told from what does not exist: 503.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import structlog

from mainstem.events.signals import Listener
from mainstem.links.resolve import Link
from mainstem.links.rules import parse_rules
from mainstem.links.targets import with_parameters
from mainstem.links.variants import parse_variants
from mainstem.platform.batcher import Batcher
from mainstem.platform.cache import ANY, Change, Counts, key
from mainstem.platform.cache.changes import tenant_of
from mainstem.platform.db import SESSION_SETTINGS, is_transient, load_queries
from mainstem.platform.errors import UnavailableError
from mainstem.platform.settings import Settings
from mainstem.platform.web.urls import UTM_NAMES

CHANNEL: Final = "mainstem_links"
_AWAY_S: Final = 1.0
"""How long the database is not asked again after it failed to answer."""
_ALL: Final = "*"
_LINK_BYTES: Final = 1_024
_MOST_WARMED: Final = 500
"""Links that are looked up at once to warm: few enough for visits not to wait long behind them."""
_SHORTEST_WAIT_MS: Final = 1_000
"""A lookup that is cut short makes a database look away that is only busy, so it gets a second at least."""
_sql: Final = load_queries("mainstem.links", "redirect.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Domain:
    """A host of a tenant's own; the shared address has the tenant of visits that meet no link."""

    host: str
    tenant_id: int
    root_url: str | None = None
    missing_url: str | None = None
    expired_url: str | None = None


class _Nothing:
    """Where no link is."""

    __slots__ = ("age",)
    tenant_id: Final = 0

    def __init__(self, age: int) -> None:
        self.age = age


class LinkCache:
    """Links and domains, for one process and one event loop."""

    def __init__(self, dsn: str, settings: Settings) -> None:
        """Keep where to ask; nothing connects before `start`."""
        self._dsn = dsn
        self._most = max(settings.link_cache_size // 2, 50)
        self._ttl_s = settings.link_cache_ttl_seconds
        self._wait_s = max(settings.link_wait_ms, _SHORTEST_WAIT_MS) / 1000
        self._default_tenant = settings.default_tenant
        self._young: dict[str, Link | _Nothing] = {}
        self._old: dict[str, Link | _Nothing] = {}
        self._age = 0
        self._changes = 0
        self._hits = 0
        self._misses = 0
        self._away_until = 0.0
        self._asked: dict[str, asyncio.Future[Link | None]] = {}
        self._links: Batcher[tuple[str, str], Link | None] = Batcher(self._find, name="link lookup")
        self._places: Batcher[tuple[int, str], tuple[str, str] | None] = Batcher(self._place, name="tracking id lookup")
        self._limits: Batcher[tuple[Link, bool], bool] = Batcher(self._spend, name="click limit")
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()
        self._listener = Listener(dsn, [CHANNEL], self._heard)
        self._ticker: asyncio.Task[None] | None = None
        self._domains_age = -1
        self.domains: Mapping[str, Domain] = {}
        """By host."""
        self.shared: Domain | None = None
        """The hub's own address; None until the database was there once."""

    async def start(self) -> None:
        """Begin to listen, and learn the domains; the database may be away."""
        self._listener.start()
        self._ticker = asyncio.create_task(self._tick(), name="link ages")
        try:
            await self._know_domains()
        except UnavailableError:
            log.info("link_domains_unknown", reason="the database is away")

    async def stop(self) -> None:
        """Stop listening, end what is asked."""
        await self._listener.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        await self._links.stop()
        await self._places.stop()
        await self._limits.stop()
        self._drop_connection()

    def fresh(self, place: str) -> Link | None:
        """Return the link at a place (`host/slug`) that is kept and needs no look, else None; no I/O."""
        found = self._young.get(place)
        if found is None:
            found = self._old.get(place)
            if found is None:
                return None
            # met again: it stays when the old half goes
            self._keep(place, found)
        if found.age == self._age and type(found) is Link:
            self._hits += 1
            return found
        return None

    async def find(self, host: str, slug: str) -> Link | None:
        """Return the link at a place, None where there is none.

        Raises UnavailableError when it is not known and the database does not answer in time.
        """
        place = f"{host}/{slug}"
        found = self._young.get(place) or self._old.get(place)
        if found is not None and found.age == self._age:
            self._hits += 1
            return found if isinstance(found, Link) else None
        self._misses += 1
        if asyncio.get_running_loop().time() < self._away_until:
            return _stale(found)
        asked = self._asked.get(place)
        if asked is None:
            asked = self._asked[place] = self._links.ask((host, slug))
            asked.add_done_callback(lambda one: self._answered(place, one))
        try:
            # one visitor who goes must not end the question of the others
            return await asyncio.shield(asked)
        except UnavailableError:
            return _stale(found)

    @property
    def most(self) -> int:
        """Return how many links are kept whatever comes after them."""
        return self._most

    async def warm(self, places: Sequence[tuple[str, str]]) -> int:
        """Look up links at (host, slug) pairs that need it; return how many of them are kept. Raises UnavailableError."""
        missing = [place for place in places if self._kept("/".join(place)) is None]
        for start in range(0, len(missing), _MOST_WARMED):
            await asyncio.gather(*map(self._links.ask, missing[start : start + _MOST_WARMED]))
        return sum(self._kept("/".join(place)) is not None for place in places)

    def counts(self) -> Counts:
        """Return the figures of the cache; as a member of `platform.cache`."""
        size = len(self._young) + len(self._old)
        return Counts(self._hits, self._misses, size, size * _LINK_BYTES)

    def forget(self, change: Change) -> int:
        """Drop the links that a change is about; as a member of `platform.cache`, in which a link is `tenant:host/slug`."""
        self._changes += 1
        # who asks from now on asks anew
        self._asked.clear()
        tenant = tenant_of(change.pattern)
        whole = change.pattern in {ANY, f"{tenant}:{ANY}"}
        gone = [
            (half, place)
            for half in (self._young, self._old)
            for place, found in half.items()
            # many are looked through, and nearly always the tenant tells
            if (tenant is None or tenant == str(found.tenant_id))
            and (whole or change.touches("links", key(found.tenant_id, place)))
        ]
        for half, place in gone:
            del half[place]
        return len(gone)

    def _answered(self, place: str, asked: "asyncio.Future[Link | None]") -> None:
        # after an edit another question may be under way
        if self._asked.get(place) is asked:
            del self._asked[place]

    async def domain(self, host: str) -> Domain:
        """Return the domain that a Host header names; unknown hosts mean the shared address. Raises UnavailableError."""
        if self._domains_age != self._age or self.shared is None:
            try:
                await self._know_domains()
            except UnavailableError:
                if self.shared is None:
                    raise
        found = self.domains.get(host) or self.shared
        if found is None:
            raise UnavailableError("The addresses of this hub are not known yet.", retry_after_s=1)
        return found

    async def by_tracking_id(self, tenant_id: int, tracking_id: str) -> Link | None:
        """Return a tenant's link by its tracking id. Raises UnavailableError."""
        place = await self._places.ask((tenant_id, tracking_id))
        return None if place is None else await self.find(*place)

    async def spend(self, link: Link, *, takes: bool) -> bool:
        """Tell whether a link's limit leaves a click, and take it when told so. True while the database is away."""
        if asyncio.get_running_loop().time() < self._away_until:
            return True
        try:
            return await asyncio.shield(self._limits.ask((link, takes)))
        except UnavailableError:
            return True

    def _heard(self, channel: str | None, payload: str) -> None:
        self._changes += 1
        if channel is None or payload == _ALL:
            # nothing is dropped: it may be all there is while the database is away
            self._age += 1
            return
        for place in payload.split("\n"):
            self._young.pop(place, None)
            self._old.pop(place, None)
            # who asks from now on asks anew
            self._asked.pop(place, None)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_s)
            self._age += 1

    def _kept(self, place: str) -> Link | None:
        found = self._young.get(place) or self._old.get(place)
        return found if isinstance(found, Link) and found.age == self._age else None

    def _keep(self, place: str, found: Link | _Nothing) -> None:
        self._young[place] = found
        self._old.pop(place, None)
        if len(self._young) > self._most:
            self._young, self._old = {}, self._young

    async def _find(self, places: Sequence[tuple[str, str]]) -> list[Link | None]:
        changes, age = self._changes, self._age
        hosts, slugs = zip(*places, strict=True)
        rows = await self._asking("find", hosts, slugs)
        utms = await self._campaigns([row["campaign_id"] for row in rows if row["campaign_id"] is not None])
        found: list[Link | None] = [None] * len(places)
        for row in rows:
            found[row["n"] - 1] = link_of(row, utms.get(row["campaign_id"]), self.domains.get(row["host"]))
        # a row that was read before an edit must not be kept after it
        if changes == self._changes:
            for (host, slug), link in zip(places, found, strict=True):
                kept = _Nothing(age) if link is None else link
                kept.age = age
                self._keep(f"{host}/{slug}", kept)
        return found

    async def _place(self, asked: Sequence[tuple[int, str]]) -> list[tuple[str, str] | None]:
        # one at a time, each would wait for all before it, and the wait would look like a database that is away
        tenants, tracking_ids = zip(*asked, strict=True)
        found: list[tuple[str, str] | None] = [None] * len(asked)
        for row in await self._asking("by_tracking_id", tenants, tracking_ids):
            found[row["n"] - 1] = (row["host"], row["slug"])
        return found

    async def _campaigns(self, ids: Sequence[int]) -> dict[int, asyncpg.Record]:
        if not ids:
            return {}
        return {row["campaign_id"]: row for row in await self._asking("campaigns", sorted(set(ids)))}

    async def _spend(self, asked: Sequence[tuple[Link, bool]]) -> list[bool]:
        limits = {link.link_id: link.click_limit for link, _ in asked}
        wanted = Counter(link.link_id for link, takes in asked if takes)
        counts = [wanted[link_id] for link_id in limits]
        rows = await self._asking("spend", list(limits), list(limits.values()), counts)
        left = {row["link_id"]: row["granted"] for row in rows}
        available = {row["link_id"]: row["available"] for row in rows}
        answers = []
        for link, takes in asked:
            if takes:
                left[link.link_id] -= 1
            answers.append(left[link.link_id] >= 0 if takes else available[link.link_id] > 0)
        return answers

    async def _know_domains(self) -> None:
        age = self._age
        tenants = await self._asking("default_tenant", self._default_tenant)
        rows = await self._asking("domains")
        self.domains = {row["host"]: Domain(*row) for row in rows}
        self.shared = Domain("", tenants[0]["tenant_id"]) if tenants else None
        self._domains_age = age

    async def _asking(self, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """Return the rows of a query over the cache's own connection. Raises UnavailableError."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            raise _away()
        try:
            async with asyncio.timeout(self._wait_s), self._turn:
                connection = await self._connected()
                rows: Sequence[asyncpg.Record] = await connection.fetch(_sql[query], *arguments)
        except Exception as error:
            self._drop_connection()
            if not is_transient(error):
                raise
            self._away_until = loop.time() + _AWAY_S
            raise _away() from error
        except asyncio.CancelledError:
            self._drop_connection()
            raise
        return rows

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            settings = {**SESSION_SETTINGS, "application_name": "mainstem links"}
            self._connection = await asyncpg.connect(self._dsn, server_settings=settings)
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def link_of(row: asyncpg.Record, campaign: asyncpg.Record | None, domain: Domain | None) -> Link:
    """Return the link of a row of the query `find`."""
    utm = tuple(row[name] or (campaign[name] if campaign is not None else None) for name in UTM_NAMES)
    tags = [(name, value) for name, value in zip(UTM_NAMES, utm, strict=True) if value]
    return Link(
        tenant_id=row["tenant_id"],
        link_id=row["link_id"],
        host=row["host"],
        slug=row["slug"],
        tracking_id=row["tracking_id"],
        target_url=with_parameters(row["target_url"], tags),
        utm=utm,
        title=row["title"],
        created_at=row["created_at"],
        active=row["active"],
        valid_since=row["valid_since"],
        expires_at=row["expires_at"],
        expired_url=row["expired_url"] or (domain.expired_url if domain is not None else None),
        click_limit=row["click_limit"],
        limit_url=row["limit_url"],
        password_hash=row["password_hash"],
        forward_query=row["forward_query"],
        append_click=row["append_click"],
        rules=_parsed(parse_rules, row["rules"]),
        variants=_parsed(parse_variants, row["variants"]),
    )


def _parsed(parse: Callable[[Any], tuple[Any, ...]], text: str) -> tuple[Any, ...]:
    return () if text == "[]" else parse(json.loads(text))


def _stale(found: Link | _Nothing | None) -> Link | None:
    if isinstance(found, Link):
        return found
    raise _away()


def _away() -> UnavailableError:
    return UnavailableError("This address can't be looked up right now.", retry_after_s=1)
