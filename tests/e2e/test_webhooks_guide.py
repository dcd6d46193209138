"""The lines of the deployment document, and those of the guide for operators, as they are printed: against a real server."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_server import Server

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/webhooks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: (\S+) -->\n```bash\n(.*?)```\n", GUIDE, re.DOTALL)
LIST = "curl http://localhost:8000/api/v1/webhooks"
CREATE = """curl -X POST http://localhost:8000/api/v1/webhooks \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "test-webhook",
    "url": "https://example.com/webhook",
    "is_active": true
  }'
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """Yield a server without a webhook."""
    running = Server(tmp_path / "data").start()
    yield running
    assert running.stop() == 0, "".join(running.output[-40:])


def test_the_lines_of_the_deployment_document(fresh: Server):
    key = fresh.key("default", "admin")

    def run(line: str) -> dict:
        there = line.replace("http://localhost:8000", fresh.url)
        keyed = there.replace("curl ", f'curl -s -H "Authorization: Bearer {key}" ', 1)
        done = subprocess.run(["bash", "-c", keyed], capture_output=True, text=True, check=True, timeout=30)
        return json.loads(done.stdout)

    empty = run(LIST)
    assert (empty["items"], empty["total"]) == ([], 0)
    made = run(CREATE)
    assert (made["id"], made["name"], made["is_active"]) == (1, "test-webhook", True)
    listed = run(LIST)
    assert ([one["id"] for one in listed["items"]], listed["total"]) == ([1], 1)


def test_the_lines_of_the_guide(fresh: Server):
    setting = f"HUB={fresh.url} KEY={fresh.key('default', 'admin')}\n"
    answers = {}
    for name, block in BLOCKS:
        script = setting + BLOCKS[0][1].split("curl")[0] + block.replace("curl -s", "echo; curl -s -S -f")
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        answers[name] = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert answers["make.sh"][0]["secret"].startswith("whsec_")
    assert answers["test.sh"][0]["delivery_id"] == 1
    shown, deliveries, attempts, stats = answers["look.sh"]
    assert (shown["total_deliveries"], deliveries["total_is_exact"]) == (1, True)
    assert (attempts["items"][0]["outcome"] != "delivered", stats["totals"]["attempts"]) == (True, 1)
    recovered, replayed, looked = answers["again.sh"]
    assert (recovered["mode"], replayed["mode"], looked["id"]) == ("failed", "missing", replayed["id"])
    assert answers["rotate.sh"][0]["rotating_until"] is not None
    off, on = answers["off.sh"]
    assert (off["is_active"], on["is_active"]) == (False, True)
