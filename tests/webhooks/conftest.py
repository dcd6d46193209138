"""Fixtures of the tests of webhooks."""

import shutil
from collections.abc import AsyncIterator

import pytest
from webhooks.receiver import Receiver, receiving
from webhooks.verifiers import NodeVerifier, install_node_verifier


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a receiver on loopback."""
    async with receiving() as one:
        yield one


@pytest.fixture(scope="session")
def node_verifier(tmp_path_factory: pytest.TempPathFactory) -> NodeVerifier:
    """Return the npm package `standardwebhooks`; skips without Node.js, npm or a registry."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine (apt install nodejs)")
    return install_node_verifier(node, tmp_path_factory.mktemp("standardwebhooks"))
