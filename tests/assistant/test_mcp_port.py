"""MCP on a port of its own, of the product as people run it, which is killed between two requests."""

import json

import httpx
import pytest
from e2e_server import Server, free_port

pytestmark = pytest.mark.timeout(180)


def call(url: str, token: str, method: str, **params: object) -> dict[str, object]:
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = httpx.post(url, json=body, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_it_is_open_closed_to_all_else_and_outlives_its_process(tmp_path) -> None:
    port = free_port()
    server = Server(tmp_path / "data", MCP_SERVER_PORT=str(port)).start()
    try:
        url = f"http://127.0.0.1:{port}"
        person = {"email": "ann@example.org", "password": "Correct-Horse-7"}
        server.env["MAINSTEM_PASSWORD"] = person["password"]
        server.cli("user", "create", person["email"], "--tenant", "default")
        token = httpx.post(f"{server.url}/api/v1/auth/token", json=person, timeout=20).json()["access_token"]

        assert len(call(f"{url}/mcp", token, "tools/list")["tools"]) == 10
        added = call(f"{url}/mcp", token, "tools/call", name="add_task", arguments={"title": "Buy milk"})
        assert added["structuredContent"]["task_id"] == 1
        for path in ("/", "/health", "/api/v1/tools", "/docs"):
            answer = httpx.get(url + path, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        document = httpx.get(f"{url}/.well-known/oauth-protected-resource/mcp").json()
        assert document["resource"] == f"{url}/mcp"
        assert document["authorization_servers"] == [server.url]
        asked = call(f"{url}/mcp", token, "tools/call", name="delete_task", arguments={"task_id": 1})
        approval = {"confirm": True, "approval_id": asked["_meta"]["mainstem/approval"]["approval_id"]}

        server.kill()
        server.start()
        gone = call(f"{server.url}/mcp", token, "tools/call", name="delete_task", arguments={"task_id": 1, **approval})
        assert gone["structuredContent"]["status"] == "deleted"
        assert call(f"{url}/mcp", token, "tools/call", name="list_tasks")["structuredContent"] == {"result": []}
        # two lines for people, and none has the credential
        assert any("MCP" in line and "/mcp" in line for line in server.output)
        assert token not in "".join(server.output)
        lines = [json.loads(line) for line in server.output if line.startswith("{")]
        assert any(line.get("path") == "/mcp" for line in lines)
    finally:
        assert server.stop() == 0, "".join(server.output[-40:])
