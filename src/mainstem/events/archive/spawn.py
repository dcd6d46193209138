"""Archiving in a process of its own, from the hourly sweep. Loads no pyarrow."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path

import msgspec

from mainstem.events.archive.child import Order
from mainstem.events.archive.errors import ArchiveError
from mainstem.events.archive.run import DayOutcome

Archiver = Callable[[date], Awaitable[Sequence[DayOutcome]]]
"""Archives and drops the loaded days before a day; returns what became of each. Raises ArchiveError."""


def archiver(dsn: str, folder: Path) -> Archiver:
    """Return what archives a database's days into a folder, in a process of its own."""
    return partial(archive_in_child, dsn, folder)


async def archive_in_child(dsn: str, folder: Path, before: date) -> list[DayOutcome]:
    """Archive and drop the loaded days before `before`; return what became of each.

    Raises ArchiveError with the reason when the process fails; the days it had done are done. Cancelling kills it.
    """
    command = (sys.executable, "-m", "mainstem.events.archive.child")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ArchiveError("the archiving process has no pipes")
    try:
        # standard input stays open: its end tells the process that nobody waits for it any more
        process.stdin.write(msgspec.json.encode(Order(dsn, str(folder), before)) + b"\n")
        await process.stdin.drain()
        out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    finally:
        process.stdin.close()
    if code:
        lines = err.decode(errors="replace").strip().splitlines()
        raise ArchiveError(lines[-1] if lines else f"the archiving process ended with code {code}")
    return [msgspec.json.decode(line, type=DayOutcome) for line in out.splitlines()]
