"""Fixtures: one PostgreSQL per test process, one migrated template, one cloned database per test."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import psycopg
import pytest
from clusters import FAST, DurableCluster, fast_place, private_folder
from hypothesis import settings

from mainstem.platform import migrate
from mainstem.platform.db import Pool, create_pool
from mainstem.platform.embedded import EmbeddedPostgres

# the same examples in every run, so that one says something of the change and not of its luck; new ones on request
settings.register_profile("same", derandomize=True)
settings.register_profile("explore")
settings.load_profile("same")

_TEMPLATE = "mainstem_template"
_numbers = count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Return the URL of the `postgres` database of a PostgreSQL that lives as long as the test process."""
    with (
        private_folder("ms-test-", fast_place()) as folder,
        EmbeddedPostgres(folder, options=FAST) as server,
    ):
        yield server.url("postgres")


def _database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)


def _make_template(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {_TEMPLATE}")
    migrate.upgrade(_database(url, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def template(cluster: str) -> str:
    """Return the name of a migrated database that tests clone."""
    return _make_template(cluster)


@pytest.fixture
def dsn(cluster: str, template: str) -> Iterator[str]:
    """Return the URL of a fresh migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
        yield _database(cluster, name)
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def empty_dsn(cluster: str) -> Iterator[str]:
    """Return the URL of a fresh database without any migration."""
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield _database(cluster, name)
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def _durable_server() -> Iterator[EmbeddedPostgres]:
    with private_folder("ms-durable-") as folder, EmbeddedPostgres(folder) as server:
        _make_template(server.url("postgres"))
        yield server


@pytest.fixture
def durable_cluster(_durable_server: EmbeddedPostgres) -> Iterator[DurableCluster]:
    """Yield a server with fsync on that the test may stop, start, restart and kill; its `dsn` is the test's own."""
    url = _durable_server.url("postgres")
    name = f"durable_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {_TEMPLATE}")
    yield DurableCluster(_durable_server, _database(url, name))
    if _durable_server.pid is None:
        _durable_server.start()
    with psycopg.connect(url, autocommit=True) as connection:
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


@pytest.fixture
def chromium() -> str:
    """Return the path of a Chromium; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (apt install chromium)")
    return found


@pytest.fixture
def node() -> str:
    """Return the path of Node.js; skips where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node.js on this machine (apt install nodejs)")
    return found


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return a folder of npm packages, installed from the lock file when they are not there; skips where that can't be."""
    folder = Path(__file__).parent / "node"
    npm = shutil.which("npm")
    modules = folder / "node_modules"
    if not (modules / "standardwebhooks").exists():
        if npm is None:
            pytest.skip("no npm on this machine (apt install npm)")
        done = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("npm can't fetch its packages here")
    return modules
