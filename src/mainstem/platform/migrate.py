"""Schema migrations: Alembic revisions that run plain SQL files.

Knowing whether the schema is current costs one query and imports neither Alembic nor SQLAlchemy, because every start
asks. Changing it takes an advisory lock, so that of several processes that start at once one migrates and the others
wait for it; each lock on a table is waited for at most ten seconds, so that a migration never stalls the traffic.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import URL

OLDEST_SERVER: Final = 15
_REVISION_FILE: Final = re.compile(r"(\d{4})_\w+\.py")
_LOCK_KEY: Final = 0x6D61696E  # "main": the same in every version, or old and new code would not see each other
_LOCK_TIMEOUT_MS: Final = 10_000
_CONNECT_TIMEOUT_S: Final = 10


class MigrationError(RuntimeError):
    """The schema can't be brought there; the text is one line for the operator."""


class UnreachableError(MigrationError):
    """The database can't be reached or doesn't let us in."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the schema stands: its revision (None when empty), the code's newest, and what lies between."""

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Tell whether nothing waits to be applied; a schema newer than the code counts as current."""
        return not self.pending


def head() -> str:
    """Return the newest revision that this code has."""
    return _revisions()[-1]


def current(dsn: str) -> str | None:
    """Return the revision of the database, None when it was never migrated.

    Raises UnreachableError, and MigrationError when the server is older than PostgreSQL 15.
    """
    with _connect(dsn) as connection:
        return _current(connection)


def status(dsn: str) -> Status:
    """Return where the schema stands. Raises as `current()`."""
    return _status(current(dsn))


def upgrade(dsn: str) -> Status:
    """Bring the database to the newest revision; returns where it stood before.

    Does nothing when it is there already or newer: code of version N-1 runs on the schema of version N. Raises as
    `current()`, and MigrationError when a table stays locked.
    """
    before = status(dsn)
    if before.is_current:
        return before
    with _only_one(dsn):
        if not status(dsn).is_current:
            _alembic("upgrade", dsn, "head")
    return before


def downgrade(dsn: str, revision: str) -> Status:
    """Take the database back to a revision (`-1` for one step, `base` for none); returns where it stood before."""
    with _only_one(dsn):
        before = status(dsn)
        _alembic("downgrade", dsn, revision)
    return before


def upgrade_sql(from_revision: str | None = None) -> str:
    """Return the SQL that `upgrade()` would run on a database at a revision (None: an empty one)."""
    return _alembic("upgrade", _NOWHERE, f"{from_revision}:head" if from_revision else "head", offline=True)


def downgrade_sql(from_revision: str, revision: str) -> str:
    """Return the SQL that `downgrade()` would run from one revision to another (`base` for none)."""
    return _alembic("downgrade", _NOWHERE, f"{from_revision}:{revision}", offline=True)


_NOWHERE: Final = "postgresql://"


def _revisions() -> list[str]:
    folder = files("mainstem.migrations").joinpath("versions")
    found = (_REVISION_FILE.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(match[1] for match in found if match)


def _status(at: str | None) -> Status:
    known = _revisions()
    return Status(at, known[-1], tuple(revision for revision in known if at is None or revision > at))


@contextmanager
def _connect(dsn: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        msg = f"the database can't be reached: {reason}"
        raise UnreachableError(msg) from error
    with connection:
        version = connection.info.server_version
        if version < OLDEST_SERVER * 10_000:
            msg = f"PostgreSQL {version // 10_000} is too old: {OLDEST_SERVER} or newer is needed"
            raise MigrationError(msg)
        yield connection


def _current(connection: "psycopg.Connection[tuple[object, ...]]") -> str | None:
    try:
        row = connection.execute("select version_num from public.schema_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row[0]) if row else None


@contextmanager
def _only_one(dsn: str) -> Iterator[None]:
    with _connect(dsn) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK_KEY,))
        yield


def _alembic(verb: str, dsn: str, revision: str, *, offline: bool = False) -> str:
    # both take a second to import, which only a changing schema is worth
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    config = _config(dsn)
    try:
        getattr(command, verb)(config, revision, sql=offline)
    except CommandError as error:
        msg = f"can't {verb} to {revision}: {error}"
        raise MigrationError(msg) from error
    except OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        msg = f"can't {verb} to {revision}: {reason}; nothing was changed, try again"
        raise MigrationError(msg) from error
    except psycopg.errors.LockNotAvailable as error:
        msg = f"can't {verb} to {revision}: a table stayed locked; nothing was changed, try again"
        raise MigrationError(msg) from error
    return config.output_buffer.getvalue() if isinstance(config.output_buffer, StringIO) else ""


def _config(dsn: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see _alembic

    config = Config(output_buffer=StringIO())
    config.set_main_option("script_location", str(Path(str(files("mainstem.migrations")))).replace("%", "%%"))
    config.attributes["url"] = _patient(sqlalchemy_url(dsn))
    return config


def sqlalchemy_url(dsn: str) -> "URL":
    """Return the SQLAlchemy form (psycopg driver) of a libpq URL."""
    from sqlalchemy import make_url  # noqa: PLC0415 - see _alembic

    return make_url(dsn).set(drivername="postgresql+psycopg")


def _patient(address: "URL") -> "URL":
    given = address.query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} -c lock_timeout={_LOCK_TIMEOUT_MS}".strip()
    return address.update_query_dict({"options": options})
