"""Whether the files of a day are still what was written. Loads pyarrow."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from mainstem.events.archive.checked import check_bytes, checked_rows
from mainstem.events.archive.errors import ArchiveDamagedError
from mainstem.events.archive.folder import day_path, manifest_of


def verify_day(folder: Path, day: date, advance: Callable[[int], None]) -> list[str]:
    """Read a day's files and compare bytes, counts and hash totals with its manifest; return what is wrong, or nothing.

    `advance` is called with how many more events were read.
    """
    try:
        manifest = manifest_of(folder, day)
    except ArchiveDamagedError as error:
        return [str(error)]
    problems = []
    for part in manifest.parts:
        for file in part.files:
            try:
                check_bytes(day_path(folder, day), file)
                for rows in checked_rows(day_path(folder, day), file):
                    if file is part.event:
                        advance(len(rows.hashes))
            except ArchiveDamagedError as error:
                problems.append(str(error))
    return problems
