"""What loaders load: the built-in feeds and those of the model in force, as far as their tables are filled.

A YAML model is read from the database, so that all processes follow the same text whatever files they have. A Python
model is read from the file of each process, because nothing in the database should be run.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from mainstem.platform.db import Connection
from mainstem.vault.custom import catalogue, files
from mainstem.vault.custom.catalogue import sql
from mainstem.vault.custom.document import ModelError
from mainstem.vault.custom.model import Model, own_structures
from mainstem.vault.custom.plan import fits
from mainstem.vault.feed import Feed, FeedSet
from mainstem.vault.model import GENERAL

_log = structlog.get_logger(__name__)
_HELP: Final = "mainstem vault plan shows the difference, mainstem vault apply removes it"


class ModelSource:
    """Says what to load, for each new connection of a loader."""

    def __init__(self, builtin: Sequence[Feed], path: Path | None) -> None:
        """Keep the built-in feeds, and the model file where this process has one."""
        self._builtin = tuple(builtin)
        self._path = path
        self._known: tuple[int, Model | None] | None = None
        self._said: set[tuple[str, ...]] = set()

    async def __call__(self, connection: Connection) -> FeedSet:
        """Return the feeds to load from now on, and the version of the model that says so."""
        version, model = await self.model(connection)
        live = {tuple(row) for row in await connection.fetch(sql["live"])}
        feeds = list(self._builtin)
        for feed in () if model is None else model.feeds:
            kept = tuple(spec for spec in own_structures(feed) if (feed.name, spec.table) in live)
            if len(kept) < len(own_structures(feed)):
                self._warn("vault_feed_waits", feed=feed.name, hint=f"run mainstem vault backfill {feed.name}")
            if kept:
                tables = {spec.table for spec in kept}
                sets = tuple(one for one in feed.sets if one.table in tables)
                feeds.append(replace(feed, structures=(*GENERAL, *kept), sets=sets))
        return FeedSet.of(feeds, version)

    async def model(self, connection: Connection) -> tuple[int, Model | None]:
        """Return the version and the model in force; None where it is the built-in one alone, or can't be read."""
        version: int = await connection.fetchval(sql["version"])
        if self._known is None or self._known[0] != version:
            self._known = version, await self._read(connection)
        return self._known

    async def _read(self, connection: Connection) -> Model | None:
        row = await connection.fetchrow(sql["applied"])
        if self._path is not None:
            found = files.digest(self._path)
            if found is not None and (row is None or found != row["sha256"]):
                self._warn("vault_model_not_applied", file=str(self._path), hint=_HELP)
        if row is None:
            return None
        try:
            if row["format"] == "yaml":
                return files.parse(row["source"], row["path"], "yaml", self._builtin)
            return await self._python(connection, Path(row["path"]))
        except (ModelError, OSError) as error:
            # its events go to the general feed, and a backfill brings them into its tables
            self._warn("vault_model_unusable", reason=str(error), hint=_HELP)
            return None

    async def _python(self, connection: Connection, applied: Path) -> Model:
        path = self._path if self._path is not None and files.format_of(self._path) == "python" else applied
        model = files.load(path, self._builtin)
        stored = await catalogue.read(connection)
        feeds = tuple(feed for feed in model.feeds if fits(own_structures(feed), stored))
        for feed in model.feeds:
            if feed not in feeds:
                self._warn("vault_feed_not_applied", feed=feed.name, hint=_HELP)
        snapshots = tuple(one for one in model.snapshots if one.table in stored.tables)
        return replace(model, feeds=feeds, snapshots=snapshots)

    def _warn(self, event: str, **fields: str) -> None:
        """Log once what would otherwise come with every connection."""
        if (event, *fields.values()) not in self._said:
            self._said.add((event, *fields.values()))
            _log.warning(event, **fields)
