"""What a rebuild found and did."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, TypeAlias

Difference: TypeAlias = Literal["only live", "only rebuilt", "differs"]


@dataclass(frozen=True, slots=True)
class Totals:
    """A table or partition in one number: equal totals mean equal rows, whatever their order."""

    rows: int
    total: str
    """Sum of a 64-bit hash of every row's text, as decimal digits."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row that is not the same in both."""

    difference: Difference
    key: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One table, or one month of it, live and rebuilt."""

    table: str
    part: str
    """Name of the partition; that of the table where it has none."""
    live: Totals
    rebuilt: Totals
    differing: int = 0
    """Rows."""
    examples: tuple[Example, ...] = ()

    @property
    def equal(self) -> bool:
        """Tell whether the rows are the same."""
        return self.live == self.rebuilt


@dataclass(slots=True)
class Report:
    """The outcome of a rebuild."""

    into: str
    since: datetime | None
    events: int = 0
    loads: int = 0
    seconds: float = 0.0
    history_from: date | None = None
    """The first day of which events are there."""
    lost: int = 0
    """Events that were loaded once and can't be replayed, because neither landing nor archive has them."""
    changed_batches: int = 0
    """Batches of which other numbers of events were loaded, repeated or refused than when they were loaded."""
    compared: list[Compared] = field(default_factory=list)
    swapped: bool = False
    kept: list[str] = field(default_factory=list)
    """Schemas that are there now: the shadow, or the tables that were replaced."""

    @property
    def differences(self) -> list[Compared]:
        """Return the tables and partitions that are not the same."""
        return [one for one in self.compared if not one.equal]

    @property
    def equal(self) -> bool:
        """Tell whether live is what the events say."""
        return not self.differences and not self.changed_batches
