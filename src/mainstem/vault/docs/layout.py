"""Where the boxes of the diagram go: columns by kind, each box as near to those it belongs to as the others let it.

From left to right: satellites of links, links and facts, hubs, satellites of hubs, snapshots. An edge that passes a
column has a place of its own in it, so that it leads past the boxes, not through them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mainstem.vault.docs.describe import Described, Description
from mainstem.vault.docs.mermaid import family

HEIGHT: Final = 46.0
_LANE: Final = 6.0
"""Height of the place of an edge that passes a column."""
_GAP: Final = 18.0
_COLUMN_GAP: Final = 72.0
_MARGIN: Final = 24.0
_NAME_CHARACTER: Final = 7.6
_KIND_CHARACTER: Final = 5.8
"""Widths of characters in the fonts of the drawing."""
_PADDING: Final = 40.0
_SWEEPS: Final = 12


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
class Edge:
    """A line from box to box, from left to right: pairs of points between which it curves, straight in between."""

    one: Described
    """The structure that is about the other one."""
    curves: tuple[tuple[tuple[float, float], tuple[float, float]], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole drawing."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Column:
    """A column while places are sought: its nodes, boxes and lanes alike, from top to bottom."""

    nodes: list[str]
    x: float = 0.0
    width: float = 0.0


def layout(description: Description) -> Layout:
    """Return the places of all structures and edges."""
    boxes = {one.spec.table: one for one in description.structures}
    columns, place = _columns(description)
    heights = dict.fromkeys(boxes, HEIGHT)
    chains: list[tuple[Described, list[str]]] = []
    for number, (one, other) in enumerate(description.edges):
        left, right = sorted((one, other), key=lambda table: place[table])
        lanes = [f"{number}:{at}" for at in range(place[left] + 1, place[right])]
        for lane, column in zip(lanes, columns[place[left] + 1 :], strict=False):
            column.nodes.append(lane)
            heights[lane] = _LANE
        chains.append((boxes[one], [left, *lanes, right]))
    middles = _middles(columns, [chain for _, chain in chains], heights)
    _spread(columns, boxes)
    column_of = {node: column for column in columns for node in column.nodes}
    width = max((column.x + column.width for column in columns), default=0.0) + _MARGIN
    height = max((middles[node] + heights[node] / 2 for node in middles), default=0.0) + _MARGIN
    return Layout(
        tuple(
            Box(one, column_of[table].x, middles[table] - HEIGHT / 2, column_of[table].width)
            for table, one in boxes.items()
        ),
        tuple(Edge(one, _curves(chain, column_of, middles)) for one, chain in chains),
        width,
        height,
    )


def _columns(description: Description) -> tuple[list[_Column], dict[str, int]]:
    """Return the columns that are not empty, and the number of the column of each table."""
    links = {one.spec.table for one in description.structures if family(one.kind) == "link"}
    sorted_: dict[int, list[str]] = {}
    for one in description.structures:
        sorted_.setdefault(_rank(one, links), []).append(one.spec.table)
    columns = [_Column(sorted_[rank]) for rank in sorted(sorted_)]
    return columns, {table: number for number, column in enumerate(columns) for table in column.nodes}


def _rank(one: Described, links: set[str]) -> int:
    match family(one.kind):
        case "satellite":
            return 0 if links.intersection(one.about) else 3
        case "link" | "fact":
            return 1
        case "hub":
            return 2
        case _:
            return 4


def _spread(columns: Sequence[_Column], boxes: Mapping[str, Described]) -> None:
    """Give the columns their widths and places."""
    x = _MARGIN
    for column in columns:
        column.x = x
        column.width = max(_width(boxes[node]) for node in column.nodes if node in boxes)
        x += column.width + _COLUMN_GAP


def _width(one: Described) -> float:
    return _PADDING + max(_NAME_CHARACTER * len(one.spec.name), _KIND_CHARACTER * len(one.kind))


def _middles(
    columns: Sequence[_Column], chains: Sequence[Sequence[str]], heights: Mapping[str, float]
) -> dict[str, float]:
    """Return the middle of each node: neighbours pull, nodes of one column keep apart. Sorts the columns."""
    neighbours: dict[str, list[str]] = {node: [] for column in columns for node in column.nodes}
    for chain in chains:
        for one, other in zip(chain, chain[1:], strict=False):
            neighbours[one].append(other)
            neighbours[other].append(one)
    middles: dict[str, float] = {}
    for column in columns:
        middles.update(_apart([(node, 0.0) for node in column.nodes], heights))
    for _ in range(_SWEEPS):
        for column in columns:
            wanted = {node: _pull(middles, neighbours[node], middles[node]) for node in column.nodes}
            column.nodes.sort(key=wanted.__getitem__)
            middles.update(_apart([(node, wanted[node]) for node in column.nodes], heights))
    top = min((middles[node] - heights[node] / 2 for node in middles), default=0.0)
    return {node: middle - top + _MARGIN for node, middle in middles.items()}


def _pull(middles: Mapping[str, float], neighbours: Sequence[str], own: float) -> float:
    return sum(middles[one] for one in neighbours) / len(neighbours) if neighbours else own


def _apart(wanted: Sequence[tuple[str, float]], heights: Mapping[str, float]) -> dict[str, float]:
    """Return places that don't touch, whose mean is that of the places wanted."""
    placed: list[float] = []
    below = float("-inf")
    for node, middle in wanted:
        placed.append(max(middle, below + heights[node] / 2))
        below = placed[-1] + heights[node] / 2 + _GAP
    shift = sum(middle for _, middle in wanted) / len(wanted) - sum(placed) / len(placed)
    return {node: middle + shift for (node, _), middle in zip(wanted, placed, strict=True)}


def _curves(
    chain: Sequence[str], column_of: Mapping[str, _Column], middles: Mapping[str, float]
) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    return tuple(
        ((column_of[one].x + column_of[one].width, middles[one]), (column_of[other].x, middles[other]))
        for one, other in zip(chain, chain[1:], strict=False)
    )
