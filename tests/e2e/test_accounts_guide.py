"""The lines of the guide to accounts, as they are printed: against a real server and a real mail server."""

import json
import re
import subprocess
from pathlib import Path

from e2e_server import Server
from postbox import mailing

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/accounts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: (\S+) -->\n```bash\n(.*?)```\n", GUIDE, re.DOTALL)


def test_the_lines_of_the_guide(tmp_path: Path) -> None:
    with mailing() as box:
        mail = {"SMTP_URL": box.url, "MAIL_FROM": "Mainstem <hub@example.com>", "PUBLIC_URL": "https://hub.example"}
        server = Server(tmp_path / "data", **mail).start()
        try:
            answers = run(server)
            box.wait(5)
        finally:
            assert server.stop() == 0, "".join(server.output[-40:])
    signed_up = answers["sign-up.sh"][0]
    assert (signed_up["user"]["email"], signed_up["user"]["role"]) == ("ada@example.com", "guest")
    assert answers["sign-in.sh"][-1]["user"] == signed_up["user"]
    sessions, ended = answers["sessions.sh"]
    assert (sessions["total"], ended) == (2, {"ended": 1})
    made, listed = answers["keys.sh"]
    assert listed["items"] == [{name: value for name, value in made.items() if name != "key"}]
    forgot, verify = answers["passwords.sh"]
    assert forgot == verify
    invited, invitations = answers["invite.sh"]
    assert invitations["items"] == [invited]
    assert sorted(box.subjects()) == [
        "Choose a new password",
        "Confirm your e-mail address",
        "Confirm your e-mail address",
        "You were invited to Default",
        "Your password was changed",
    ]
    texts = [message.get_content() for _, message in box.mails]
    assert all("https://hub.example/api/auth/" in text for text in texts)


def run(server: Server) -> dict[str, list[dict]]:
    """Return the answers of each block; all run in one shell, as a reader would."""
    script = f"HUB={server.url} KEY={server.key('default', 'admin')}\n"
    for name, block in BLOCKS:
        lines = re.sub(r"\bcurl -s", "curl -s -S -f", block)
        lines = re.sub(r"^curl", "echo; curl", lines, flags=re.MULTILINE)
        script += f"echo; echo '== {name}'\n{lines}"
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    answers: dict[str, list[dict]] = {}
    current: list[dict] = []
    for line in done.stdout.splitlines():
        if line.startswith("== "):
            current = answers.setdefault(line.removeprefix("== "), [])
        elif line:
            current.append(json.loads(line))
    return answers
