"""Outgoing HTTP: what is never reached, whatever a name means, an answer says or the environment wants."""

import asyncio
import socket
import threading
from ipaddress import IPv4Address

import pytest
from peers import answering, listening, opened, post, trouble, within

from mainstem.platform import outbound as module
from mainstem.platform.outbound import Trouble

EVERYWHERE = str(IPv4Address(0))


class Names:
    """The resolver of the system, but for one name, whose answers are given here in order; the last one stays."""

    NAME = "receiver.example"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str] | threading.Event) -> None:
        self.answers = list(answers)
        self.asked = 0
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *rest: object, **named: object) -> list[tuple[object, ...]]:
        if host != self.NAME:
            return self._system(host, port, *rest, **named)
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, threading.Event):
            answer.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]


@pytest.mark.parametrize(
    "host",
    """
    127.0.0.1 127.0.0.2 localhost 0.0.0.0 127.1 0x7f.1 0x7f000001 2130706433 0177.0.0.1 127.0.0.1. [::ffff:127.0.0.1]
    [::ffff:7f00:1] [::127.0.0.1] 127。0。0。1 ①②⑦.⓪.⓪.① user@127.0.0.1 example.com@127.0.0.1 example.com:80@127.0.0.1
    """.split(),
)
async def test_nothing_private_is_reached_without_leave(host):
    async with listening(host=EVERYWHERE) as peer, opened() as client:
        error = await trouble(client, peer.url(host=host))
        assert peer.connections == 0
    assert error.trouble is Trouble.BLOCKED


@pytest.mark.parametrize("host", ["[::1]", "localhost.", "%31%32%37.0.0.1", "[fe80::1%25lo]", "[::1%25lo]", "a..b"])
async def test_nothing_private_is_reached_by_other_words(host):
    async with listening(host="127.0.0.1") as peer, opened() as client:
        error = await trouble(client, peer.url(host=host))
        assert peer.connections == 0
    # some of them mean something to some resolvers
    assert error.trouble in {Trouble.BLOCKED, Trouble.DNS}


async def test_allowed_networks_are_open_and_no_others():
    async with listening(host=EVERYWHERE) as peer:
        async with opened("127.0.0.2", "127.0.1.0/24") as client:
            for host in ("127.0.0.2", "127.0.1.9", "[::ffff:127.0.0.2]"):
                assert (await post(client, peer.url(host=host))).status == 200
            for host in ("127.0.0.1", "127.0.0.3", "127.0.2.0", "localhost", "[::ffff:127.0.0.1]"):
                assert (await trouble(client, peer.url(host=host))).trouble is Trouble.BLOCKED
        assert peer.connections == 3


async def test_a_name_of_the_hosts_file_is_looked_at_as_its_address(client):
    async with listening() as peer:
        assert (await post(client, peer.url(host="localhost"))).status == 200
        assert peer.requests[0].all("Host") == [f"localhost:{peer.port}"]


BYE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


async def test_a_name_is_looked_up_once_and_connections_go_to_what_was_looked_at(client, monkeypatch):
    # rebinding: the second answer would lead to the trap
    names = Names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    async with listening(answering(BYE)) as peer, listening(host="127.0.0.2", port=peer.port) as trap:
        for _ in range(3):
            assert (await post(client, peer.url(host=Names.NAME))).status == 200
        assert (names.asked, peer.connections, trap.connections) == (1, 3, 0)


async def test_a_name_that_means_something_else_later_is_blocked_then(client, monkeypatch):
    monkeypatch.setattr(module, "_DNS_TTL_S", 0)
    names = Names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    async with listening(answering(BYE)) as peer, listening(host="127.0.0.2", port=peer.port) as trap:
        assert (await post(client, peer.url(host=Names.NAME))).status == 200
        error = await trouble(client, peer.url(host=Names.NAME))
        assert (names.asked, peer.connections, trap.connections) == (2, 1, 0)
    assert error.trouble is Trouble.BLOCKED


