"""The clients in the guide for click-through domains run as they are printed: nothing is lost, nothing is doubled."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from e2e_server import Server, free_port
from moody import LOSE_ANSWER, relaying

GUIDE = (Path(__file__).parents[2] / "docs/guides/click-through-domain.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.*?)```\n", GUIDE, re.DOTALL))
MOODS = (LOSE_ANSWER, 429, 503)
TELLS_AND_WAITS = {
    "told.py": """
import os, signal
from clicks import Clicks
clicks = Clicks(os.environ["MAINSTEM_URL"], os.environ["MAINSTEM_KEY"], every=60, grace=float(os.environ["GRACE"]))
for number in range(3):
    clicks.add(os.environ["LINK"])
print("waiting", flush=True)
signal.pause()
""",
    "told.mjs": """
import { writeFileSync } from 'node:fs'
import { Clicks } from './clicks.mjs'
const { MAINSTEM_URL: url, MAINSTEM_KEY: key, GRACE, LINK } = process.env
const keep = (left) => writeFileSync('clicks.backlog', left.map((click) => JSON.stringify(click) + '\\n').join(''))
const clicks = new Clicks({ url, key, keep, everyMs: 60_000, graceMs: GRACE * 1000 })
for (let number = 0; number < 3; number++) clicks.add(LINK)
console.log('waiting')
setInterval(() => {}, 60_000)
""",
}
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["py", "mjs"])
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def start(server: Server, language: str, tmp_path: Path, request: pytest.FixtureRequest) -> Start:
    """Return a function that starts a program of the guide, or one that uses it, against an address."""
    interpreter = sys.executable if language == "py" else request.getfixturevalue("node")
    for name, text in {**PROGRAMS, **TELLS_AND_WAITS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    key = server.key("default", "ingest")

    def run(name: str, url: str, **more: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "MAINSTEM_KEY": key, "MAINSTEM_URL": url, **more}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([interpreter, f"{name}.{language}"], env=environment, cwd=tmp_path, **pipes)

    return run


def counted(server: Server, tracking_id: str) -> int:
    """Return how many clicks of a link are in the vault."""
    with psycopg.connect(server.database_url()) as connection:
        connection.execute("select staging.auto_process_if_needed()")
        connection.commit()
        sql = "select count(*) from link_clicks where tracking_id = %s"
        return connection.execute(sql, [tracking_id]).fetchone()[0]


def test_a_client_sends_until_everything_is_stored_once(server: Server, start: Start):
    before = counted(server, "spring-menu")
    with relaying(server.url, *MOODS) as relay:
        out, err = (process := start("send_clicks", relay.url)).communicate(timeout=50)
    assert (process.returncode, out) == (0, "")
    assert re.fullmatch(r"refused: .* Invalid click_source \(must be string, max 50 chars\)\n", err)
    assert counted(server, "spring-menu") - before == 1200
    # the first request was stored, then sent three times more, the same each time
    assert len(set(relay.bodies[: len(MOODS) + 1])) == 1
    sent = [click["event_id"] for body in set(relay.bodies) for click in json.loads(body)["events"]]
    assert len(sent) == len(set(sent)) == 1201


def test_sigterm_sends_what_waits(server: Server, start: Start, language: str):
    process = start("told", server.url, LINK=f"sigterm-{language}", GRACE="20")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (143, "")
    assert counted(server, f"sigterm-{language}") == 3


def test_what_cannot_be_sent_is_kept(start: Start, tmp_path: Path, server: Server, language: str):
    link = f"kept-{language}"
    process = start("told", f"http://127.0.0.1:{free_port()}", LINK=link, GRACE="0")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    kept = [json.loads(line) for line in (tmp_path / "clicks.backlog").read_text(encoding="utf-8").splitlines()]
    assert [click["tracking_id"] for click in kept] == [link] * 3
    if language == "py":  # the client itself reads it
        process = start("send_clicks", server.url)
        process.communicate(timeout=30)
        assert counted(server, link) == 3
        assert not (tmp_path / "clicks.backlog").exists()


def test_a_wrong_key_loses_no_click(start: Start, tmp_path: Path, server: Server):
    process = start("told", server.url, MAINSTEM_KEY="wrong", LINK="wrong-key", GRACE="0")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert len((tmp_path / "clicks.backlog").read_text(encoding="utf-8").splitlines()) == 3
