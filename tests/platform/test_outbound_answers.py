"""Outgoing HTTP: what comes back, and what is made of it when it is late, too much, broken or nobody's."""

import asyncio
import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import certificates
import pytest
from peers import OK, Talk, answering, deaf, dripping, listening, post, sending, trouble, within

from mainstem.platform import outbound as module
from mainstem.platform.outbound import OutboundError, Trouble

MARK = "s3cr3t"
"""Stands for what must be in no sentence."""


async def test_a_connection_that_is_not_made_in_time(client, monkeypatch):
    monkeypatch.setattr(module, "_CONNECT_TIMEOUT_S", 0.2)
    with deaf() as url:
        error = await trouble(client, url, timeout_s=20)
        assert (error.trouble, str(error)) == (Trouble.TIMEOUT, "No connection within 0.2 s.")
        error = await trouble(client, url, timeout_s=0.1)
        assert (error.trouble, str(error)) == (Trouble.TIMEOUT, "No answer within 0.1 s.")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(sending(hold=True), id="no answer"),
        pytest.param(dripping(b"HTTP/1.1 200 ", b"x"), id="a status line that drips"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-", b"a"), id="a header that drips"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), id="headers that drip"),
        pytest.param(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim answers for ever"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x"), id="a body that drips"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), id="a body of any length that drips"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="parts that drip"
        ),
    ],
)
async def test_the_time_of_a_call_holds_for_all_of_it(client, script):
    async with listening(script) as peer:
        started = perf_counter()
        error = await trouble(client, peer.url(), timeout_s=0.3)
        assert perf_counter() - started < 2
        assert (error.trouble, str(error)) == (Trouble.TIMEOUT, "No answer within 0.3 s.")
        # the connection is dropped, not kept for the next
        await within(peer.hung_up.wait())


# how much of an answer is kept


@pytest.mark.parametrize(
    ("sent", "kept", "truncated"),
    [(0, 0, False), (99, 99, False), (100, 100, False), (101, 100, True), (5000, 100, True)],
)
async def test_answers_are_cut_at_what_is_asked_for(client, sent, kept, truncated):
    head = f"HTTP/1.1 500 Oops\r\nContent-Length: {sent}\r\n\r\n".encode()
    async with listening(sending(head + b"x" * sent)) as peer:
        answer = await post(client, peer.url(), keep_bytes=100)
    assert (answer.status, len(answer.body), answer.truncated) == (500, kept, truncated)


ENDLESS = {
    "by length": (b"Content-Length: 999999999999\r\n\r\n", b"x" * 65_536),
    "in parts": (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "until the end": (b"\r\n", b"x" * 65_536),
}


@pytest.mark.parametrize("how", ENDLESS)
async def test_endless_answers_are_dropped(client, how):
    head, part = ENDLESS[how]

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n" + head)
        try:
            while True:
                await talk.send(part)
        finally:
            gone.set()

    gone = asyncio.Event()
    async with listening(script) as peer:
        answer = await post(client, peer.url(), keep_bytes=1_000)
        assert (answer.body, answer.truncated) == (b"x" * 1_000, True)
        await within(gone.wait())


async def test_what_comes_packed_stays_packed(client):
    bomb = gzip.compress(b"\0" * 50_000_000)
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
        async with listening(answering(head + bomb)) as peer:
            answer = await post(client, peer.url(), keep_bytes=1_000_000)
        assert (answer.body, answer.truncated) == (bomb, False)


# what is no answer


@pytest.mark.parametrize(
    "bytes_",
    [
        f"{MARK}\r\n\r\n".encode(),
        f"SSH-2.0-{MARK}\r\n".encode(),
        f"220 {MARK} ESMTP\r\n".encode(),
        f"-ERR {MARK}\r\n".encode(),
        f"HTTP/1.1 {MARK} OK\r\n\r\n".encode(),
        f"HTTP/1.1 2000 {MARK}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nX-{MARK} token\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nX: \0{MARK}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: -{MARK}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2{MARK}\r\n\r\nxx".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: {MARK}\r\n\r\n0\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{MARK}\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nX: " + MARK.encode() * 5_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + f"X: {MARK}\r\n".encode() * 20_000 + b"\r\n",
        b"HTTP/1.1 200 " + MARK.encode() * 5_000 + b"\r\n\r\n",
        b"\x00\xff" * 100 + MARK.encode(),
    ],
    ids=lambda bytes_: ascii(bytes_[:40].decode("latin-1")),
)
async def test_what_is_no_http_is_no_answer(client, bytes_):
    async with listening(sending(bytes_)) as peer:
        error = await trouble(client, peer.url(f"/?{MARK}"), body=MARK.encode(), headers={"X-Own": MARK})
    assert error.trouble is Trouble.PROTOCOL
    assert MARK not in str(error)
    assert len(str(error)) < 100


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (b"", "The peer hung up before it had answered."),
        (b"HTTP/1.1 200", "The peer hung up before it had answered."),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "The peer hung up before it had answered."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "The answer ended too early, or was broken."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "The answer ended too early, or was broken."),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "The answer ended too early, or was broken.",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
            "The answer ended too early, or was broken.",
        ),
    ],
)
@pytest.mark.parametrize("breaks", [False, True], ids=["end", "reset"])
async def test_hanging_up_amid_the_answer(client, start, sentence, breaks):
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(start)
        if breaks:
            talk.reset()

    async with listening(script) as peer:
        error = await trouble(client, peer.url())
    assert error.trouble is Trouble.PROTOCOL
    # a reset may overtake what was sent before it
    assert str(error) == sentence or (breaks and "hung up" in str(error))


