"""The door of MCP: credentials, audience, scopes, hosts, limits, documents; a database that is away; the port of its own."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import jwt
import mcp_types as types
import pytest
from assistant.mcp_hub import HANDSHAKE, MODERN, PASSWORD, mcp_hub, person, with_key
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError

from mainstem.assistant.mcp import port
from mainstem.assistant.mcp.audience import meant_for
from mainstem.assistant.mcp.discovery import base_url, challenge
from mainstem.assistant.mcp.hosts import Host, host_allowed, origin_allowed, parse_host
from mainstem.platform.keys import create_key
from mainstem.platform.settings import Settings

METADATA = "/.well-known/oauth-protected-resource"
SECRET = "better-auth-secret-with-enough-bytes!"


async def test_who_may_come_in(dsn, tmp_path, connection) -> None:
    async with mcp_hub(dsn, tmp_path) as hub:
        document = f'resource_metadata="{hub.url}{METADATA}/mcp"'

        async def refused(headers: dict[str, str], status: int, code: str) -> httpx.Response:
            answer = await hub.post(headers)
            assert answer.status_code == status, answer.text
            error = answer.json()["error"]
            assert (answer.json()["jsonrpc"], answer.json()["id"], error["data"]["code"]) == ("2.0", None, code)
            assert error["data"]["request_id"] == answer.headers["x-request-id"]
            return answer

        answer = await refused({}, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith('Bearer scope="tasks read')
        assert document in answer.headers["www-authenticate"]
        for wrong in ("Bearer ms_sk_nothing", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi"):
            answer = await refused({"authorization": wrong}, 401, "unauthorized")
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert document in answer.headers["www-authenticate"]

        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        public = await create_key(
            connection, tenant_id, scopes=["ingest"], kind="public", allowed_origins=["https://shop.example"]
        )
        for key in (await with_key(connection, "ingest"), {"authorization": f"Bearer {public.key}"}):
            answer = await refused(key, 403, "forbidden")
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
            assert "public, max-age" not in answer.headers.get("cache-control", "")
        reader = await with_key(connection, "read")
        for headers in (reader, await with_key(connection, "tasks"), await with_key(connection, "admin")):
            answer = await hub.post(headers)
            assert answer.status_code == 200
            assert int(answer.headers["ratelimit-remaining"]) < 100_000
        assert (await hub.post({"x-api-key": reader["authorization"][7:]})).status_code == 200
        await refused({**reader, "x-customer-id": "another"}, 403, "forbidden")

        await refused({**reader, "host": "evil.example"}, 421, "wrong_host")
        await refused({**reader, "origin": "https://evil.example"}, 403, "forbidden")
        await refused({**reader, "origin": "null"}, 403, "forbidden")
        assert (await hub.post({**reader, "origin": hub.url})).status_code == 200

        async with httpx.AsyncClient(base_url=hub.url) as http:
            for method in ("GET", "DELETE", "PUT"):
                answer = await http.request(method, "/mcp", headers=reader)
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            for path in (METADATA, f"{METADATA}/mcp"):
                found = (await http.get(path)).json()
                assert (found["resource"], found["authorization_servers"]) == (f"{hub.url}/mcp", [hub.url])
                assert found["bearer_methods_supported"] == ["header"]
                assert (await http.get(path, headers={"host": "evil.example"})).status_code == 421
            issuer = (await http.get("/.well-known/oauth-authorization-server")).json()
            assert (issuer["issuer"], issuer["token_endpoint"]) == (hub.url, f"{hub.url}/api/v1/auth/token")
            assert (await http.get("/health/live")).status_code == 200
            large = await http.post(
                "/mcp", content=b" " * 1_100_000, headers={**reader, "content-type": "application/json"}
            )
            assert large.status_code == 413
            broken = await http.post("/mcp", content=b"{", headers={**reader, "content-type": "application/json"})
            assert broken.json()["error"]["code"] == -32700


async def test_names_of_the_hub_are_settings(dsn, tmp_path, connection) -> None:
    settings = {"mcp_allowed_hosts": ["hub.example.com:8443"], "public_url": "https://go.example.com"}
    async with mcp_hub(dsn, tmp_path, **settings) as hub:
        key = await with_key(connection, "read")
        for host, status in (
            ("hub.example.com:8443", 200),
            ("hub.example.com", 421),
            ("go.example.com", 200),
            ("go.example.com.evil.example", 421),
        ):
            assert (await hub.post({**key, "host": host})).status_code == status
        answer = await hub.post({"host": "go.example.com"})
        assert f'"https://go.example.com{METADATA}/mcp"' in answer.headers["www-authenticate"]


async def test_a_token_for_somebody_else_is_refused(dsn, tmp_path, connection) -> None:
    """Where no audience is set for Better Auth, its tokens open the API, but not MCP: there they must name this hub."""
    settings = {"better_auth_secret": SECRET, "better_auth_legacy": True}
    async with mcp_hub(dsn, tmp_path, **settings) as hub:
        ann = await hub.sign_in(connection)

        def token(**claims: object) -> dict[str, str]:
            said = {"sub": "1", "email": "ann@example.org", "emailVerified": True, "exp": 4_000_000_000, **claims}
            return {"authorization": f"Bearer {jwt.encode(said, SECRET, algorithm='HS256')}"}

        assert (await hub.post(ann)).status_code == 200
        async with httpx.AsyncClient(base_url=hub.url) as http:
            assert (await http.get("/api/v1/tools", headers=token())).status_code == 200
        for foreign in (
            token(),
            token(aud="https://other.example"),
            token(aud=["https://other.example"]),
            token(aud=7),
        ):
            answer = await hub.post(foreign)
            assert answer.status_code == 401
            assert "meant for another system" in answer.headers["www-authenticate"]
        for ours in ("mainstem", hub.url, hub.mcp, ["https://other.example", hub.mcp]):
            assert (await hub.post(token(aud=ours))).status_code == 200


async def test_limits_are_those_of_the_api(dsn, tmp_path, connection) -> None:
    async with mcp_hub(dsn, tmp_path, rate_limit_requests=4, rate_limit_window_seconds=3_600) as hub:
        key = await with_key(connection, "read")
        async with httpx.AsyncClient(base_url=hub.url, headers=key) as http:
            assert (await http.get("/api/v1/tools")).status_code == 200
        statuses = [(await hub.post(key)).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await hub.post(key)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["message"] == "Rate limit exceeded"


async def test_nothing_of_it_is_there_when_it_is_off(dsn, tmp_path, connection) -> None:
    async with mcp_hub(dsn, tmp_path, mcp_enabled=False) as hub:
        assert (await hub.post(await with_key(connection, "read"))).status_code == 404
        assert port.listener(Settings(_env_file=None, mcp_enabled=False)) is None
    assert port.listener(Settings(_env_file=None, mcp_server_port=0)) is None


async def test_a_database_that_is_away_is_said(durable_cluster, tmp_path) -> None:
    dsn = durable_cluster.dsn
    async with mcp_hub(dsn, tmp_path) as hub:
        connection = await asyncpg.connect(dsn)
        ann = await hub.sign_in(connection)
        await connection.close()
        async with hub.client(ann, MODERN) as modern, hub.client(ann, HANDSHAKE) as older:
            await modern.call_tool("add_task", {"title": "Before"})
            durable_cluster.stop()
            for client in (modern, older):
                for name, arguments in (("add_task", {"title": "Meanwhile"}), ("list_tasks", {})):
                    with pytest.raises(MCPError, match="The database is not available right now; try again") as away:
                        await client.call_tool(name, arguments)
                    assert away.value.error.data["code"] == "unavailable"
            stranger = await hub.post({"authorization": "Bearer ms_sk_never_seen_before"})
            assert (stranger.status_code, stranger.json()["error"]["code"]) == (503, -32603)
            assert int(stranger.headers["retry-after"]) > 0
            durable_cluster.start()
            for client in (modern, older):
                rows = await client.call_tool("list_tasks", {})
                assert [row["title"] for row in rows.structured_content["result"]] == ["Before"]


async def test_two_requests_need_not_meet_the_same_process(dsn, tmp_path, connection) -> None:
    """Asked in one process, answered in another that was started later: nothing is kept but rows."""

    async def ask(_context: object, _params: object) -> types.ElicitResult:
        raise AssertionError

    yes = {"confirm": types.ElicitResult(action="accept", content={"confirm": True})}
    async with mcp_hub(dsn, tmp_path) as hub:
        ann = await hub.sign_in(connection)
        async with hub.client(ann, elicitation_callback=ask) as client:
            await client.call_tool("add_task", {"title": "x"})
            asked = await client.session.call_tool("delete_task", {"task_id": 1}, allow_input_required=True)
    async with mcp_hub(dsn, tmp_path) as hub, hub.client(ann, elicitation_callback=ask) as client:
        done = await client.session.call_tool(
            "delete_task",
            {"task_id": 1},
            input_responses=yes,
            request_state=asked.request_state,
            allow_input_required=True,
        )
        assert done.structured_content["status"] == "deleted"


async def test_resources_and_prompts_that_are_not_there(dsn, tmp_path, connection) -> None:
    async with mcp_hub(dsn, tmp_path) as hub:
        ann = await hub.sign_in(connection, role="owner")
        async with hub.client(ann) as client:
            for uri in ("mainstem://nothing", "mainstem://journey/", "mainstem://journey/a/b", "mainstem://tasks/1"):
                with pytest.raises(MCPError, match="Resource not found") as missing:
                    await client.read_resource(uri)
                assert (missing.value.error.code, missing.value.error.data) == (-32602, {"uri": uri})
            with pytest.raises(MCPError, match="customer id"):
                await client.read_resource("mainstem://journey/nobody")
            journey = await client.read_resource("mainstem://journey/v%3A1")
            assert json.loads(journey.contents[0].text) == {"customer": None, "visitors": 1, "steps": []}
            assert (journey.ttl_ms, journey.cache_scope) == (0, "private")

            names = [prompt.name for prompt in (await client.list_prompts()).prompts]
            assert names == ["explain_booking", "plan_my_day", "why_is_a_webhook_failing"]
            booking = await client.get_prompt("explain_booking", {"booking_id": '7"', "connector": "hall"})
            assert '"7\\"" of the connector "hall"' in booking.messages[0].content.text
            webhook = await client.get_prompt("why_is_a_webhook_failing", {"webhook": "shop"})
            assert '"shop"' in webhook.messages[0].content.text
            for name, arguments, told in (
                ("nothing", {}, "Unknown prompt: nothing"),
                ("explain_booking", {}, "booking_id is required"),
                ("explain_booking", {"booking_id": " "}, "booking_id is required"),
                ("explain_booking", {"booking_id": "1", "x": "1"}, "x is no argument"),
                ("plan_my_day", {"day": "d" * 201}, "day is too long"),
            ):
                with pytest.raises(MCPError, match=told) as wrong:
                    await client.get_prompt(name, arguments)
                assert wrong.value.error.code == -32602


def test_the_package_is_loaded_by_the_first_visitor_only() -> None:
    code = (
        "import sys, mainstem.app, mainstem.worker, mainstem.cli; "
        "print(sorted({one.partition('.')[0] for one in sys.modules} & {'mcp', 'mcp_types', 'pydantic_ai', 'openai'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_taken_port_is_a_warning(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(_env_file=None, mcp_server_port=taken.getsockname()[1])
        assert port.listener(settings) is None
    told = capsys.readouterr().out
    assert "it is in use" in told
    assert "It answers at /mcp of the API all the same" in told


@pytest.mark.parametrize(
    ("host", "allowed", "here", "ours"),
    [
        ("localhost", (), None, True),
        ("LOCALHOST:8000", (), None, True),
        ("127.0.0.1:5555", (), None, True),
        ("[::1]:80", (), None, True),
        ("localhost.evil.example", (), None, False),
        ("192.0.2.7", (), "192.0.2.7", True),
        ("192.0.2.7:8000", (), "192.0.2.8", False),
        ("hub.example", ("hub.example",), None, True),
        ("hub.example:9", ("hub.example",), None, True),
        ("Hub.Example.:9", ("hub.example:9",), None, True),
        ("hub.example:8", ("hub.example:9",), None, False),
        ("a.hub.example", ("hub.example",), None, False),
        ("evil.example", ("*",), None, True),
        ("", ("*",), None, False),
        ("a b", ("*",), None, False),
        ('x"y', ("*",), None, False),
    ],
)
def test_hosts(host, allowed, here, ours) -> None:
    assert host_allowed(host, allowed, here) is ours
    assert origin_allowed(f"https://{host}", allowed, here) is ours


@given(st.text(max_size=30))
def test_any_text_is_a_host_or_none(text) -> None:
    host = parse_host(text)
    assert host is None or (isinstance(host, Host) and '"' not in host.name and "\n" not in host.name)
    origin_allowed(text, (), None)


def test_addresses_and_challenges() -> None:
    assert base_url("http", "a.example:8000", None) == "http://a.example:8000"
    assert base_url("http", "a.example", "https://a.example/") == "https://a.example"
    assert base_url("http", "b.example", "https://a.example") == "http://b.example"
    assert challenge("http://h") == f'Bearer resource_metadata="http://h{METADATA}/mcp"'
    assert not meant_for("no token", {"a"})


async def test_the_guide_works_as_printed(dsn, tmp_path, connection) -> None:
    """Its configuration is JSON; its calls by curl and from Python run with what the reader has set."""
    page = (Path(__file__).parents[2] / "docs/guides/mcp.md").read_text(encoding="utf-8")
    for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL):
        assert json.loads(block)["mcpServers"]["mainstem"]
    shell = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    token = next(block for block in shell if "auth/token" in block).partition("# or a key")[0]
    calls = next(block for block in shell if "tools/list" in block)
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    (tmp_path / "client.py").write_text(program, encoding="utf-8")
    async with mcp_hub(dsn, tmp_path / "data") as hub:
        await person(connection)
        script = f"set -e\n{token}\n{calls}\n{sys.executable} {tmp_path}/client.py"
        told = {"URL": hub.url, "EMAIL": "ann@example.org", "PASSWORD": PASSWORD, "PATH": os.environ["PATH"]}
        done = await asyncio.create_subprocess_exec("sh", "-c", script, env=told, stdout=subprocess.PIPE)
        output = (await done.communicate())[0].decode()
        assert done.returncode == 0, output
        assert '"name":"add_task"' in output
        assert "Created task 1." in output, output[-3_000:]
        assert "'title': 'Buy milk'" in output
