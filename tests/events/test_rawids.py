"""Raw ids: unbroken ranges, never dealt twice, whatever the sizes and however many processes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.rawids import BLOCK, RawIds

Sizes = st.lists(st.tuples(st.integers(0, 2), st.integers(1, BLOCK)), max_size=60)


@given(takes=Sizes)
def test_ranges_of_several_processes_never_overlap_and_stay_in_their_block(takes: list[tuple[int, int]]) -> None:
    processes = [RawIds() for _ in range(3)]
    next_block = 1
    dealt: list[tuple[int, int]] = []
    for process, size in takes:
        first = processes[process].take(size)
        if first is None:
            processes[process].add_block(next_block)
            next_block += BLOCK
            first = processes[process].take(size)
        assert first is not None
        assert (first - 1) // BLOCK == (first + size - 2) // BLOCK
        dealt.append((first, first + size))
    dealt.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(dealt))


@given(sizes=st.lists(st.integers(1, 1_000), min_size=1, max_size=60))
def test_a_process_deals_a_block_without_gaps(sizes: list[int]) -> None:
    ids = RawIds()
    ids.add_block(1)
    expected = 1
    for size in sizes:
        first = ids.take(size)
        if first is None:
            assert expected - 1 + size > BLOCK
            return
        assert first == expected
        expected += size


@pytest.mark.parametrize("count", [0, -1, BLOCK + 1])
def test_a_range_that_no_block_holds_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 65536"):
        RawIds().take(count)


def test_a_new_process_needs_a_block_first() -> None:
    ids = RawIds()
    assert ids.take(1) is None
    ids.add_block(65_537)
    assert ids.take(BLOCK) == 65_537
    assert ids.take(1) is None