async def test_hanging_up_before_the_request_was_read(client):
    async def script(talk: Talk) -> None:
        talk.reset()

    async with listening(script) as peer:
        error = await trouble(client, peer.url(), body=b"x" * 1_000_000)
    assert (error.trouble, str(error)) == (Trouble.PROTOCOL, "The peer hung up before it had answered.")


async def test_an_answer_before_the_whole_request_was_read_counts(client):
    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 413 Too much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        await talk.until_hung_up()

    async with listening(script) as peer:
        answer = await post(client, peer.url(), b"x" * 1_000_000)
    assert (answer.status, answer.body) == (413, b"no")


async def test_nobody_listens(client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await trouble(client, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert error.trouble is Trouble.CONNECT
    assert str(error).startswith("No connection: ")


async def test_switching_protocols_is_an_answer_like_any_other(client):
    async with listening(sending(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello")) as peer:
        answer = await post(client, peer.url(), timeout_s=2)
    assert answer.status == 101


# TLS


@pytest.mark.parametrize(
    ("host", "make", "reason"),
    [
        ("localhost", lambda: certificates.of("localhost"), "self-signed certificate"),
        ("localhost", lambda: certificates.of("localhost", signed=True), "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_nobody_vouches_for_is_refused(client, host, make: Callable[[], object], reason):
    async with listening(tls=make()) as peer:
        error = await trouble(client, peer.url(f"/{MARK}", host=host, scheme="https"), headers={"X-Own": MARK})
        assert peer.requests == []
    assert (error.trouble, str(error)) == (Trouble.TLS, f"TLS failed: {reason}.")


async def test_a_peer_without_tls(client):
    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
        await talk.until_hung_up()

    async with listening(script) as peer:
        error = await trouble(client, peer.url(scheme="https"))
    assert error.trouble is Trouble.TLS


async def test_a_peer_that_stays_silent_in_the_handshake(client):
    async def script(talk: Talk) -> None:
        await talk.until_hung_up()

    async with listening(script) as peer:
        error = await trouble(client, peer.url(scheme="https"), timeout_s=0.3)
        assert error.trouble is Trouble.TIMEOUT
        await within(peer.hung_up.wait())


_CALL = """
import asyncio, sys
from mainstem.platform.addresses import parse_networks
from mainstem.platform.outbound import Outbound, OutboundError
async def main():
    client = Outbound(parse_networks(["127.0.0.0/8"]))
    try:
        print((await client.post(sys.argv[1], b"{}", {}, timeout_s=10)).status)
    except OutboundError as error:
        print(error.trouble, error)
    await client.close()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("host", "names", "days", "said"),
    [
        ("localhost", ["localhost"], 1, "200"),
        ("127.0.0.1", ["localhost"], 1, "tls TLS failed: IP address mismatch"),
        ("localhost", ["other.example"], 1, "tls TLS failed: Hostname mismatch"),
        ("localhost", ["localhost"], -1, "tls TLS failed: certificate has expired"),
    ],
    ids=["right", "another address", "another name", "expired"],
)
async def test_certificates_of_a_trusted_issuer(tmp_path: Path, host, names, days, said):
    # in a process of its own: what is trusted is read once
    trusted = tmp_path / "issuer.pem"
    trusted.write_bytes(certificates.issuer())
    async with listening(tls=certificates.of(*names, signed=True, days=days)) as peer:
        found = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", _CALL, peer.url(host=host, scheme="https")],
            env={**os.environ, "SSL_CERT_FILE": str(trusted)},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    assert found.stdout.startswith(said)


async def test_a_kept_connection_that_is_dead_is_replaced_where_the_receiver_knows_repetitions(client):
    """The peer answers the first request of each connection and hangs up when the second comes."""

    async def one_each(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK)
        await talk.request()

    async with listening(one_each) as peer:
        for number in range(3):
            answer = await client.post(peer.url(), b"%d" % number, {}, timeout_s=5, may_repeat=True)
            assert answer.status == 200
        # the second met a dead connection and went out again over a new one, which is not kept
        assert [request.body for request in peer.requests] == [b"0", b"1", b"1", b"2"]
        with pytest.raises(OutboundError, match="hung up"):
            await client.post(peer.url(), b"3", {}, timeout_s=5)


async def test_a_new_connection_that_dies_is_not_replaced(client):
    async def none(talk: Talk) -> None:
        await talk.request()

    async with listening(none) as peer:
        with pytest.raises(OutboundError, match="hung up"):
            await client.post(peer.url(), b"", {}, timeout_s=5, may_repeat=True)
        assert len(peer.requests) == 1
