"""Which product of the sink an item of the source is. Said by people, line by line; a likeness only ever proposes.

A name means the same however it is spelt in capitals and spaces. An item that nobody mapped makes its booking fail, unless
the mapping says that it is to be ignored: rent for the room is no dish.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from mainstem.platform.errors import InvalidFieldError

COLUMNS: Final = ("item", "product", "product_name", "ignore")
MOST_ENTRIES: Final = 20_000
LONGEST: Final = 500
_SPACES: Final = re.compile(r"\s+")
_TRUE: Final = frozenset({"1", "true", "yes", "y", "x", "ignore"})
_FALSE: Final = frozenset({"", "0", "false", "no", "n"})
_LIKELY: Final = 0.6
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one item of the source is."""

    item: str
    """Its name at the source."""
    product: str | None
    """The sink's id; None: the item is ignored."""
    product_name: str = ""

    @property
    def key(self) -> str:
        """Return what the name is compared by."""
        return key_of(self.item)

    @property
    def ignore(self) -> bool:
        """Return whether the item is left out of orders."""
        return self.product is None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A product that an item might be. A person decides."""

    product: str
    product_name: str
    score: float
    """How alike the names are, 0 to 1."""


ItemMap = Mapping[str, Entry]
"""Entries by `key_of` their item."""


def key_of(name: str) -> str:
    """Return what two spellings of a name share: case, width and spaces make no difference."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", name)).strip().casefold()


def item_map(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return entries by key; of two for one item the later holds."""
    return {entry.key: entry for entry in entries}


def propose(name: str, products: Sequence[tuple[str, str]], *, most: int = 3) -> list[Proposal]:
    """Return the products (id, name) whose names are most like an item's, the best first; none is ever chosen here."""
    wanted = key_of(name)
    scored = [(_likeness(wanted, key_of(product_name)), product, product_name) for product, product_name in products]
    best = sorted((one for one in scored if one[0] >= _LIKELY), key=lambda one: (-one[0], one[1]))
    return [Proposal(product, product_name, round(score, 3)) for score, product, product_name in best[:most]]


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(a=one, b=other, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= _LIKELY else 0.0


def read_csv(text: str, establishment: str | None = None) -> list[Entry]:
    """Return the entries of a CSV file with the columns item, product, product_name and ignore (the last two may be absent).

    A file may have more columns; where one is `establishment`, lines of other establishments are passed over. Raises InvalidFieldError that names the line of the first fault: nothing of a file with a fault is taken.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    if "item" not in names or "product" not in names:
        raise InvalidFieldError("The first line names the columns: item,product,product_name,ignore.", field="file")
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    try:
        for row in reader:
            cells = {name: _unguarded((row.get(name) or "").strip()) for name in COLUMNS}
            place = (row.get("establishment") or "").strip()
            if not any(cells.values()) or (place and establishment is not None and place != establishment):
                continue
            entry = _entry(cells, reader.line_num)
            if entry.key in seen:
                raise InvalidFieldError(
                    f"Line {reader.line_num}: {entry.item!r} stands in line {seen[entry.key]}, too.", field="file"
                )
            seen[entry.key] = reader.line_num
            entries.append(entry)
    except csv.Error as error:
        raise InvalidFieldError(f"Line {reader.line_num}: {error}", field="file") from error
    if len(entries) > MOST_ENTRIES:
        raise InvalidFieldError(f"A mapping has at most {MOST_ENTRIES} items.", field="file")
    return entries


def _entry(cells: Mapping[str, str], line: int) -> Entry:
    if not cells["item"]:
        raise InvalidFieldError(f"Line {line}: the item is missing.", field="file")
    flag = cells["ignore"].lower()
    if flag not in _TRUE | _FALSE:
        raise InvalidFieldError(f"Line {line}: ignore is yes or no.", field="file")
    if (flag in _TRUE) == bool(cells["product"]):
        raise InvalidFieldError(f"Line {line}: an item has a product, or is ignored.", field="file")
    if any(len(cell) > LONGEST or "\0" in cell for cell in cells.values()):
        raise InvalidFieldError(f"Line {line}: a cell has at most {LONGEST} characters.", field="file")
    return Entry(cells["item"], cells["product"] or None, cells["product_name"])


def write_csv(entries: Iterable[Entry]) -> str:
    """Return entries as a CSV file that `read_csv` reads back."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        cells = (entry.item, entry.product or "", entry.product_name, "yes" if entry.ignore else "")
        writer.writerow([_guarded(cell) for cell in cells])
    return out.getvalue()


def _guarded(cell: str) -> str:
    # what a spreadsheet would take for a formula, it shall take for text
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
