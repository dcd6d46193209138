"""The lines of the guide to tasks, as they are printed, against a real server."""

import json
import re
import subprocess
import time
from pathlib import Path

import httpx
from e2e_server import Server

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/tasks.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\S+) -->\n```bash\n(.*?)```\n", GUIDE, re.DOTALL))


def test_the_lines_of_the_guide(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", MAINSTEM_PASSWORD="correct horse").start()
    try:
        for name in ("ana", "ben", "cai"):
            server.cli("user", "create", f"{name}@example.com", "--tenant", "default")
        key = server.key("default", "admin")
        setting = f"HUB={server.url} KEY={key} PASSWORD='correct horse'\n"
        token = run(setting + BLOCKS["sign-in.sh"] + '\necho; echo "\\"$TOKEN\\""')[-1]
        setting += f"TOKEN={token}\n"
        made, changed, listed, done = run(setting + BLOCKS["tasks.sh"])
        assert (made["id"], made["due_words"], changed["description"]) == (
            1,
            "tomorrow at 9am",
            "Ask for the vegan menu, too.",
        )
        assert ([one["id"] for one in listed["tasks"]], done["completed"]) == ([1], True)
        series, first = run(setting + BLOCKS["repeat.sh"])
        assert (series["due_date"], first["next_task"]["due_date"]) == (
            "2031-05-02T16:00:00.000000Z",
            "2031-05-09T16:00:00.000000Z",
        )
        *_, linked, history = run(setting + BLOCKS["together.sh"])
        assert linked["links"] == [{"type": "booking", "id": "tripleseat/1/4711"}]
        assert isinstance(history["items"], list)
        rule, _ = run(setting + BLOCKS["rule.sh"])
        assert rule["owner_id"] == made["user_id"]
        deadline = time.monotonic() + 60
        headers = {"Authorization": f"Bearer {token}"}
        while not (found := httpx.get(server.url + "/api/tasks?search=smith", headers=headers).json()["tasks"]):
            assert time.monotonic() < deadline
        assert found[0]["title"] == "Order of Smith wedding failed: UNMAPPED_ITEM"
        past = httpx.get(server.url + "/api/tasks/1/history", headers=headers).json()["items"]
        assert {"task.created", "task.commented", "task.linked"} <= {one["kind"] for one in past}
    finally:
        assert server.stop() == 0, "".join(server.output[-40:])


def run(block: str) -> list[dict]:
    """Return the answers of a block's lines."""
    lines = re.sub(r"^curl -s", "echo; curl -s -S -f", block, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-e", "-c", lines], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line]
