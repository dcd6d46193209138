"""What came out of a run: passed of total, per kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from mainstem.vault.conform.run import Result


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all cases, in the order in which they ran."""

    results: Sequence[Result]

    @property
    def passed(self) -> int:
        """Return how many cases passed."""
        return sum(result.passed for result in self.results)

    @property
    def failed(self) -> list[Result]:
        """Return the results of the cases that did not."""
        return [result for result in self.results if not result.passed]

    @property
    def kinds(self) -> dict[str, tuple[int, int]]:
        """Return (passed, total) per kind, in the order in which the kinds came."""
        counts: dict[str, tuple[int, int]] = {}
        for result in self.results:
            passed, total = counts.get(result.kind, (0, 0))
            counts[result.kind] = (passed + result.passed, total + 1)
        return counts
