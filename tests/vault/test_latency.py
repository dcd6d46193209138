"""Latency histograms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.vault import latency


@pytest.mark.parametrize(
    ("milliseconds", "bound"), [(-5, 1), (0, 1), (1, 1), (1.01, 2), (60_000, 60_000), (60_001, float("inf"))]
)
def test_a_latency_counts_in_the_first_bucket_that_holds_it(milliseconds, bound):
    assert latency.BUCKETS_MS[latency.bucket(milliseconds)] == bound


def test_no_counts_have_no_percentile():
    assert latency.percentile(latency.empty(), 0.5) is None


def test_a_fraction_is_from_0_to_1():
    with pytest.raises(ValueError, match="fraction"):
        latency.percentile(latency.empty(), 50)


samples = st.lists(st.floats(0, 59_999), min_size=1, max_size=200)


@given(samples, st.floats(0, 1))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values, fraction):
    counts = latency.empty()
    for value in values:
        counts[latency.bucket(value)] += 1
    true = sorted(values)[max(0, -int(-fraction * len(values) // 1) - 1)]
    number = latency.bucket(true)
    lower = latency.BUCKETS_MS[number - 1] if number else 0
    estimate = latency.percentile(counts, fraction)
    assert estimate is not None
    assert lower <= estimate <= latency.BUCKETS_MS[number]


@given(samples, st.floats(0, 1), st.floats(0, 1))
def test_percentiles_never_fall(values, one, other):
    counts = latency.empty()
    for value in values:
        counts[latency.bucket(value)] += 1
    low, high = sorted((one, other))
    assert (latency.percentile(counts, low) or 0) <= (latency.percentile(counts, high) or 0) + 1e-9
