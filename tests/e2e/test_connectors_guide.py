"""The lines of the guide to connectors, as they are printed: a real hub between the stand-ins of the sandbox."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from e2e_server import Server, free_port
from sandboxing import Town, sandboxing

from mainstem.connectors.gate import Closed
from mainstem.connectors.plan import Reason
from mainstem.connectors.ports import State
from mainstem.connectors.reconcile import Kind

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/connectors.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\S+) -->\n```bash\n(.*?)```\n", GUIDE, re.DOTALL))


async def test_the_lines_of_the_guide(tmp_path: Path) -> None:
    port = free_port()
    async with sandboxing(target=f"http://127.0.0.1:{port}/webhooks/tripleseat") as town:
        await town.admin.post("/reset", json={"events": False})
        # the guide maps the items itself
        del town.settings["CONNECTOR_MAPPING"]
        server = Server(tmp_path / "data", port=port, **town.settings)
        await asyncio.to_thread(server.start)
        try:
            await town.book(guest_count=40, items=[{"name": "Lemon Tart", "quantity": 12}])
            await town.webhooks()

            def run(name: str) -> str:
                return lines(BLOCKS[name], tmp_path, town.settings)

            assert "tripleseat" in await asyncio.to_thread(run, "look")
            told = await asyncio.to_thread(run, "mapping")
            assert "UNMAPPED_ITEM" in told, told
            assert re.search(r"Lemon Tart +1 +\d+ +Lemon Tart", told), told
            assert (tmp_path / "items.csv").read_text().splitlines()[1].startswith("Lemon Tart,")
            await asyncio.to_thread(run, "import")
            await ordered(town)
            await asyncio.to_thread(run, "dry")
            rows = await asyncio.to_thread(run, "vault")
            assert re.search(r"DEFINITE +\| +40 ", rows), rows
            assert re.search(r"Triple Seat_\d+ \| injected", rows), rows
        finally:
            await asyncio.to_thread(server.stop)


async def ordered(town: Town) -> None:
    """Return when an order has reached the point of sale."""
    async with asyncio.timeout(30):
        while True:
            if await town.orders():
                return
            await asyncio.sleep(0.1)


def lines(block: str, folder: Path, settings: dict[str, str]) -> str:
    """Return what a block prints; commands whose exit code tells of a finding go on."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", block],
        cwd=folder,
        env={**os.environ, **settings, "PATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "warning:" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_states_reasons_and_kinds_are_all_in_the_guide() -> None:
    told = set(re.findall(r"[A-Za-z_]+", GUIDE))
    assert {str(word) for word in (*State, *Kind, *Reason)} - told == set()
    assert [one.value for one in Closed if one.value not in GUIDE] == []
