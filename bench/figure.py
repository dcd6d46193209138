"""One measured figure and the bar that it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.stats import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The promise of the design: `ratio ≥ 0.6`, `p99 ≤ 30 ms`."""

    sense: Literal["≥", "≤"]
    value: float
    unit: str = ""

    def met_by(self, value: float) -> bool:
        """Tell whether a measured value keeps the promise."""
        return value >= self.value if self.sense == "≥" else value <= self.value

    def __str__(self) -> str:
        """Return it as a person writes it."""
        return f"{self.sense} {self.value:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A row of the results."""

    name: str
    runs: tuple[float, ...]
    """One value per run, in `unit`; the median is what counts."""
    unit: str
    bar: Bar | None = None
    """None: for information, or the reference of another figure."""
    ratios: tuple[float, ...] = ()
    """Per run, to the reference measured beside it. With ratios, the bar is held against their median."""

    @property
    def value(self) -> float:
        """Return the median of the runs."""
        return median(self.runs)

    @property
    def ratio(self) -> float | None:
        """Return the median of the ratios."""
        return median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Tell whether the bar is met; None without one."""
        if self.bar is None:
            return None
        return self.bar.met_by(self.value if self.ratio is None else self.ratio)


def compared(
    name: str, runs: Sequence[float], references: Sequence[float], *, unit: str, bar: Bar | None = None
) -> Figure:
    """Return a figure with its ratio to the reference of the same run."""
    ratios = tuple(value / reference for value, reference in zip(runs, references, strict=True))
    return Figure(name=name, runs=tuple(runs), unit=unit, bar=bar, ratios=ratios)
