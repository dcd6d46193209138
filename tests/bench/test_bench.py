"""The bench runs on tiny sizes and its figures make sense; how fast anything is, is not tested."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import report
from bench.bench import Bench, Sizes
from bench.cluster import cluster
from bench.figure import Bar, Figure, compared
from bench.load_generator import Plan, generate, request
from bench.process import server
from bench.scenarios import batch, live, load
from bench.stats import median, percentile
from bench.traffic import Traffic

TINY = Sizes(
    batch_events=2_000,
    single_requests=200,
    backlog_events=2_000,
    track_requests=20,
    query_requests=5,
    idle_s=0.1,
    startups=1,
    links=50,
    visits=200,
    deliveries=50,
    backlog_deliveries=100,
    live_clients=20,
    live_events=5,
    bookings=5,
    messages=6,
)


def test_percentiles_are_nearest_ranks() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, fraction) for fraction in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert median([3.0, 1.0, 2.0]) == 2
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


@pytest.mark.parametrize(
    ("sense", "value", "met"), [("≥", 0.6, True), ("≥", 0.59, False), ("≤", 0.6, True), ("≤", 0.61, False)]
)
def test_a_bar_is_met_from_its_own_value_on(sense, value, met) -> None:
    assert Bar(sense=sense, value=0.6).met_by(value) is met


def test_a_ratio_is_taken_within_each_run() -> None:
    figure = compared("x", [10, 30, 10], [20, 40, 100], unit="events/s", bar=Bar(sense="≥", value=0.5))
    assert figure.ratios == (0.5, 0.75, 0.1)
    assert figure.ratio == 0.5
    assert figure.met is True


def test_a_load_rate_counts_from_the_first_commit_to_the_last() -> None:
    loads = [(10.0, 100), (11.0, 300), (13.0, 400)]
    assert load.rate(loads, 0, 400) == 100
    assert load.rate(loads, 300, 400) == 50


def test_traffic_is_the_same_for_the_same_seed_and_never_repeats_a_moment() -> None:
    def stream(seed: int) -> list[dict[str, object]]:
        traffic = Traffic(seed, start=datetime(2026, 1, 1, tzinfo=UTC), step=timedelta(milliseconds=20))
        return [json.loads(text) for text in traffic.events(500)]

    events = stream(1)
    assert events == stream(1)
    assert events != stream(2)
    assert len({event["timestamp"] for event in events}) == 500
    assert len({event["visitor_id"] for event in events}) > 300
    assert len({event["user_agent"] for event in events}) > 50


def test_the_page_shows_each_figure_with_its_bar(tmp_path) -> None:
    figures = [
        Figure(name="a", runs=(1.0, 3.0, 2.0), unit="ms", bar=Bar(sense="≤", value=2, unit="ms")),
        Figure(name="b", runs=(1_234.0,), unit="events/s"),
    ]
    report.write_page(tmp_path / "R.md", figures, {"processor": "one"}, date="2026-01-01", command="bench")
    page = (tmp_path / "R.md").read_text()
    assert "| a | 2 ms | 1 to 3 |  | ≤ 2 ms | yes |" in page
    assert "| b | 1,234 events/s | 1,234 to 1,234 |  |  |  |" in page
    assert "- processor: one" in page


@pytest.mark.timeout(120)
def test_the_scenarios_run_against_real_servers() -> None:
    with cluster(None) as found:
        bench = Bench(cluster=found, runs=1, sizes=TINY, quiet=True)
        text, binary, barred, *others = batch.run(bench)
        assert len(text.runs) == len(binary.runs) == 3
        assert all(figure.value > 0 for figure in (barred, *others))
        assert barred.bar is not None
        assert barred.ratio == pytest.approx(barred.value / text.runs[0])
        load.run(bench)
        assert found.number("select sum(loaded) from business.pipeline_total") == TINY.backlog_events
        half, slowest, memory = live.run(bench)
        assert 0 < half.value <= slowest.value
        assert memory.value > 0
        with server(found, "bare") as bare:
            requests = [request("POST", "/", body=b"{}")]
            paced = generate(Plan(port=bare.port, requests=requests, total=50, connections=4, rate=500.0))
        assert paced.statuses == {200: 50}
        assert paced.seconds >= 49 / 500, "the last one was due after 49 of 50 steps"
