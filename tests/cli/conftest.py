"""Runs the command line inside the test process, as a person would call it."""

import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from mainstem.cli import main


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path) -> Cli:
    """Return a function that runs `mainstem ARGUMENTS` in an empty folder without any setting."""
    for name in (
        "DATABASE_URL",
        "SYSTEM_DATABASE_URL",
        "PGHOST",
        "MAINSTEM_DATA_DIR",
        "DATA_DIR",
        "ENVIRONMENT",
        "ENV",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def on_database(cli: Cli, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return `cli` with DATABASE_URL set to this test's own database."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    return cli
