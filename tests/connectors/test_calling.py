"""Calls: what an answer comes to, what is asked again, and what is known of a change whose answer never came."""

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from peers import answering, listening, opened, sending

from mainstem.connectors.calling import Caller, Miss, Patience, Reply, Request, asked_s, judge, together
from mainstem.connectors.pace import Pace
from mainstem.connectors.ports import OutcomeUnknownError, RefusedError, UpstreamError
from mainstem.platform.outbound import Answer, OutboundError, Trouble

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUICK = Patience(attempts=3, timeout_s=2, budget_s=10, backoff_s=0.001, longest_s=0.002)
SECRET = "s3cr3t"


def answer(status, body=b"{}", *, truncated=False, **headers):
    return Answer(status, CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), body, truncated)


def http(status, body=b"{}", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("met", "is_json", "value"),
    [
        (answer(200, b'{"a": 1}'), True, {"a": 1}),
        (answer(201, b"[]"), True, []),
        (answer(202, b""), True, None),
        (answer(204, b" "), True, None),
        (answer(404, b'{"error": "x"}'), True, {"error": "x"}),
        (answer(404, b""), True, None),
        (answer(404, b"<html>"), False, None),
        (answer(400, b"{}", truncated=True), False, None),
        (answer(401, b"<html>"), False, None),
    ],
)
def test_what_says_something_is_a_reply(met, is_json, value):
    found = judge(met, NOW)
    assert isinstance(found, Reply)
    assert (found.status, found.is_json, found.json) == (met.status, is_json, value)


@pytest.mark.parametrize(
    ("met", "maybe_done", "hopeless"),
    [
        (answer(429), False, False),
        (answer(500), True, False),
        (answer(503, b"<html>"), True, False),
        (answer(408), True, False),
        (answer(200, b"<html>"), True, False),
        (answer(200, b""), True, False),
        (answer(200, b'{"a": NaN}'), True, False),
        (answer(200, b"{}", truncated=True), True, False),
        (answer(200, b"[" * 100_000), True, False),
        (answer(302), False, True),
        (OutboundError(Trouble.CONNECT, "x"), False, False),
        (OutboundError(Trouble.DNS, "x"), False, False),
        (OutboundError(Trouble.TLS, "x"), False, False),
        (OutboundError(Trouble.BLOCKED, "x"), False, True),
        (OutboundError(Trouble.TIMEOUT, "x", sent=False), False, False),
        (OutboundError(Trouble.TIMEOUT, "x"), True, False),
        (OutboundError(Trouble.PROTOCOL, "x"), True, False),
    ],
)
def test_what_says_nothing_is_a_miss(met, maybe_done, hopeless):
    found = judge(met, NOW)
    assert isinstance(found, Miss)
    assert (found.maybe_done, found.hopeless) == (maybe_done, hopeless)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("99999999999", 3_600),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value, seconds):
    assert asked_s(value, NOW) == seconds


@given(st.integers(100, 599), st.binary(max_size=50), st.text(max_size=20), st.booleans())
def test_every_answer_comes_to_something(status, body, retry_after, truncated):
    found = judge(answer(status, body, truncated=truncated, Retry_After=retry_after), NOW)
    assert isinstance(found, Reply | Miss)
    if isinstance(found, Reply):
        assert status < 500
        assert found.is_json or status >= 400


