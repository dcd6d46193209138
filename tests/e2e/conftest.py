"""One running product for the tests that only speak to it."""

from collections.abc import Iterator

import httpx
import pytest
from e2e_server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a running `mainstem up`, shared by all tests that don't harm it."""
    running = Server(tmp_path_factory.mktemp("up") / "data").start()
    yield running
    assert running.stop() == 0, "".join(running.output[-40:])


@pytest.fixture(scope="session")
def key(server: Server) -> str:
    """Return a key of a tenant of its own: `one_spa`, as in the deployment document."""
    server.cli("tenant", "create", "one_spa")
    return server.key("one_spa")


@pytest.fixture
def client(server: Server, key: str) -> Iterator[httpx.Client]:
    """Yield an HTTP client with the key of `one_spa`."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=15) as connection:
        yield connection


@pytest.fixture(scope="session")
def admin_key(server: Server) -> str:
    """Return a key of a tenant of its own that may do everything."""
    server.cli("tenant", "create", "fuzzed")
    return server.key("fuzzed", "admin")


@pytest.fixture(scope="session")
def revoked_key(server: Server) -> str:
    """Return a key of a tenant of its own that tests may revoke."""
    server.cli("tenant", "create", "revoked")
    return server.key("revoked", "admin")
