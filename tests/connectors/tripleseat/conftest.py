"""Fixtures of the tests of Tripleseat's client."""

from collections.abc import AsyncIterator

import pytest
from connectors.clients import reaching
from sandboxing import Town, sandboxing

from mainstem.platform.outbound import Outbound


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """Yield a sandbox with an empty calendar."""
    async with sandboxing() as town:
        await town.admin.post("/reset", json={"events": False})
        yield town


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """Yield a client that may reach loopback."""
    async with reaching() as outbound:
        yield outbound
