"""A progress bar on standard error; nothing where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class Bar:
    """Shows how far a long command has come, and how long it may still take."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, done: int, total: int | None, what: str) -> None:
        """Show that `done` of `total` (None: nobody knows) are done, and what is next."""
        self._bar.update(self._task, description=what, completed=done, total=total)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar away while somebody is asked something."""
        self._bar.stop()
        yield
        self._bar.start()
