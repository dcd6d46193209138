"""Raw ids: unbroken ranges dealt out of blocks that a process took from `raw.raw_id_block`.

Pure: the caller fetches blocks. Ids are never dealt twice; the rest of a block that is too short for a
range is left unused, for a batch is one unbroken range. Ids say nothing about time across processes.
"""

from typing import Final

BLOCK: Final = 65_536
"""Ids of one block: the increment of the sequence, and the most events of a batch."""


class RawIds:
    """Ids of one process."""

    def __init__(self) -> None:
        """Start without a block."""
        self._next = 0
        self._end = 0

    def add_block(self, first: int) -> None:
        """Deal from the block `first` … `first + BLOCK - 1` from now on."""
        self._next, self._end = first, first + BLOCK

    def take(self, count: int) -> int | None:
        """Return the first id of a range of `count`, or None when a new block is needed first.

        Raises ValueError for a range that no block can hold.
        """
        if not 1 <= count <= BLOCK:
            msg = f"a batch has 1 to {BLOCK} events, not {count}"
            raise ValueError(msg)
        if self._end - self._next < count:
            return None
        first, self._next = self._next, self._next + count
        return first
