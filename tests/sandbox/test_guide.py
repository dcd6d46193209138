"""The commands of the guide do what it says, as they are printed."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from sandboxing import running

from mainstem.sandbox.config import Config
from mainstem.sandbox.faults import Kind

GUIDE = (Path(__file__).parents[2] / "docs/guides/sandbox.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"<!-- run: (\S+) -->\n```sh\n(.*?)```\n", GUIDE, re.DOTALL))


def test_the_commands_run_as_printed(tmp_path: Path):
    with running("--json") as process:
        url = json.loads(process.stdout.readline())["SANDBOX_URL"]

        def run(name: str) -> list[str]:
            script = COMMANDS[name].replace("http://127.0.0.1:8900", url)
            # each answer on a line of its own
            done = subprocess.run(
                ["sh", "-ec", script.replace("curl -s", "curl -sS -w '\\n'")],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                timeout=30,
                check=True,
            )
            return done.stdout.splitlines()

        run("mapping")
        assert (tmp_path / "items.csv").read_text().startswith("item,product,product_name\n")
        booked = json.loads(run("book")[0])
        assert (booked["name"], booked["event"]["guest_count"]) == ("Gala", 40)
        assert json.loads(run("orders")[0]) == {"orders": [], "total": 0}
        changed, deleted = map(json.loads, run("change"))
        assert changed["id"] == booked["id"]
        assert [item["product_name"] for item in changed["items"]] == ["Lemon Tart"]
        assert deleted["event"]["deleted_at"]
        fault, _ = map(json.loads, run("fault"))
        assert (fault["kind"], fault["count"]) == ("timeout_after_commit", 1)


def test_the_first_command_is_ours():
    assert COMMANDS["start"].startswith("mainstem sandbox --port 8900")


@pytest.mark.parametrize("word", [*Kind, *Config.model_fields])
def test_every_fault_and_every_habit_is_in_the_guide(word: str):
    assert f"`{word}`" in GUIDE
