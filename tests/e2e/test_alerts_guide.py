"""The lines of the guide to alerts, as they are printed: against a real server and a real mail server."""

import json
import re
import subprocess
import time
from pathlib import Path

import httpx
from e2e_server import Server
from postbox import mailing

from mainstem.alerts.defaults import SHIPPED

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/alerts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: (\S+) -->\n```bash\n(.*?)```\n", GUIDE, re.DOTALL)


def test_the_lines_of_the_guide(tmp_path: Path) -> None:
    with mailing() as box:
        mail = {"SMTP_URL": box.url, "MAIL_FROM": "Mainstem <alerts@example.com>", "MAIL_TO": "ops@example.com"}
        server = Server(tmp_path / "data", **mail).start()
        try:
            answers = run(server)
            box.wait(1)
        finally:
            assert server.stop() == 0, "".join(server.output[-40:])
    assert len(answers["look.sh"][0]["items"]) == len(SHIPPED)
    (tried,) = answers["try.sh"]
    assert tried["receivers"] == ["ops@example.com"]
    assert box.subjects()[0].startswith("[TEST] ")
    metrics, rule = answers["rule.sh"]
    assert rule["metric"] in {one["name"] for one in metrics["items"]}
    sent, listed, known, over, figures = answers["send.sh"]
    assert [one["status"] for one in (sent, known, over)] == ["firing", "acknowledged", "resolved"]
    assert listed["items"] == [sent]
    assert (known["notes"], figures["acknowledged_alerts"]) == ("The new disk comes at noon. Ana", 1)
    silence, silences = answers["silence.sh"]
    assert silences["items"] == [silence]
    assert answers["hook.sh"][0]["envelope"] == "bare"


def run(server: Server) -> dict[str, list[dict]]:
    """Return the answers of each block; the shipped rules are waited for."""
    key = server.key("default", "admin")
    deadline = time.monotonic() + 30
    rules = server.url + "/api/v1/alerts/rules"
    while not httpx.get(rules, headers={"Authorization": f"Bearer {key}"}).json()["total"]:
        assert time.monotonic() < deadline
    setting = f"HUB={server.url} KEY={key}\n"
    answers = {}
    for name, block in BLOCKS:
        lines = re.sub(r"^curl -s", "echo; curl -s -S -f", block, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", setting + lines], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        answers[name] = [json.loads(line) for line in done.stdout.splitlines() if line]
    return answers


def test_the_table_of_rules_is_complete() -> None:
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \| (?:\d+ min|at once) \|$", GUIDE, re.MULTILINE) == [
        rule.name for rule in SHIPPED
    ]
