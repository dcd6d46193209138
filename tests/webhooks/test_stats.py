"""Percentiles read off buckets."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.webhooks.book import BUCKETS_MS
from mainstem.webhooks.stats import Figures, percentile, total

TIMES = st.lists(st.integers(0, 120_000), min_size=1, max_size=60)


def counted(times: list[int]) -> list[int]:
    counts = [0] * (len(BUCKETS_MS) + 1)
    for ms in times:
        counts[bisect_left(BUCKETS_MS, ms)] += 1
    return counts


@given(times=TIMES, share=st.floats(0.01, 1))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(times: list[int], share: float):
    exact = sorted(times)[max(0, -(-int(share * len(times) * 1_000) // 1_000) - 1)]
    found = percentile(counted(times), share, most=max(times))
    place = bisect_left(BUCKETS_MS, exact)
    low = BUCKETS_MS[place - 1] if place else 0
    high = BUCKETS_MS[place] if place < len(BUCKETS_MS) else max(times)
    # rounding may lead to the next value, which may lie in the next bucket
    ranked = sorted(times)
    after = ranked[min(ranked.index(exact) + 1, len(ranked) - 1)]
    assert min(low, max(times)) <= found <= max(high, after, max(times) if place == len(BUCKETS_MS) else 0)


@given(times=TIMES)
def test_percentiles_rise_and_end_at_the_largest(times: list[int]):
    found = [percentile(counted(times), share, most=max(times)) for share in (0.1, 0.5, 0.9, 0.99, 1)]
    assert found == sorted(found)
    assert found[-1] == max(times)


def test_figures_of_nothing_say_nothing():
    nothing = Figures()
    assert (nothing.avg_ms, nothing.success_rate_percent, nothing.percentile(0.5)) == (None, None, None)
    some = Figures(3, 1, 400, 200, counted([100, 100, 100, 100]))
    assert (total([nothing, some]).avg_ms, total([some, some]).attempts) == (100, 8)
    assert total([some]).success_rate_percent == pytest.approx(75)
