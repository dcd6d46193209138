"""Fixtures of the platform's tests."""

from collections.abc import AsyncIterator

import pytest
from peers import opened

from mainstem.platform.outbound import Outbound


@pytest.fixture
async def client() -> AsyncIterator[Outbound]:
    """Yield a client that may reach 127.0.0.1, and no other private address."""
    async with opened("127.0.0.1") as client:
        yield client
