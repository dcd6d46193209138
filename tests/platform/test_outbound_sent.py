"""Outgoing HTTP: whether a peer may have got a request that was not answered. Where it is doubtful, it may."""

import certificates
import pytest
from peers import Talk, deaf, listening, post, sending, trouble

from mainstem.platform import outbound as module
from mainstem.platform.outbound import Trouble


async def test_without_a_connection_it_was_not_sent(client, monkeypatch):
    async with listening() as peer:
        closed = peer.url()
    monkeypatch.setattr(module, "_CONNECT_TIMEOUT_S", 0.2)
    for url, expected in (
        (closed, Trouble.CONNECT),
        ("http://10.0.0.1/", Trouble.BLOCKED),
        ("http://no-such-name.invalid/", Trouble.DNS),
    ):
        error = await trouble(client, url)
        assert (error.trouble, error.sent) == (expected, False)
    with deaf() as url:
        error = await trouble(client, url, timeout_s=20)
        assert (error.trouble, error.sent) == (Trouble.TIMEOUT, False)


@pytest.mark.parametrize(
    "script",
    [
        sending(),
        sending(hold=True),
        sending(b"nonsense\r\n\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    ],
)
async def test_once_there_is_a_connection_it_may_have_been(client, script):
    async with listening(script) as peer:
        error = await trouble(client, peer.url(), timeout_s=0.5)
        assert error.sent
        assert len(peer.requests) == 1


async def test_a_kept_connection_that_is_dead_leaves_it_open(client):
    async def once(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await talk.request()
        talk.reset()

    async with listening(once) as peer:
        await post(client, peer.url())
        assert (await trouble(client, peer.url())).sent


async def test_a_repetition_that_gets_no_connection_takes_nothing_back(client):
    async def once(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await talk.request()
        # nobody listens any more when it comes again
        peer.deafen()
        talk.reset()

    async with listening(once) as peer:
        await post(client, peer.url())
        error = await trouble(client, peer.url(), may_repeat=True)
    assert (error.trouble, error.sent) == (Trouble.CONNECT, True)


async def test_tls_that_fails_comes_before_sending(client):
    async with listening(tls=certificates.of("127.0.0.1")) as peer:
        error = await trouble(client, peer.url(scheme="https"))
        assert peer.requests == []
    assert (error.trouble, error.sent) == (Trouble.TLS, False)
