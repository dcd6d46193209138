"""The programs in the guide on sending events run as they are printed, also when the server wants to be asked again."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2e_server import Server
from moody import Moody, relaying

GUIDE = (Path(__file__).parents[2] / "docs/guides/send-events.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.*?)```\n", GUIDE, re.DOTALL))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def moody(server: Server) -> Iterator[Moody]:
    with relaying(server.url) as relay:
        yield relay


@pytest.fixture
def run(key: str, tmp_path: Path) -> Run:
    """Return a function that runs a program of the guide against an address."""

    def start(interpreter: str, name: str, url: str, key: str = key) -> "subprocess.CompletedProcess[str]":
        path = tmp_path / name
        path.write_text(PROGRAMS[name], encoding="utf-8")
        environment = {**os.environ, "MAINSTEM_KEY": key, "MAINSTEM_URL": url}
        command = [interpreter, str(path)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)

    return start


def test_the_python_program_sends_until_everything_is_stored(run: Run, moody: Moody, client: httpx.Client) -> None:
    before = client.get("/api/v1/track/dashboard?limit=1").json()["summary"]
    done = run(sys.executable, "send_events.py", moody.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    client.post("/api/v1/track/process")
    after = client.get("/api/v1/track/dashboard?limit=1").json()["summary"]
    assert after["total_events"] - before["total_events"] == 2500
    # 2,500 events are three requests; the first one was sent four times, the same each time
    assert len(moody.bodies) == 6
    assert len(set(moody.bodies[:4])) == 1


def test_the_javascript_program_names_what_was_refused(run: Run, moody: Moody, node: str) -> None:
    done = run(node, "send_events.mjs", moody.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"refused: \S+ invalid_kind: kind must be .*\n", done.stdout)
    assert len(set(moody.bodies)) == 1


def test_a_wrong_key_ends_both_with_the_reason(run: Run, server: Server, node: str) -> None:
    for interpreter, name in ((sys.executable, "send_events.py"), (node, "send_events.mjs")):
        done = run(interpreter, name, server.url, "ms_live_wrong")
        assert done.returncode == 1
        assert "401 unauthorized: Invalid API token" in done.stderr
