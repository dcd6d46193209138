"""The WebSocket clients of a process: whose they are, what they want, and how much waits for them.

A client never gets a message of another tenant, because clients are kept by tenant and no message goes out without one.
What a client has not read is bounded: beyond it is dropped (1013), and nobody else waits for it.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, Protocol, TypeVar
from uuid import UUID

from mainstem.dashboard.messages import Topic
from mainstem.platform.auth import Caller

K = TypeVar("K")

POLICY_VIOLATION: Final = 1008
"""Close code (RFC 6455, 7.4.1): the token is not valid, or not any more; or the client did what it must not."""
TRY_AGAIN_LATER: Final = 1013
"""Close code (IANA registry): too many clients, or this one reads too slowly."""


class RefusedError(Exception):
    """The connection is closed with this code and sentence."""

    def __init__(self, reason: str, *, why: str, code: int) -> None:
        """Keep the sentence for the client, one word for the figures, and the close code."""
        super().__init__(reason)
        self.reason = reason
        self.why = why
        self.code = code


class Line(Protocol):
    """One connection, as the server has it."""

    def write_frame(self, frame: bytes) -> None:
        """Write whole frames, unless the connection is at its end; never blocks."""

    def buffered(self) -> int:
        """Return how many bytes wait for the client."""

    def end(self, code: int, reason: str) -> None:
        """Close after what is written; cut when the client doesn't read it."""


class Client:
    """One client."""

    __slots__ = ("_held", "_held_bytes", "_holds", "_line", "_most_bytes", "caller", "ended", "expires_at", "topics")

    def __init__(self, line: Line, caller: Caller, *, expires_at: int | None, most_bytes: int) -> None:
        """Keep the connection, whose it is, and how many bytes may wait for it."""
        self._line = line
        self._most_bytes = most_bytes
        self._holds = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.caller = caller
        self.expires_at = expires_at
        self.topics: set[Topic] = set()
        self.ended: str | None = None
        """Why it was ended from here, in one word."""

    def write(self, frame: bytes) -> None:
        """Send a message of a subscription; it waits while a snapshot is read that comes before it."""
        if self._holds:
            self._held.append(frame)
            self._held_bytes += len(frame)
            if self._held_bytes > self._most_bytes:
                self._too_slow()
        else:
            self.reply(frame)

    def reply(self, frame: bytes) -> None:
        """Send at once."""
        if self.ended is None:
            self._line.write_frame(frame)
            if self._line.buffered() > self._most_bytes:
                self._too_slow()

    def hold(self) -> None:
        """Keep messages of subscriptions back until `release`; as often as that."""
        self._holds += 1

    def release(self) -> None:
        """Let what was kept back go."""
        self._holds -= 1
        if not self._holds:
            held, self._held, self._held_bytes = self._held, [], 0
            if held:
                self.reply(b"".join(held))

    def end(self, code: int, reason: str, *, why: str) -> None:
        """Close the connection; the session of the client comes to its end by that."""
        if self.ended is None:
            self.ended = why
            self._held.clear()
            self._line.end(code, reason)

    def _too_slow(self) -> None:
        self.end(TRY_AGAIN_LATER, "This client reads too slowly.", why="slow")


class Clients:
    """All clients of a process; for one event loop."""

    def __init__(self, *, most: int, most_of_tenant: int) -> None:
        """Keep the bounds."""
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._all: set[Client] = set()
        self._tenants: dict[int, set[Client]] = {}
        self._topics: dict[tuple[int, Topic], set[Client]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._all))

    def of(self, tenant_id: int) -> int:
        """Return how many clients a tenant has in this process."""
        return len(self._tenants.get(tenant_id, ()))

    def require_room(self, tenant_id: int | None = None) -> None:
        """Raise RefusedError when the process, or the tenant in it, has as many clients as it may."""
        if len(self._all) >= self._most:
            raise RefusedError("Too many connections; try again later.", why="full", code=TRY_AGAIN_LATER)
        if tenant_id is not None and self.of(tenant_id) >= self._most_of_tenant:
            raise RefusedError("Too many connections of this tenant.", why="full", code=TRY_AGAIN_LATER)

    def add(self, client: Client) -> None:
        """Take a client in."""
        self._all.add(client)
        self._tenants.setdefault(client.caller.tenant_id, set()).add(client)

    def remove(self, client: Client) -> None:
        """Forget a client."""
        self.unsubscribe(client, list(client.topics))
        self._all.discard(client)
        _discard(self._tenants, client.caller.tenant_id, client)

    def subscribe(self, client: Client, topics: Iterable[Topic]) -> None:
        """Let messages of these topics reach a client."""
        for topic in topics:
            client.topics.add(topic)
            self._topics.setdefault((client.caller.tenant_id, topic), set()).add(client)

    def unsubscribe(self, client: Client, topics: Iterable[Topic]) -> None:
        """Let them reach it no more."""
        for topic in topics:
            client.topics.discard(topic)
            _discard(self._topics, (client.caller.tenant_id, topic), client)

    def watched(self, topic: Topic) -> list[int]:
        """Return the tenants that have a client for a topic."""
        return [tenant_id for tenant_id, watched in self._topics if watched is topic]

    def tenants(self) -> list[int]:
        """Return the tenants that have a client."""
        return list(self._tenants)

    def tell(self, tenant_id: int, topic: Topic, frame: bytes, people: Collection[UUID] | None = None) -> None:
        """Send to the tenant's clients that want the topic; with `people`, to those of these users alone."""
        for client in self._topics.get((tenant_id, topic), ()):
            if people is None or client.caller.user_id in people:
                client.write(frame)

    def tell_all(self, tenant_id: int, frame: bytes) -> None:
        """Send to all clients of a tenant."""
        for client in self._tenants.get(tenant_id, ()):
            client.reply(frame)


def _discard(sets: dict[K, set[Client]], key: K, client: Client) -> None:
    found = sets.get(key)
    if found is not None:
        found.discard(client)
        if not found:
            del sets[key]
