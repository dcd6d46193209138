"""Figures: what is counted shows up, labels stay bounded, workers add up."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from mainstem.platform import metrics


def _value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_verb_moves_its_figure() -> None:
    before = {name: _value(name) for name in ("mainstem_intake_groups_total", "mainstem_loader_batches_total")}
    loaded = _value("mainstem_loader_events_total", outcome="loaded")
    spooled = _value("mainstem_intake_events_total", durable="spool")
    metrics.intake_commit(500, 0.004)
    metrics.intake_spooled(7)
    metrics.spool_depth(7)
    metrics.intake_refused()
    metrics.load(batches=2, loaded=490, duplicates=9, rejected=1, seconds=0.02)
    metrics.loader_lag(0.031)
    metrics.rate_limited("ingest")
    metrics.auth_failed("revoked")
    assert {name: _value(name) - value for name, value in before.items()} == {
        "mainstem_intake_groups_total": 1,
        "mainstem_loader_batches_total": 2,
    }
    assert _value("mainstem_loader_events_total", outcome="loaded") - loaded == 490
    assert _value("mainstem_intake_events_total", durable="spool") - spooled == 7
    assert _value("mainstem_spool_events") == 7
    assert _value("mainstem_loader_lag_seconds") == pytest.approx(0.031)
    assert _value("mainstem_auth_failures_total", reason="revoked") >= 1


def test_an_invented_method_makes_no_new_series() -> None:
    for number in range(50):
        metrics.http_request(f"M{number}", "/x", 405, 0.001)
    assert _value("mainstem_http_requests_total", method="OTHER", route="/x", status="405") == 50
    assert "M49" not in metrics.render()[0].decode()


async def test_the_route_answers_in_prometheus_text() -> None:
    app = FastAPI()
    app.include_router(metrics.router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE mainstem_http_requests_total counter" in answer.text
    assert "process_resident_memory_bytes" in answer.text


_WORKER = """
import os, sys
from mainstem.platform import metrics
metrics.http_request("GET", "/x", 200, 0.01)
metrics.spool_depth(int(sys.argv[1]))
if sys.argv[2] == "show":
    sys.stdout.write(metrics.render()[0].decode())
elif sys.argv[2] == "end":
    metrics.forget_process(os.getpid())
"""


def _worker(folder: Path, depth: int, act: str) -> str:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", _WORKER, str(depth), act]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=30).stdout


def test_any_worker_tells_the_figures_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"left over from the last run")
    metrics.share_between_processes(folder)
    assert list(folder.iterdir()) == []
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)
    _worker(folder, 3, "stay")
    _worker(folder, 100, "end")
    text = _worker(folder, 4, "show")
    assert 'mainstem_http_requests_total{method="GET",route="/x",status="200"} 3.0' in text
    assert "mainstem_spool_events 7.0" in text
