"""Outgoing HTTP: what goes out, and over which connection. Peers are real, on loopback."""

import asyncio
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import Talk, answering, listening, post, sending, trouble, within

from mainstem.platform import outbound as module
from mainstem.platform.addresses import parse_networks
from mainstem.platform.outbound import Outbound, Trouble

MARK = "s3cr3t"
"""Stands for what must be in no sentence."""


async def test_a_request_carries_the_body_and_its_headers_and_nothing_of_ours_that_matters(client):
    async with listening() as peer:
        answer = await post(
            client, peer.url("/hook?a=b"), b'{"x": 1}', headers={"Content-Type": "text/x", "X-Own": "1"}
        )
    (request,) = peer.requests
    assert (answer.status, answer.body, answer.truncated) == (200, b"ok", False)
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.body == b'{"x": 1}'
    assert dict(request.headers) == {
        "Host": f"127.0.0.1:{peer.port}",
        "User-Agent": module._AGENT,
        "Accept-Encoding": "identity",
        "Accept": "*/*",
        "Content-Type": "text/x",
        "X-Own": "1",
        "Content-Length": "8",
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_sent_alike(client, method):
    async with listening() as peer:
        await client.call(method, peer.url(), b"x", {}, timeout_s=10)
        await client.call(method, peer.url(), None, {}, timeout_s=10)
    assert [request.line.split()[0] for request in peer.requests] == [method] * 2
    assert [request.body for request in peer.requests] == [b"x", b""]


async def test_names_of_headers_in_answers_compare_without_case(client):
    async with listening(answering(b"HTTP/1.1 429 Slow\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n")) as peer:
        answer = await post(client, peer.url())
    assert (answer.status, answer.headers.get("Retry-After")) == (429, "7")


def test_an_address_arrives_byte_for_byte():
    # all that stands in a request line, escapes as they were written, dots and slashes as they are
    letters = st.sampled_from(string.ascii_letters + string.digits + "-._~:/?[]@!$&'()*+,;=%\"<>\\^`{|}")
    words = st.sampled_from(
        ["%7e", "%7E", "%2f", "%2F", "%00", "%zz", "%", "/../", "/./", "//", "??", "&&", "+", "%20"]
    )
    with asyncio.Runner() as runner:
        client = Outbound(parse_networks(["127.0.0.1"]))
        server = listening()
        peer = runner.run(server.__aenter__())

        @given(st.sampled_from("/?"), st.lists(letters | words, max_size=30).map("".join))
        def arrives(first, rest):
            peer.requests.clear()
            runner.run(post(client, peer.url(first + rest)))
            path, _, query = (first + rest if first == "/" else "/" + first + rest).partition("?")
            # a question mark with nothing behind it is the one thing that goes
            target = f"{path}?{query}" if query else path
            assert peer.requests[0].line == f"POST {target} HTTP/1.1"

        try:
            arrives()
        finally:
            runner.run(client.close())
            runner.run(server.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/ü?q=ä", "POST /%C3%BC?q=%C3%A4 HTTP/1.1"),
        ("/%7e/ü%7e?q=%41", "POST /%7e/%C3%BC%7e?q=%41 HTTP/1.1"),
        ("/a b HTTP/1.0", "POST /a%20b%20HTTP/1.0 HTTP/1.1"),
        ("/a\r\nX-Injected: yes\r\n\r\n", "POST /a%0D%0AX-Injected:%20yes%0D%0A%0D%0A HTTP/1.1"),
        ("/a\x00\x7f", "POST /a%00%7F HTTP/1.1"),
        ("", "POST / HTTP/1.1"),
        ("?a", "POST /?a HTTP/1.1"),
    ],
)
async def test_what_a_request_line_can_not_hold_is_escaped(client, path, line):
    async with listening() as peer:
        await post(client, peer.url(path))
    assert peer.requests[0].line == line
    assert peer.requests[0].all("X-Injected") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Own": f"{MARK}\r\nX-Injected: yes"},
        {"X-Own": f"{MARK}\nX-Injected: yes"},
        {"X-Own": f"{MARK}\rX-Injected: yes"},
        {"X-Own": f"{MARK}\r\n\r\nPOST /other HTTP/1.1\r\n"},
        {"X-Own": f"{MARK}\x00"},
        {f"X-{MARK}\r\nX-Injected": "yes"},
        {f"X-{MARK}: yes\nX-Injected": "yes"},
    ],
)
async def test_headers_that_would_inject_others_are_not_sent(client, headers):
    async with listening() as peer:
        error = await trouble(client, peer.url(), headers=headers)
    assert peer.requests == []
    assert error.trouble is Trouble.PROTOCOL
    assert MARK not in str(error)


@pytest.mark.parametrize(
    "url", ["", "x", "http://", "ftp://127.0.0.1/", "http://[::1", "http://h:99999/", "http://h/\ud800"]
)
async def test_what_is_no_address_is_blocked(client, url):
    error = await trouble(client, url)
    assert (error.trouble, str(error)) == (Trouble.BLOCKED, "That is no address to call.")


# connections


async def test_a_connection_is_used_again(client):
    async with listening() as peer:
        for number in range(5):
            await post(client, peer.url(f"/{number}"))
    assert [request.connection for request in peer.requests] == [1] * 5


async def test_a_connection_that_the_peer_ends_is_not_used_again(client):
    bye = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(bye)) as peer:
        for _ in range(3):
            assert (await post(client, peer.url())).status == 200
    assert [request.connection for request in peer.requests] == [1, 2, 3]


async def test_answers_that_nobody_asked_for_are_not_taken_for_the_next(client):
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    async with listening(answering(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nreal" + forged)) as peer:
        answers = [await post(client, peer.url()) for _ in range(3)]
    assert {answer.body for answer in answers} == {b"real"}


async def test_cookies_are_not_kept(client):
    async with listening(answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")) as peer:
        for _ in range(2):
            await post(client, peer.url(host="localhost"))
    assert [request.all("Cookie") for request in peer.requests] == [[], []]


async def test_calls_at_the_same_time_have_connections_of_their_own(client):
    arrived = asyncio.Semaphore(0)
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        request = await talk.request()
        arrived.release()
        await go.wait()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.body), request.body))

    async with listening(script) as peer:
        calls = [asyncio.create_task(post(client, peer.url(), b"%d" % number)) for number in range(50)]
        for _ in range(50):
            await within(arrived.acquire())
        go.set()
        answers = await asyncio.gather(*calls)
    assert [answer.body for answer in answers] == [b"%d" % number for number in range(50)]
    assert peer.connections == 50


async def test_a_client_that_was_closed_opens_again(client):
    async with listening() as peer:
        await post(client, peer.url(host="localhost"))
        await client.close()
        await client.close()
        await post(client, peer.url(host="localhost"))
    assert [request.connection for request in peer.requests] == [1, 2]


async def test_a_call_that_is_cancelled_drops_its_connection(client):
    async with listening(sending(hold=True)) as peer:
        call = asyncio.create_task(post(client, peer.url()))
        await within(peer.asked.wait())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await within(peer.hung_up.wait())
