"""What an error means to the person at the command line: one line and an exit code."""

import socket
from enum import IntEnum
from typing import NamedTuple

_CONNECTION_STATES = ("08", "28", "3D", "53", "57P")
_UNDEFINED_STATES = ("3F000", "42P01", "42703", "42883")


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DATABASE = 3


class CliError(Exception):
    """A command can't go on; the text is one line for the operator."""

    def __init__(self, line: str, code: ExitCode = ExitCode.FAILED) -> None:
        """Keep the line and the exit code."""
        super().__init__(line)
        self.code = code


class Failure(NamedTuple):
    """One line for standard error, and the exit code."""

    line: str
    code: ExitCode


def explain(error: BaseException) -> Failure | None:
    """Return what to say about an error that a command may meet; None for a fault of the program."""
    from mainstem.events.archive.errors import ArchiveError
    from mainstem.platform.embedded import AlreadyServedError, EmbeddedPostgresError
    from mainstem.platform.errors import MainstemError, UnavailableError
    from mainstem.platform.migrate import MigrationError, UnreachableError
    from mainstem.platform.secrets import SecretError
    from mainstem.platform.settings import SettingsError

    line = " ".join(str(error).split())
    match error:
        case CliError():
            return Failure(line, error.code)
        case SettingsError() | SecretError():
            return Failure(line, ExitCode.USAGE)
        case ArchiveError():
            return Failure(line, ExitCode.FAILED)
        case MigrationError() | EmbeddedPostgresError() | MainstemError():
            away = isinstance(error, UnreachableError | EmbeddedPostgresError | UnavailableError)
            database = away and not isinstance(error, AlreadyServedError)
            return Failure(line, ExitCode.DATABASE if database else ExitCode.FAILED)
        case _:
            return _of_the_database(error, line) or _of_the_system(error)


def _of_the_database(error: BaseException, line: str) -> Failure | None:
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        if state in _UNDEFINED_STATES:
            return Failure(f"the schema is not up to date ({line}): run mainstem migrate up", ExitCode.FAILED)
        code = ExitCode.DATABASE if state.startswith(_CONNECTION_STATES) else ExitCode.FAILED
        return Failure(f"the database says: {line}", code)
    if isinstance(error, asyncpg.InterfaceError | ConnectionError | TimeoutError | socket.gaierror):
        return Failure(f"the database can't be reached: {line or type(error).__name__}", ExitCode.DATABASE)
    return None


def _of_the_system(error: BaseException) -> Failure | None:
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return Failure(f"{name}{error.strerror}", ExitCode.FAILED)
    return None
