"""The process that archives for a running `mainstem`: its memory goes when it ends, and intake keeps its core.

Run as `python -m mainstem.events.archive.child`. Reads one line of JSON (Order) from standard input, writes a line
(DayOutcome) for each day to standard output. Whoever started it holds its standard input open; when that ends, so
does this process, at once: a half-made day is no part of the archive.
"""

import asyncio
import os
import sys
import threading
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from mainstem.events.archive.run import DayOutcome, archive_before
from mainstem.platform.db import SESSION_SETTINGS

_NICENESS: Final = 10
_CONNECT_TIMEOUT_S: Final = 10
_ABANDONED: Final = 70


class Order(msgspec.Struct):
    """What to archive: the database, the folder of the archive, and the day that stays."""

    dsn: str
    folder: str
    before: date


class _Quiet:
    def begin(self, day: date, events: int) -> None:
        """Nobody watches."""

    def advance(self, events: int) -> None:
        """Nobody watches."""


async def _work(order: Order) -> None:
    settings = {**SESSION_SETTINGS, "application_name": "mainstem-archive"}
    connection = await asyncpg.connect(order.dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)
    try:
        await archive_before(connection, Path(order.folder), order.before, done=_tell, progress=_Quiet())
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


def _tell(outcome: DayOutcome) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(_ABANDONED)


def main() -> int:
    """Do what the line on standard input says; return the exit code."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    with suppress(OSError):
        os.nice(_NICENESS)
    try:
        asyncio.run(_work(order))
    except Exception as error:  # noqa: BLE001 - the starter reports the last line
        sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    return 0


if __name__ == "__main__":
    # the thread sits in a read that nothing ends: leave without waiting for it
    code = main()
    sys.stdout.flush()
    os._exit(code)
