"""The lines of the guide to the assistant, as they are printed, against a real server; and the documents' own smoke tests of chat."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import psycopg
from e2e_server import Server, cli

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/assistant.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: (\S+) -->\n```sh\n(.*?)```\n", GUIDE, re.DOTALL)
PASSWORD = "Correct-Horse-7"


def test_the_lines_of_the_guide_and_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    try:
        env = {**server.env, "MAINSTEM_PASSWORD": PASSWORD}
        create = ("user", "create", "--tenant", "default", "ann@example.org")
        cli(*create, data_dir=server.data_dir, env=env)
        answers = run(server)
        talked = answers["talk.sh"][0]
        assert talked["tool_calls"][0]["result"]["status"] == "created"
        tools, called = answers["tools.sh"]
        assert "add_task" in {one["name"] for one in tools["items"]}
        assert [one["title"].lower() for one in called["result"]] == ["buy groceries"]
    finally:
        assert server.stop() == 0, "".join(server.output[-40:])

    server = Server(tmp_path / "data").start()
    try:
        sign_in = {"email": "ann@example.org", "password": PASSWORD}
        signed_in = httpx.post(server.url + "/api/v1/auth/token", json=sign_in).json()
        headers = {"authorization": f"Bearer {signed_in['access_token']}"}
        mine = f"{server.url}/api/{signed_in['user']['id']}"
        (kept,) = httpx.get(mine + "/conversations", headers=headers).json()["conversations"]
        body = {"message": "What's pending?", "conversation_id": kept["id"]}
        answer = httpx.post(mine + "/chat", json=body, headers=headers, timeout=30).json()
        assert "groceries" in answer["response"].lower()
        assert answer["message_count"] == 4
        # the documents' statements name their tables without schema
        with psycopg.connect(cli("db", "url", data_dir=server.data_dir).strip()) as connection:
            assert connection.execute("SELECT COUNT(*) FROM conversations;").fetchone() == (1,)
            assert connection.execute("SELECT COUNT(*) FROM messages WHERE role <> 'tool'").fetchone() == (4,)
    finally:
        assert server.stop() == 0, "".join(server.output[-40:])


def run(server: Server) -> dict[str, list[dict]]:
    """Return the answers of each block; later ones know what earlier ones have set."""
    script = f"HUB={server.url} PASSWORD={PASSWORD}\n"
    answers = {}
    for name, block in BLOCKS:
        lines = re.sub(r"^curl -s", "echo; curl -s -S -f", block, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", script + lines], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        if name == "sign-in.sh":
            script += block
        answers[name] = [json.loads(line) for line in done.stdout.splitlines() if line]
    return answers
