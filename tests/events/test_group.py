"""Calls in, batches out: nothing is lost, added, mixed or put out of order."""

import asyncio
from collections import deque

from events.landing import new_event
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.group import MAX_GROUP_BYTES, MAX_GROUP_EVENTS, Call, Receipt, cut, data_bytes, gather
from mainstem.events.model import NewEvent

_EVENTS = [new_event(tenant_id, data="{}" + " " * size) for tenant_id in (1, 2, 3) for size in (0, 7)]
Calls = st.lists(
    st.tuples(st.lists(st.sampled_from(_EVENTS), max_size=6), st.sampled_from(["http", "import"])),
    min_size=1,
    max_size=12,
)


def call(events: list[NewEvent], origin: str = "http", size: int | None = None) -> Call:
    done: asyncio.Future[Receipt] = asyncio.Future(loop=_LOOP)
    return Call(events, [], origin, data_bytes(events) if size is None else size, done)


_LOOP = asyncio.new_event_loop()
_LOOP.close()


@given(calls=Calls)
def test_every_batch_holds_one_tenants_events_of_one_origin_in_order(calls: list[tuple[list[NewEvent], str]]) -> None:
    gathered = gather([call(events, origin) for events, origin in calls])
    keys = [(batch.tenant_id, batch.origin) for batch in gathered.groups]
    assert len(keys) == len(set(keys))
    for batch in gathered.groups:
        expected = [
            event
            for events, origin in calls
            if origin == batch.origin
            for event in events
            if event.tenant_id == batch.tenant_id
        ]
        assert list(batch.events) == expected
        assert expected
    assert sum(len(batch.events) for batch in gathered.groups) == sum(len(events) for events, _ in calls)


@given(calls=Calls)
def test_each_receipt_names_the_batches_of_its_tenants_in_order(calls: list[tuple[list[NewEvent], str]]) -> None:
    gathered = gather([call(events, origin) for events, origin in calls])
    ids = list(range(100, 100 + len(gathered.groups)))
    id_of = {(batch.tenant_id, batch.origin): number for batch, number in zip(gathered.groups, ids, strict=True)}
    for receipt, (events, origin) in zip(gathered.receipts(ids), calls, strict=True):
        assert receipt == ("postgres", tuple(dict.fromkeys(id_of[event.tenant_id, origin] for event in events)))


@given(
    sizes=st.lists(
        st.tuples(st.integers(0, MAX_GROUP_EVENTS + 5), st.integers(0, MAX_GROUP_BYTES + 5)), min_size=1, max_size=20
    )
)
def test_cutting_keeps_order_takes_at_least_one_and_never_more_than_the_caps(sizes: list[tuple[int, int]]) -> None:
    waiting = deque(call(_Sized(events), size=size) for events, size in sizes)
    everything = list(waiting)
    taken: list[Call] = []
    while waiting:
        part = cut(waiting)
        assert part
        if len(part) > 1:
            assert sum(len(one.events) for one in part) <= MAX_GROUP_EVENTS
            assert sum(one.data_bytes for one in part) <= MAX_GROUP_BYTES
        if waiting:
            too_many = sum(len(one.events) for one in [*part, waiting[0]]) > MAX_GROUP_EVENTS
            too_large = sum(one.data_bytes for one in [*part, waiting[0]]) > MAX_GROUP_BYTES
            assert too_many or too_large
        taken += part
    assert all(one is other for one, other in zip(taken, everything, strict=True))


class _Sized(list[NewEvent]):
    """A list that only claims its length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def __len__(self) -> int:
        return self._length
