"""What a rebuild makes anew: the tables of the feeds, and which of their columns say nothing about the events. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from mainstem.vault.check import GATE
from mainstem.vault.engine.parts import load_time
from mainstem.vault.engine.spec import NonHistorisedLink, Structure
from mainstem.vault.feed import Feed, structures_of
from mainstem.vault.rebuild.names import Names, RebuildError, Renaming, written

PIPELINE_TOTAL: Final = "business.pipeline_total"
PIPELINE_MINUTE: Final = "business.pipeline_minute"

KEPT: Final[Mapping[str, str]] = MappingProxyType(
    {PIPELINE_MINUTE: "its minutes and latencies are those of the loads themselves; nothing in the events says them"}
)
"""Tables that a load writes and a rebuild leaves as they are, with the reason."""

VOLATILE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {PIPELINE_TOTAL: {"updated_at": "the clock's time of the last load"}}
)
"""Columns that are not compared, by table, each with the reason."""

_LOAD_TS: Final = "load_ts"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is rebuilt, compared and swapped."""

    feeds: tuple[Feed, ...]
    """As the replay runs them."""
    structures: tuple[Structure, ...]
    made: tuple[str, ...]
    """Live tables that get a shadow."""
    compared: tuple[str, ...]
    """Those of them that are compared and swapped."""
    since: datetime | None

    def renaming(self, names: Names, *, archives: bool) -> Renaming:
        """Return how the loader's statements are rewritten; with archives, events come from two places."""
        tables = {table: names.shadow_table(table) for table in self.made}
        tables |= {
            "raw.batch": names.scratch("batch"),
            "staging.rejected": names.scratch("rejected"),
            "vault.claim": names.scratch("claim"),
            "vault.open_load": names.scratch("open_load"),
        }
        if archives:
            tables["raw.event"] = names.scratch("event")
        # who waits for a batch waits for the real load
        return Renaming(tables, {"'mainstem_loaded'": "'mainstem_rebuilt'"})


def scope_of(feeds: Sequence[Feed], since: datetime | None) -> Scope:
    """Return what a rebuild of these feeds makes anew; `since` a load time, the structures alone.

    Raises RebuildError when the rows of a structure do not say when they were loaded, and `since` asks for that.
    """
    structures = structures_of(feeds)
    vault = (*(spec.table for spec in structures), GATE)
    own = (PIPELINE_TOTAL, PIPELINE_MINUTE)
    if since is not None:
        for spec in structures:
            time = load_time(spec)
            if time is None or time.name != _LOAD_TS:
                msg = f"{spec.table} has no load_ts, so it can only be rebuilt as a whole"
                raise RebuildError(msg)
        plain = tuple(replace(feed, business=(), digest=None, digest_tables=()) for feed in feeds)
        return Scope(plain, structures, (*vault, *own), vault, since)
    business = tuple(written(text for feed in feeds for text in feed.business))
    made = tuple(dict.fromkeys((*vault, *business, *own)))
    return Scope(tuple(feeds), structures, made, tuple(one for one in made if one not in KEPT), None)


def facts(structures: Sequence[Structure]) -> list[str]:
    """Return the tables whose rows are the events that passed the gate."""
    return [spec.table for spec in structures if isinstance(spec, NonHistorisedLink) and spec.gated]
