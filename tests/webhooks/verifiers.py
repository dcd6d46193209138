"""Receivers' verification of deliveries by other people's code: the PyPI and the npm package `standardwebhooks`."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

_FOLDER = Path(__file__).parent / "node"
_FILES = ("package.json", "package-lock.json", "verify.js")


class Received(NamedTuple):
    """A delivery, as a receiver has it who knows one secret."""

    secret: str
    headers: Mapping[str, str]
    body: bytes


def python_accepts(received: Received) -> bool:
    """Tell whether the PyPI package takes a delivery for genuine."""
    try:
        Webhook(received.secret).verify(received.body, dict(received.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        # a body that is no UTF-8 or a malformed entry is a ValueError there
        return False
    return True


class NodeVerifier:
    """The npm package, installed in a folder."""

    def __init__(self, node: str, folder: Path) -> None:
        self._node = node
        self._folder = folder

    def reasons(self, deliveries: Iterable[Received]) -> list[str]:
        """Return `ok` for each delivery that it takes for genuine, and the reason for each other."""
        lines = [
            json.dumps({**one._asdict(), "headers": dict(one.headers), "body": base64.b64encode(one.body).decode()})
            for one in deliveries
        ]
        ran = subprocess.run(
            [self._node, "verify.js"],
            cwd=self._folder,
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
        found = ran.stdout.splitlines()
        assert len(found) == len(lines), ran.stderr
        return found

    def accepts(self, deliveries: Iterable[Received]) -> list[bool]:
        return [reason == "ok" for reason in self.reasons(deliveries)]


def install_node_verifier(node: str, folder: Path) -> NodeVerifier:
    """Install the pinned npm package into a folder; skips the test where there is no npm or no registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine (apt install npm)")
    for name in _FILES:
        shutil.copy(_FOLDER / name, folder)
    install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=40, check=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm can't install standardwebhooks here: {error.stderr.strip()[-300:]}")
    except subprocess.TimeoutExpired:
        pytest.skip("npm can't install standardwebhooks here: no answer from the registry")
    return NodeVerifier(node, folder)
