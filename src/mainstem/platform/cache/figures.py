"""What is counted of the cache in one process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits and misses since the start of the process, size and bytes as of now."""

    hits: int = 0
    misses: int = 0
    size: int = 0
    bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits, self.misses + other.misses, self.size + other.size, self.bytes + other.bytes
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """All there is to tell."""

    enabled: bool
    ttl_s: float
    max_size: int
    regions: dict[str, Counts]
    """A miss is a load."""
    local: Counts
    """Of the memory, without regions that have a structure of their own. A miss asked Redis or loaded."""
    shared: Counts | None
    """Of Redis, as far as this process asked it; its size is that of the whole database. None without one."""
    shared_available: bool
    shared_failures: int
