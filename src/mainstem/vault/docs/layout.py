"""Where the boxes of the diagram go: columns by kind, each box as near to those it belongs to as the others let it.

From left to right: satellites of links, links and facts, hubs, satellites of hubs, snapshots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mainstem.vault.docs.describe import Described, Description, Kind
from mainstem.vault.docs.mermaid import family

HEIGHT: Final = 46.0
_GAP: Final = 18.0
_COLUMN_GAP: Final = 92.0
_MARGIN: Final = 24.0
_CHARACTER: Final = 7.6
"""Width of a character of the name, in the font of the drawing."""
_PADDING: Final = 44.0
_SWEEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A structure's place, in pixels."""

    one: Described
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        """Return the height at which edges meet it."""
        return self.y + HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole drawing."""

    boxes: Mapping[str, Box]
    width: float
    height: float


def layout(description: Description) -> Layout:
    """Return the places of all structures."""
    links = {one.spec.table for one in description.structures if family(one.kind) == "link"}
    columns: list[list[Described]] = [[], [], [], [], []]
    for one in description.structures:
        columns[_column(one, links)].append(one)
    columns = [column for column in columns if column]
    middles = _middles(columns, description.edges)
    top = min((min(middles[one.spec.table] for one in column) for column in columns), default=0.0)
    boxes: dict[str, Box] = {}
    x = _MARGIN
    for column in columns:
        width = max(_PADDING + _CHARACTER * max(len(one.spec.name), len(one.kind)) for one in column)
        for one in column:
            boxes[one.spec.table] = Box(one, x, middles[one.spec.table] - top + _MARGIN, width)
        x += width + _COLUMN_GAP
    height = max((box.y + HEIGHT for box in boxes.values()), default=0.0) + _MARGIN
    return Layout(boxes, x - _COLUMN_GAP + _MARGIN if boxes else 0.0, height)


def _column(one: Described, links: set[str]) -> int:
    match family(one.kind):
        case "satellite":
            return 0 if links.intersection(one.about) else 3
        case "link" | "fact":
            return 1
        case "hub":
            return 2
        case _:
            return 4


def _middles(columns: Sequence[list[Described]], edges: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Return the top of each box: neighbours pull, boxes of one column keep their distance; sorts the columns."""
    neighbours: dict[str, list[str]] = {one.spec.table: [] for column in columns for one in column}
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    step = HEIGHT + _GAP
    tallest = max((len(column) for column in columns), default=0)
    tops = {
        one.spec.table: (number + (tallest - len(column)) / 2) * step
        for column in columns
        for number, one in enumerate(column)
    }
    for _ in range(_SWEEPS):
        for column in columns:
            wanted = {one.spec.table: _pull(tops, neighbours[one.spec.table], tops[one.spec.table]) for one in column}
            column.sort(key=lambda one, wanted=wanted: wanted[one.spec.table])  # type: ignore[misc]  # bound on purpose
            tops.update(_apart([(one.spec.table, wanted[one.spec.table]) for one in column], step))
    return tops


def _pull(tops: Mapping[str, float], neighbours: Sequence[str], own: float) -> float:
    return sum(tops[one] for one in neighbours) / len(neighbours) if neighbours else own


def _apart(wanted: Sequence[tuple[str, float]], step: float) -> dict[str, float]:
    """Return places at least a step apart, whose mean is that of the places wanted."""
    placed: list[float] = []
    for _, top in wanted:
        placed.append(max(top, placed[-1] + step) if placed else top)
    shift = sum(top for _, top in wanted) / len(wanted) - sum(placed) / len(placed)
    return {table: top + shift for (table, _), top in zip(wanted, placed, strict=True)}


def kinds_shown(description: Description) -> list[Kind]:
    """Return the kinds of the description, in the order of the enumeration: for a legend."""
    shown = {one.kind for one in description.structures}
    return [kind for kind in Kind if kind in shown]
