"""Ending a long-running command in good order when a signal comes before or after its event loop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into an orderly exit (code 0), and ignore those that follow.

    They do follow: make forwards SIGTERM to a child that the process group already told.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)
    yield


def ignore_signals() -> None:
    """Let nothing interrupt the way out: the database's shutdown must be complete."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    ignore_signals()
    raise typer.Exit(0)
