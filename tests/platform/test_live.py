"""tell(): messages for watchers, by the transaction that makes the change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform import live
from mainstem.platform.db import Pool, transaction

_DATA = st.dictionaries(
    st.text(max_size=300) | st.sampled_from(["id", "uid", "alert_id", "webhook_id"]),
    st.integers(-(2**53), 2**53) | st.text(max_size=9_000) | st.booleans() | st.none(),
    max_size=60,
)


@pytest.fixture
async def heard(dsn: str) -> AsyncIterator["asyncio.Queue[str]"]:
    connection = await asyncpg.connect(dsn)
    queue: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(live.CHANNEL, lambda *call: queue.put_nowait(str(call[3])))
    yield queue
    await connection.close()


async def test_watchers_are_told_when_the_change_commits(api_pool: Pool, heard: "asyncio.Queue[str]"):
    with suppress(ZeroDivisionError):
        async with transaction(api_pool, tenant_id=1) as connection:
            await live.tell(connection, 1, "alert_new", {"alert_id": 1})
            raise ZeroDivisionError
    async with transaction(api_pool, tenant_id=1) as connection:
        await live.tell(connection, 1, "alert_new", {"alert_id": 2, "message": "höher"})
        assert heard.empty()
    async with asyncio.timeout(5):
        text = await heard.get()
    assert live.read(text) == live.Told(1, "alert_new", {"alert_id": 2, "message": "höher"})
    assert heard.empty()


async def test_data_that_is_too_long_is_cut_to_its_ids(connection: asyncpg.Connection, heard: "asyncio.Queue[str]"):
    await live.tell(connection, 7, "alert_changed", {"alert_id": 3, "webhook_id": None, "message": "ü" * 8_000})
    async with asyncio.timeout(5):
        text = await heard.get()
    assert live.read(text) == live.Told(7, "alert_changed", {"alert_id": 3, "webhook_id": None, "truncated": True})


def test_an_unknown_type_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="alert_old"):
        live.payload(1, "alert_old", {})


@pytest.mark.parametrize(
    "text",
    ["", "7", "{}", '{"tenant": "1", "type": "event", "data": {}}', '{"tenant": 1, "type": "else", "data": {}}'],
)
def test_a_signal_that_is_no_message_is_none(text: str):
    assert live.read(text) is None


@given(st.integers(1, 2**31 - 1), st.sampled_from(sorted(live.TYPES)), _DATA)
def test_every_message_fits_a_signal_and_keeps_its_tenant(tenant_id: int, type_: str, data: dict[str, object]):
    text = live.payload(tenant_id, type_, data)
    assert len(text.encode()) <= 7_900
    told = live.read(text)
    assert told is not None
    assert (told.tenant, told.type) == (tenant_id, type_)
    assert told.data == data or told.data["truncated"] is True
