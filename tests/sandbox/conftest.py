"""A sandbox that serves on the test's own loop, and clients that speak to it over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sandboxing import Town, sandboxing


@pytest.fixture
async def box() -> AsyncIterator[Town]:
    """Yield a sandbox without webhooks and with an empty log."""
    async with sandboxing() as opened:
        yield opened


@pytest.fixture
async def tripleseat(box: Town) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of Tripleseat with a token."""
    async with box.tripleseat() as client:
        yield client


@pytest.fixture
async def revel(box: Town) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of Revel with its key."""
    async with box.revel() as client:
        yield client
