"""The programs in the guide on watching live run as they are printed, against the whole product."""

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from browser import headless_chromium
from collector import Collector
from e2e_server import Server
from watching import Watcher
from websockets.asyncio.client import connect

from mainstem.alerts import store
from mainstem.alerts.labels import fingerprint
from mainstem.alerts.model import Route
from mainstem.platform.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs/guides/live.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.*?)```\n", GUIDE, re.DOTALL))


class Printed:
    """What a program prints, line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def until(self, start: str) -> str:
        """Return the next line that begins like this."""
        while not (line := self._lines.get(timeout=20)).startswith(start):
            pass
        return line


@contextmanager
def watching(tmp_path: Path, url: str, key: str) -> Iterator[Printed]:
    """Yield the guide's Python program while it runs."""
    path = tmp_path / "watch.py"
    path.write_text(PROGRAMS["watch.py"], encoding="utf-8")
    environment = {**os.environ, "MAINSTEM_KEY": key, "MAINSTEM_URL": url}
    command = [sys.executable, str(path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield Printed(process)
        process.kill()


def send(client: httpx.Client, message_id: str) -> None:
    body = {"kind": "order.paid", "message_id": message_id, "data": {"total": 12, "email": "ana@harbour.example"}}
    assert client.post("/api/v1/events", json=body).status_code == 202


def test_the_python_program_shows_what_happens(server: Server, client: httpx.Client, key: str, tmp_path: Path):
    with watching(tmp_path, server.url, key) as printed:
        printed.until("watching")
        send(client, "live-1")
        line = printed.until("order.paid live-1")
        assert "'total': 12" in line
        # personal data is sealed, as it is kept
        assert "ana@" not in line
    with watching(tmp_path, server.url, key) as printed:
        assert printed.until("before: order.paid live-1")


def test_the_python_program_ends_with_the_reason_for_a_wrong_key(server: Server, tmp_path: Path):
    with watching(tmp_path, server.url, "ms_live_wrong") as printed:
        assert printed.process.wait(20) == 1
        assert printed.process.stderr.read() == "Invalid API token\n"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a headless Chromium."""
    with headless_chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def watch_in(browser: Any, token: str) -> None:
    browser.execute_script(
        PROGRAMS["watch.js"] + "window.seen = []; watch(arguments[0], ['events'], m => seen.push(m))", token
    )


def seen(browser: Any, condition: str) -> dict[str, Any]:
    """Return the first message in the page that meets a condition."""
    return browser.execute_async_script(
        "const done = arguments[0]; const look = () => {"
        f" const found = seen.find(m => {condition}); found ? done(found) : setTimeout(look, 20); }}; look();"
    )


def test_the_javascript_shows_what_happens_in_a_page(browser: Any, server: Server, client: httpx.Client, key: str):
    browser.set_script_timeout(20)
    browser.get(server.url + "/docs")
    watch_in(browser, key)
    assert seen(browser, "m.type == 'subscription_confirmed'")["types"] == ["events"]
    send(client, "live-2")
    assert seen(browser, "m.type == 'event' && m.data.event_id == 'live-2'")["data"]["kind"] == "order.paid"


def test_the_javascript_says_that_a_token_is_wrong(browser: Any, server: Server):
    browser.set_script_timeout(20)
    browser.get(server.url + "/docs")
    watch_in(browser, "ms_live_wrong")
    assert seen(browser, "m.type == 'closed'")["reason"] == "Invalid API token"


def test_a_page_of_elsewhere_gets_nothing(browser: Any, server: Server, key: str):
    browser.set_script_timeout(20)
    pages = Collector(Settings())
    try:
        pages.pages["/"] = "<title>elsewhere</title>"
        browser.get(pages.site + "/")
        browser.execute_script(
            PROGRAMS["watch.js"].replace("location.origin", f"'{server.url}'")
            + "window.seen = []; watch(arguments[0], ['events'], m => seen.push(m))",
            key,
        )
        assert seen(browser, "true") == {"type": "closed", "reason": "Pages of this origin may not connect."}
    finally:
        pages.close()


def occurrence() -> store.Occurrence:
    labels = {"alertname": "DiskFull"}
    return store.Occurrence(
        source="api",
        fingerprint=fingerprint("api", labels),
        alert_type="DiskFull",
        severity="CRITICAL",
        message="95 % in use",
        labels=labels,
        started_at=datetime.now(UTC),
        route=Route(),
    )


async def test_alerts_are_shown_as_they_are_raised_and_while_they_are_open(server: Server, key: str):
    address = server.url.replace("http", "ws") + "/api/v1/ws/alerts"
    headers = {"Authorization": f"Bearer {key}"}
    connection = await asyncpg.connect(server.database_url())
    try:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'one_spa'")
        async with connect(address, additional_headers=headers) as socket:
            watcher = Watcher(socket)
            assert (await watcher.next())["snapshot"] == {"alerts": []}
            async with connection.transaction():
                (raised,) = await store.raise_all(connection, tenant_id, [occurrence()], datetime.now(UTC))
            alert = (await watcher.next("alert_new"))["data"]
            assert (alert["alert_id"], alert["alert_type"], alert["severity"]) == (
                raised.alert_id,
                "DiskFull",
                "CRITICAL",
            )
        async with connect(address, additional_headers=headers) as socket:
            assert (await Watcher(socket).next())["snapshot"] == {"alerts": [alert]}
    finally:
        await connection.close()