async def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_tried(client, monkeypatch):
    Names(monkeypatch, ["127.0.0.2", "127.0.0.1", "127.0.0.3"])
    async with listening(host="127.0.0.2") as trap:
        # nobody listens at 127.0.0.1: there is no falling back on the others
        error = await trouble(client, trap.url(host=Names.NAME))
        assert trap.connections == 0
        assert error.trouble is Trouble.CONNECT
        async with listening(port=trap.port):
            assert (await post(client, trap.url(host=Names.NAME))).status == 200
        assert trap.connections == 0


async def test_a_name_that_does_not_exist(client):
    error = await trouble(client, "http://no-such-name.invalid/")
    assert (error.trouble, str(error)) == (Trouble.DNS, "The name no-such-name.invalid can't be resolved.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers(client, status):
    async with listening() as trap:
        to = f"HTTP/1.1 {status} Over there\r\nLocation: {trap.url('/x')}\r\nContent-Length: 0\r\n\r\n".encode()
        async with listening(answering(to)) as peer:
            answer = await post(client, peer.url())
        assert (answer.status, len(peer.requests), trap.connections) == (status, 1, 0)


async def test_the_environment_has_no_say(client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    async with listening() as peer, listening() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.lower(), proxy.url())
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        assert (await post(client, peer.url())).status == 200
        assert proxy.connections == 0
    assert peer.requests[0].all("Authorization") == []


async def test_a_name_in_another_script_is_written_as_dns_has_it(client, monkeypatch):
    monkeypatch.setattr(Names, "NAME", "xn--bcher-kva.example")
    names = Names(monkeypatch, ["127.0.0.1"])
    async with listening() as peer:
        await post(client, peer.url("/", host="bücher.example"))
    assert names.asked == 1
    assert peer.requests[0].all("Host") == [f"xn--bcher-kva.example:{peer.port}"]


async def test_a_name_that_nobody_answers_for_is_given_up_on(client, monkeypatch):
    monkeypatch.setattr(module, "_DNS_TIMEOUT_S", 0.1)
    end = threading.Event()
    names = Names(monkeypatch, end)
    try:
        errors = [await trouble(client, f"http://{Names.NAME}/", timeout_s=20) for _ in range(3)]
        assert {(error.trouble, str(error)) for error in errors} == {
            (Trouble.DNS, "The name receiver.example was not resolved in 0.1 s.")
        }
        # whoever asks again waits for the lookup that is under way, instead of starting one more
        assert names.asked == 1
    finally:
        end.set()


async def test_the_time_of_a_call_holds_for_its_name_too(client, monkeypatch):
    end = threading.Event()
    Names(monkeypatch, end)
    try:
        error = await trouble(client, f"http://{Names.NAME}/", timeout_s=0.1)
        assert (error.trouble, str(error)) == (Trouble.TIMEOUT, "No answer within 0.1 s.")
    finally:
        end.set()


async def test_names_that_nobody_answers_for_hold_up_no_other(client, monkeypatch):
    end = threading.Event()
    system = socket.getaddrinfo

    def resolve(host: str, *rest: object, **named: object) -> list[tuple[object, ...]]:
        if str(host).endswith(".dead.example"):
            end.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return system(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with listening() as peer:
        dead = [
            asyncio.create_task(trouble(client, f"http://{number}.dead.example/", timeout_s=20)) for number in range(40)
        ]
        try:
            await asyncio.sleep(0)
            assert (await post(client, peer.url(host="localhost"), timeout_s=5)).status == 200
            assert not any(task.done() for task in dead)
            # nor do they take the threads of everybody else
            assert await within(asyncio.get_running_loop().getaddrinfo("localhost", 80))
        finally:
            end.set()
            errors = await asyncio.gather(*dead)
    assert {error.trouble for error in errors} == {Trouble.DNS}
