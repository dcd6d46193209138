"""The archive: days of `raw` past their retention, as Parquet files that give every row back exactly.

The public door for readers of archives. Nothing here loads pyarrow (76 MB of memory) before it is needed.
"""

from mainstem.events.archive.errors import ArchiveDamagedError, ArchiveError
from mainstem.events.archive.folder import ArchivedDay, archive_folder, archived_days, manifest_of
from mainstem.platform.db import Connection

__all__ = [
    "ArchiveDamagedError",
    "ArchiveError",
    "ArchivedDay",
    "archive_folder",
    "archived_days",
    "restore_day",
]


async def restore_day(connection: Connection, archived: ArchivedDay, *, event_table: str, batch_table: str) -> int:
    """Copy an archived day into two existing tables; return the number of events.

    The tables (qualified names) have the columns of raw.event and raw.batch. By binary COPY in bounded memory, in one
    transaction of its own or a savepoint of the caller's, so all or nothing. Ledger rows that are there already, by
    batch_id, are left alone: a batch that touches two days is in both days' archives.
    Raises ArchiveDamagedError when a file is missing, unreadable or not what its manifest says.
    """
    from mainstem.events.archive.restore import restore

    # the folder of the archive is two above that of the day
    manifest = manifest_of(archived.path.parents[1], archived.day)
    return await restore(connection, archived.path, manifest, event_table=event_table, batch_table=batch_table)
