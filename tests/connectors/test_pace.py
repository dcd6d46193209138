"""The bound on calls: no span holds more than it allows, however long calls travel, and nobody waits longer than he must."""

import asyncio
from random import Random

import pytest

from mainstem.connectors.pace import Pace


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("seed", range(5))
async def test_no_span_holds_more_arrivals_than_the_bound(seed):
    random, pace, most, per_s = Random(seed), Pace(4, per_s=0.05), 4, 0.05
    arrived: list[float] = []

    async def call() -> None:
        async with pace:
            await asyncio.sleep(random.random() * 0.02)
            arrived.append(now())
            await asyncio.sleep(random.random() * 0.02)

    await asyncio.gather(*(call() for _ in range(30)))
    arrived.sort()
    assert all(later - earlier >= per_s for earlier, later in zip(arrived, arrived[most:], strict=False))


async def test_the_first_go_at_once_and_in_the_order_of_asking():
    pace, order = Pace(2, per_s=0.03), []

    async def call(number: int) -> None:
        async with pace:
            order.append(number)

    started = now()
    await asyncio.gather(*(call(number) for number in range(7)))
    # two at a time; which of the two goes first means nothing
    assert [number // 2 for number in order] == [0, 0, 1, 1, 2, 2, 3]
    assert now() - started >= 3 * 0.03
    async with asyncio.timeout(5), pace:
        pass


async def test_who_asks_for_quiet_gets_it():
    pace = Pace(5)
    started = now()
    pace.hold(started + 0.1)
    async with pace:
        assert now() - started >= 0.1
    pace.hold(started)
    async with asyncio.timeout(5), pace:
        pass


async def test_quiet_that_is_asked_for_while_others_wait_holds_for_them():
    pace = Pace(1, per_s=0.05)
    async with pace:
        pass

    async def call() -> float:
        async with pace:
            return now()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    until = now() + 0.15
    pace.hold(until)
    assert await task >= until


async def test_who_is_called_off_gives_his_place_back():
    pace = Pace(1, per_s=30)
    async with pace:
        pass
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), pace:
            raise AssertionError
    assert pace._turns._value == 1
    assert len(pace._free_at) == 1