class Upstream:
    """A peer that answers each call in turn."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)

    async def script(self, talk):
        while True:
            await talk.request()
            given_ = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if given_ is None:
                talk.reset()
                return
            await talk.send(given_)


def caller(client, patience=QUICK, most=1_000):
    return Caller(client, Pace(most), patience, random=Random(1))


@pytest.mark.parametrize(
    "fault",
    [
        http(500),
        http(503, b"<html>"),
        http(200, b"<html>"),
        http(429),
        http(200, b'{"a":'),
        None,
        b"HTTP/1.1 nonsense\r\n\r\n",
    ],
)
async def test_a_question_is_asked_again(fault):
    upstream = Upstream(fault, fault, http(200, b'{"a": 1}'))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        reply = await caller(client).ask(Request("GET", peer.url("/x")))
    assert reply.json == {"a": 1}


async def test_a_question_that_stays_unanswered_is_told_with_what_was_met_last():
    upstream = Upstream(http(503, b"<html>", "Retry-After: 0", "Content-Type: text/html; x"))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        with pytest.raises(UpstreamError) as caught:
            await caller(client).ask(Request("GET", peer.url(f"/x?token={SECRET}"), {"X-Key": SECRET}, SECRET.encode()))
        assert len(peer.requests) == QUICK.attempts
    assert (caught.value.status, caught.value.retry_after_s) == (503, 0)
    assert str(caught.value) == "GET 127.0.0.1/x: It failed with 503 (text/html)."


async def test_nothing_secret_is_in_what_is_told():
    request = Request("GET", f"https://host.example/x?token={SECRET}", {"Authorization": SECRET}, SECRET.encode())
    assert SECRET not in repr(request) + request.shown
    assert SECRET not in repr(Reply(200, {"x": SECRET}, SECRET, is_json=True))


@pytest.mark.parametrize("fault", [http(500), http(200, b"<html>"), http(408), None, b"HTTP/1.1 nonsense\r\n\r\n"])
async def test_a_change_is_sent_once_and_its_outcome_unknown_when_no_answer_came(fault):
    upstream = Upstream(fault, http(200))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        with pytest.raises(OutcomeUnknownError):
            await caller(client).change(Request("POST", peer.url(), {}, b"{}"))
        assert len(peer.requests) == 1


async def test_a_change_whose_answer_never_comes_is_unknown():
    patience = Patience(attempts=3, timeout_s=0.1, budget_s=5, backoff_s=0.001)
    async with listening(sending(hold=True)) as peer, opened("127.0.0.1") as client:
        with pytest.raises(OutcomeUnknownError):
            await caller(client, patience).change(Request("POST", peer.url(), {}, b"{}"))
        assert len(peer.requests) == 1


async def test_a_change_that_may_be_made_twice_is_sent_again():
    upstream = Upstream(http(500), None, http(200, b'{"a": 1}'))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        reply = await caller(client).change(Request("PATCH", peer.url(), {}, b"{}"), may_repeat=True)
    assert reply.json == {"a": 1}


async def test_what_may_have_been_done_once_stays_unknown_whatever_comes_after():
    upstream = Upstream(http(500), http(429, b"{}", "Retry-After: 0"))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        with pytest.raises(OutcomeUnknownError):
            await caller(client).change(Request("PATCH", peer.url(), {}, b"{}"), may_repeat=True)


async def test_a_change_that_was_put_off_is_sent_again():
    upstream = Upstream(http(429, b"{}", "Retry-After: 0"), http(201, b'{"id": 1}'))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        reply = await caller(client).change(Request("POST", peer.url(), {}, b"{}"))
        assert len(peer.requests) == 2
    assert reply.status == 201


async def test_without_a_connection_nothing_was_done():
    async with listening() as peer:
        url = peer.url()
    async with opened("127.0.0.1") as client:
        with pytest.raises(UpstreamError):
            await caller(client).change(Request("POST", url, {}, b"{}"))


async def test_a_pause_longer_than_the_patience_is_not_waited_for():
    upstream = Upstream(http(429, b"{}", "Retry-After: 3000"))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client, asyncio.timeout(5):
        with pytest.raises(UpstreamError) as caught:
            await caller(client).ask(Request("GET", peer.url()))
        assert len(peer.requests) == 1
    assert (caught.value.status, caught.value.retry_after_s) == (429, 3_000)


async def test_a_pause_that_is_asked_for_holds_all_calls():
    upstream = Upstream(http(429, b"{}", "Retry-After: 1"), http(200))
    async with listening(upstream.script) as peer, opened("127.0.0.1") as client:
        one, loop = caller(client), asyncio.get_running_loop()
        first = asyncio.create_task(one.ask(Request("GET", peer.url())))
        await peer.asked.wait()
        started = loop.time()
        await first
        await one.ask(Request("GET", peer.url()))
        assert loop.time() - started > 0.9


async def test_the_time_for_all_tries_is_bounded():
    patience = Patience(attempts=1_000, timeout_s=0.2, budget_s=0.5, backoff_s=0.001, longest_s=0.001)
    async with listening(answering(http(500))) as peer, opened("127.0.0.1") as client:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(UpstreamError):
            await caller(client, patience).ask(Request("GET", peer.url()))
        assert loop.time() - started < 5
        assert 1 < len(peer.requests) < 1_000


async def test_of_calls_made_together_the_first_failure_is_raised_and_the_others_end():
    ended = asyncio.Event()

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def failing() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        await together(waiting(), failing())
    assert ended.is_set()
    assert await together(asyncio.sleep(0, 1), asyncio.sleep(0, 2)) == [1, 2]
