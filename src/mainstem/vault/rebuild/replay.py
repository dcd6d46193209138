"""The replay: every load once more, in its order and with its load time, by the loader's own slot.

The ledger knows which batches one load took: those with its load time. Within a tenant loads have one order, that of
their load times; tenants share no rows. So the replay takes load after load in the order of load times, and a load
that comes to light later, because its lane was slower, may follow when it is seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias

from mainstem.platform.db import Connection, load_queries
from mainstem.vault.feed import FeedSet
from mainstem.vault.rebuild.connection import renaming_kind
from mainstem.vault.rebuild.names import Names, Renaming
from mainstem.vault.rebuild.scope import Scope
from mainstem.vault.slot import CLAIM_EVENTS, Slot, connect

if TYPE_CHECKING:
    import asyncpg

Progress: TypeAlias = Callable[[int, int, str], None]
"""Is told how many events are done, of how many, and what is going on."""

FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE_LOADS: Final = 1_000
_CLOCKS: Final = timedelta(minutes=1)
"""By how much a clock may have been set back while loads went on."""
_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "mainstem rebuild",
    # nobody is told that it is durable before the swap is, whose commit makes sure of all before it
    "synchronous_commit": "off",
    "idle_in_transaction_session_timeout": "0",
}
_TEMPLATES: Final = load_queries("mainstem.vault.rebuild", "replay.sql")


@dataclass(slots=True)
class Replay:
    """The replay of one rebuild: what is planned and done."""

    dsn: str
    desk: Connection
    """For plans, outside of transactions; the loads go over another one."""
    names: Names
    scope: Scope
    renaming: Renaming
    progress: Progress
    done: int = 0
    """Events."""
    total: int = 0
    loads: int = 0
    _mark: datetime = LONG_AGO
    _opened: "tuple[Slot, asyncpg.Connection[asyncpg.Record]] | None" = None
    _started_s: float = field(default_factory=monotonic)

    def sql(self, name: str) -> str:
        """Return one of the replay's statements for its schema."""
        return _TEMPLATES[name].replace("rebuild_vault", self.names.shadow("vault"))

    async def catch_up(self) -> int:
        """Replay what was loaded and is not replayed yet; return how many events that were.

        What a load under way commits later is left for the next time.
        """
        async with self.desk.transaction():
            await self.desk.execute(self.sql("barrier"))
            moment: datetime = await self.desk.fetchval("select clock_timestamp()")
        events = await self.finish()
        # all loads that were not seen get a later load time than this
        self._mark = moment - _CLOCKS
        return events

    async def finish(self) -> int:
        """As `catch_up`, when the caller keeps loads from committing anyway: afterwards nothing is left."""
        since = self.scope.since or LONG_AGO
        self.total += await self.desk.fetchval(self.sql("plan"), max(self._mark, since), timeout=None)
        return await self.run(FAR)

    async def run(self, until: datetime) -> int:
        """Replay the planned loads with a load time before `until`; return how many events that were."""
        before, after = self.done, LONG_AGO
        while page := await self.desk.fetch(self.sql("groups"), after, until, _PAGE_LOADS):
            for load_ts, events in page:
                await self._load(load_ts)
                self.done += events
                self.loads += 1
                self._tell()
            after = page[-1]["load_ts"]
        return self.done - before

    def close(self) -> None:
        """Cut the connection of the loads; what was under way is undone."""
        if self._opened is not None:
            self._opened[0].drop()
            self._opened = None

    async def _load(self, load_ts: datetime) -> None:
        if self._opened is None:
            self._opened = await self._open()
        slot, connection = self._opened
        await connection.execute(self.sql("this_load"), load_ts)
        while (claim := await slot.begin(0)) is not None:
            await slot.load(claim)

    async def _open(self) -> "tuple[Slot, asyncpg.Connection[asyncpg.Record]]":
        connection = await connect(self.dsn, kind=renaming_kind(self.renaming), settings=_SETTINGS)

        feeds = FeedSet.of(self.scope.feeds)

        async def opened() -> "asyncpg.Connection[asyncpg.Record]":
            return connection

        async def unchanged(_: Connection) -> FeedSet:
            return feeds

        return Slot(opened, unchanged, 1, CLAIM_EVENTS), connection

    def _tell(self) -> None:
        rate = self.done / max(monotonic() - self._started_s, 0.001)
        self.progress(self.done, self.total, f"replaying, {self.done:,} of {self.total:,} events, {rate:,.0f}/s")
