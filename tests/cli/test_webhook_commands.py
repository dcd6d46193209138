"""`mainstem webhooks`: what is printed, and the exit codes."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import asyncpg
import pytest
from standardwebhooks.webhooks import Webhook
from webhooks.hooking import add_deliveries, counters

from mainstem.pii.box import Keyring
from mainstem.webhooks.secrets import seal_headers

URL = "https://hooks.example.com/in?token=hidden"


class Sink(HTTPServer):
    """Keeps what it is sent; `status` is answered."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[bytes, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((body, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.0/8")
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


def in_sql(dsn: str, work):
    async def run():
        connection = await asyncpg.connect(dsn)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def made(cli, url: str = URL, *options: str) -> dict:
    told = cli("webhooks", "create", url, *options, "--json")
    assert told.code == 0, told.err
    return json.loads(told.out)


def test_webhooks_are_made_listed_shown_and_switched(on_database, dsn: str) -> None:
    hook = made(on_database, URL, "--event", "order.*", "--event", "lead.made")
    assert (hook["name"], hook["events"], hook["created_by"]) == ("hooks.example.com", ["order.*", "lead.made"], "cli")
    assert hook["secret"].startswith("whsec_")
    said = on_database("webhooks", "create", URL, "--name", "second", "--signature", "ed25519", "--inactive")
    assert said.out.startswith("webhook 2: second\nwhpk_")
    listed = json.loads(on_database("webhooks", "list", "--json").out)
    assert [(one["id"], one["is_active"], "secret" in one) for one in listed] == [(1, True, False), (2, False, False)]
    assert "order.*,lead.made" in on_database("webhooks", "list").out
    assert "health_status: disabled" in on_database("webhooks", "show", 2).out
    assert on_database("webhooks", "enable", 2).out == "webhook 2 is on\n"
    assert on_database("webhooks", "disable", 1).out == "webhook 1 is off\n"
    rotated = json.loads(on_database("webhooks", "rotate", 1, "--grace-hours", 0, "--json").out)
    assert rotated["secret"] != hook["secret"]


def test_faults_are_one_line(on_database, dsn: str) -> None:
    assert "no webhooks" in on_database("webhooks", "list").err
    for arguments, words in [
        (("create", "ftp://example.com/in"), "An address starts with https:// or http://"),
        (("create", "http://127.0.0.1/in"), "not a public address"),
        (("create", URL, "--event", "Order"), "is no pattern"),
        (("show", 99), "Webhook 99 not found"),
        (("test", 99), "Webhook 99 not found"),
        (("resend", 99), "Delivery 99 not found"),
        (("deliveries", 99), "Webhook 99 not found"),
        (("recover", 99, "--since", "2026-05-01"), "Webhook 99 not found"),
        (("list", "--tenant", "nobody"), "nobody"),
    ]:
        told = on_database("webhooks", *arguments)
        assert (told.code, told.err.count("\n")) == (1, 1), told
        assert words in told.err


def test_a_test_is_sent_signed(on_database, dsn: str, sink: Sink) -> None:
    hook = made(on_database, f"http://127.0.0.1:{sink.server_port}/in")
    said = on_database("webhooks", "test", hook["id"])
    assert said.code == 0
    assert "The endpoint answered 200 after" in said.out
    assert Webhook(hook["secret"]).verify(*sink.requests[0])["type"] == "webhook.test"
    sink.status = 500
    bad = on_database("webhooks", "test", hook["id"], "--json")
    assert (bad.code, json.loads(bad.out)["status_code"]) == (1, 500)


def test_deliveries_are_listed_sent_again_and_recovered(on_database, dsn: str) -> None:
    hook = made(on_database)["id"]
    assert "no deliveries" in on_database("webhooks", "deliveries", hook).err
    dead = in_sql(dsn, lambda connection: add_deliveries(connection, hook, 1_200, status="failed"))
    in_sql(dsn, lambda connection: add_deliveries(connection, hook, 3, status="delivered", kind="lead.made"))
    listed = json.loads(on_database("webhooks", "deliveries", hook, "--status", "failed", "--limit", 2, "--json").out)
    assert [one["id"] for one in listed] == list(reversed(dead))[:2]
    assert "lead.made" in on_database("webhooks", "deliveries", hook, "--kind", "lead.*").out
    assert on_database("webhooks", "resend", dead[0]).out == f"delivery {dead[0]} is pending\n"
    said = on_database("webhooks", "recover", hook, "--since", "2020-01-01")
    assert (said.code, said.out) == (0, "1,199 looked at, 1,199 queued\n")
    assert in_sql(dsn, lambda connection: counters(connection, hook)) == (1_200, 3, 0)
    again = json.loads(on_database("webhooks", "recover", hook, "--since", "2020-01-01T00:00:00Z", "--json").out)
    assert (again["status"], again["requeued"], again["progress_percent"]) == ("finished", 0, 100)
    missing = json.loads(on_database("webhooks", "recover", hook, "--since", "2020-01-01", "--missing", "--json").out)
    assert (missing["mode"], missing["status"]) == ("missing", "finished")


def test_secrets_follow_a_change_of_the_installations_key(
    on_database, dsn: str, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = ("0f" * 32, "f0" * 32)
    monkeypatch.setenv("PII_KEY", old)
    hook = made(on_database, f"http://127.0.0.1:{sink.server_port}/in")
    sealed = "update webhooks.endpoint set headers = $1"

    async def with_headers(connection: asyncpg.Connection) -> None:
        uid = await connection.fetchval("select uid from webhooks.endpoint")
        keyring = Keyring(bytes.fromhex(old))
        await connection.execute(sealed, seal_headers(keyring, uid, {"X-Shop": "7"}))

    in_sql(dsn, with_headers)
    monkeypatch.setenv("PII_KEY", new)
    assert "sealed under the key" in on_database("webhooks", "test", hook["id"]).out
    monkeypatch.setenv("PII_KEY_PREVIOUS", old)
    assert json.loads(on_database("subject", "rewrap", "--json").out)["rewrapped"] == 2
    monkeypatch.delenv("PII_KEY_PREVIOUS")
    assert on_database("webhooks", "test", hook["id"]).code == 0
    body, headers = sink.requests[-1]
    Webhook(hook["secret"]).verify(body, headers)
    assert headers["x-shop"] == "7"
