"""Who gets a message: by tenant and topic, in order, and nobody for long who doesn't read."""

from collections import Counter
from contextlib import nullcontext

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from watching import caller

from mainstem.dashboard.clients import Client, Clients, RefusedError
from mainstem.dashboard.messages import Topic

MOST = 100


class Recorded:
    """A connection that keeps what was written to it, and reads when it is told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.unread = 0
        self.end_code: int | None = None

    def write_frame(self, frame: bytes) -> None:
        assert self.end_code is None
        self.frames.append(frame)
        self.unread += len(frame)

    def buffered(self) -> int:
        return self.unread

    def end(self, code: int, reason: str) -> None:
        assert self.end_code is None
        assert reason
        self.end_code = code


def client(tenant_id: int = 1) -> tuple[Client, Recorded]:
    line = Recorded()
    return Client(line, caller(tenant_id), expires_at=None, most_bytes=MOST), line


class Watching(RuleBasedStateMachine):
    """Clients of three tenants come, go, subscribe and are told; a plain model says what each must have got."""

    clients = Bundle("clients")

    @initialize()
    def begin(self):
        self.registry = Clients(most=10, most_of_tenant=4)
        self.expected: dict[Client, list[bytes]] = {}
        self.wanted: dict[Client, set[Topic]] = {}
        self.lines: dict[Client, Recorded] = {}
        self.number = 0

    @rule(target=clients, tenant_id=st.integers(1, 3))
    def come(self, tenant_id):
        one, line = client(tenant_id)
        of_tenant = Counter(known.caller.tenant_id for known in self.wanted)[tenant_id]
        room = nullcontext() if len(self.wanted) < 10 and of_tenant < 4 else pytest.raises(RefusedError)
        with room:
            self.registry.require_room(tenant_id)
        self.lines[one], self.wanted[one], self.expected[one] = line, set(), []
        self.registry.add(one)
        return one

    @rule(one=consumes(clients))
    def leave(self, one):
        self.registry.remove(one)
        del self.wanted[one]

    @rule(one=clients, topics=st.sets(st.sampled_from(Topic)))
    def subscribe(self, one, topics):
        self.registry.subscribe(one, topics)
        self.wanted[one] |= topics

    @rule(one=clients, topics=st.sets(st.sampled_from(Topic)))
    def unsubscribe(self, one, topics):
        self.registry.unsubscribe(one, topics)
        self.wanted[one] -= topics

    @rule(tenant_id=st.integers(1, 3), topic=st.sampled_from(Topic))
    def tell(self, tenant_id, topic):
        self.number += 1
        frame = b"%d %d" % (tenant_id, self.number)
        self.registry.tell(tenant_id, topic, frame)
        for one, topics in self.wanted.items():
            if one.caller.tenant_id == tenant_id and topic in topics and one.ended is None:
                self._expect(one, frame)

    @rule(tenant_id=st.integers(1, 3))
    def tell_all(self, tenant_id):
        self.number += 1
        frame = b"%d %d" % (tenant_id, self.number)
        self.registry.tell_all(tenant_id, frame)
        for one in self.wanted:
            if one.caller.tenant_id == tenant_id:
                self._expect(one, frame)

    def _expect(self, one, frame):
        if sum(map(len, self.expected[one])) <= MOST:
            self.expected[one].append(frame)

    @invariant()
    def everybody_got_their_own(self):
        for one, frames in self.expected.items():
            assert self.lines[one].frames == frames
            assert all(frame.startswith(b"%d " % one.caller.tenant_id) for frame in frames)

    @invariant()
    def who_did_not_read_is_dropped(self):
        for one, frames in self.expected.items():
            slow = sum(map(len, frames)) > MOST
            assert self.lines[one].end_code == (1013 if slow else None)

    @invariant()
    def the_registry_is_in_step(self):
        assert len(self.registry) == len(self.wanted)
        for topic in Topic:
            tenants = {one.caller.tenant_id for one, topics in self.wanted.items() if topic in topics}
            assert sorted(self.registry.watched(topic)) == sorted(tenants)
        assert sorted(self.registry.tenants()) == sorted({one.caller.tenant_id for one in self.wanted})


TestWatching = Watching.TestCase


def test_what_happens_while_a_snapshot_is_read_comes_after_it():
    one, line = client()
    one.hold()
    one.hold()
    one.write(b"delta 1")
    one.reply(b"snapshot 1")
    one.release()
    one.write(b"delta 2")
    one.reply(b"snapshot 2")
    one.release()
    one.write(b"delta 3")
    assert line.frames == [b"snapshot 1", b"snapshot 2", b"delta 1delta 2", b"delta 3"]


def test_what_is_kept_back_is_bounded_too():
    one, line = client()
    one.hold()
    for _ in range(MOST // 10 + 1):
        one.write(b"x" * 10)
    assert (line.end_code, line.frames) == (1013, [])
    one.release()
    assert line.frames == []
