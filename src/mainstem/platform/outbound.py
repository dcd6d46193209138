"""Outgoing HTTP: one client for all of it, which reaches public addresses only.

A name is resolved here, every address it has is looked at, and the connection is made to the address that was looked at, so
that a name can't mean something else a moment later. Redirects are not followed, proxies of the environment not used,
answers read no further than asked for. Networks of OUTBOUND_ALLOW are open all the same.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

import mainstem
from mainstem.platform.addresses import Network
from mainstem.platform.reach import SCHEMES, is_open, read_address

_UNSENDABLE: Final = re.compile(r"[^\x21-\x7e]+")
"""What an address in a request must not hold as it is."""
_DNS_TTL_S: Final = 30
_DNS_TIMEOUT_S: Final = 5.0
_MOST_LOOKUPS: Final = 64
"""Names looked up at once. Each takes a thread until the system gives up, so they must not be those that others need."""
_CONNECT_TIMEOUT_S: Final = 5.0
_KEEP_ALIVE_S: Final = 4.0
"""Shorter than the five seconds after which many servers hang up: a request that meets the hang-up is lost."""
_MOST_CONNECTIONS: Final = 1_000
_AGENT: Final = f"Mainstem/{mainstem.__version__}"


class Trouble(StrEnum):
    """Why a call got no answer."""

    BLOCKED = "blocked"
    """The target is no address that may be reached."""
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """What came back was no HTTP, or ended too early."""


_BEFORE_SENDING: Final = frozenset({Trouble.BLOCKED, Trouble.DNS, Trouble.CONNECT, Trouble.TLS})


class OutboundError(Exception):
    """A call got no answer: `trouble` says in a word why, the message in a sentence."""

    def __init__(self, trouble: Trouble, sentence: str, *, sent: bool = True) -> None:
        """Keep both, and whether the peer may have got the request."""
        super().__init__(sentence)
        self.trouble = trouble
        self.sent = sent and trouble not in _BEFORE_SENDING
        """False only where it can't have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer said."""

    status: int
    headers: Mapping[str, str]
    """Names compare without case."""
    body: bytes
    """No more than was asked for."""
    truncated: bool


class _VettedResolver(AbstractResolver):
    """Resolves names by the system, and lets through only what may be reached."""

    def __init__(self, allow: tuple[Network, ...]) -> None:
        self._allow = allow
        self._threads = ThreadPoolExecutor(_MOST_LOOKUPS, thread_name_prefix="dns")
        self._under_way: dict[tuple[str, int, int], asyncio.Future[list[tuple[Any, ...]]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name that may be reached. Raises OutboundError when there is none."""
        try:
            async with asyncio.timeout(_DNS_TIMEOUT_S):
                # a lookup can't be called off: who asks again joins the one that is under way
                found = await asyncio.shield(self._lookup(host, port, family))
        except (socket.gaierror, UnicodeError) as error:
            raise OutboundError(Trouble.DNS, f"The name {host} can't be resolved.") from error
        except TimeoutError as error:
            raise OutboundError(Trouble.DNS, f"The name {host} was not resolved in {_DNS_TIMEOUT_S:g} s.") from error
        vetted = [
            ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, sockaddr in found
            if (address := read_address(str(sockaddr[0]))) is not None and is_open(address, self._allow)
        ]
        if not vetted:
            raise OutboundError(Trouble.BLOCKED, f"{host} has no public address (see OUTBOUND_ALLOW).")
        return vetted

    def _lookup(self, host: str, port: int, family: int) -> asyncio.Future[list[tuple[Any, ...]]]:
        key = host, port, family
        known = self._under_way.get(key)
        if known is None:
            ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
            known = self._under_way[key] = asyncio.get_running_loop().run_in_executor(self._threads, ask)
            known.add_done_callback(lambda _: self._under_way.pop(key, None))
        return known

    async def close(self) -> None:
        """Wait for no lookup."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _Connection:
    """What is known of the connection of a call."""

    is_new: bool = False
    """It was made for this call; else it served another before."""


_CONNECTION: Final[ContextVar[_Connection | None]] = ContextVar("mainstem.outbound.connection", default=None)


def _socket(allow: tuple[Network, ...], info: "tuple[Any, ...]") -> socket.socket:
    """Open a socket for a connection: the last look at where it goes, also for an address without a name."""
    family, kind, proto, _, sockaddr = info
    address = read_address(str(sockaddr[0]))
    if address is None or not is_open(address, allow):
        raise OutboundError(Trouble.BLOCKED, f"{sockaddr[0]} is not a public address (see OUTBOUND_ALLOW).")
    connection = _CONNECTION.get()
    if connection is not None:
        connection.is_new = True
    opened = socket.socket(family, kind, proto)
    opened.setblocking(False)
    return opened


class Outbound:
    """The client of a process; opens at its first call, on the loop of that call."""

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        """Keep the networks that are open beside the public ones."""
        self.allow = tuple(allow)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._resolver: _VettedResolver | None = None

    async def post(  # noqa: PLR0913 - the parts of a request
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        keep_bytes: int = 16_384,
        may_repeat: bool = False,
    ) -> Answer:
        """Send a POST and return the answer, whatever its status.

        With `may_repeat` it is sent once more, over a new connection, when a kept one turns out to be dead: for receivers that
        know a repetition by its id. Raises OutboundError when no answer came within `timeout_s`, which holds for all of it:
        name, connection and answer.
        """
        return await self.call(
            "POST", url, body, headers, timeout_s=timeout_s, keep_bytes=keep_bytes, may_repeat=may_repeat
        )

    async def call(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        keep_bytes: int = 1_048_576,
        may_repeat: bool = False,
    ) -> Answer:
        """Send a request of any method, as `post` does."""
        started = perf_counter()
        connection = _Connection()
        _CONNECTION.set(connection)
        repeated = False
        try:
            async with asyncio.timeout(timeout_s):
                sent = _as_sent(url)
                try:
                    return await self._send(self._opened(), method, sent, body, headers, keep_bytes)
                except (aiohttp.ClientConnectionError, ConnectionError):
                    # the peer had hung up, most likely, before this was sent
                    if connection.is_new or not may_repeat:
                        raise
                    repeated = True
                    return await self._send(self._opened(fresh=True), method, sent, body, headers, keep_bytes)
        except OutboundError as error:
            error.sent = error.sent or repeated
            raise
        except TimeoutError as error:
            took = perf_counter() - started
            connected = not isinstance(error, aiohttp.ServerTimeoutError)
            sentence = f"No {'answer' if connected else 'connection'} within {took:.1f} s."
            raise OutboundError(Trouble.TIMEOUT, sentence, sent=connected or repeated) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            named = _named(error)
            named.sent = named.sent or repeated
            raise named from error

    @staticmethod
    async def _send(  # noqa: PLR0913, PLR0917 - as `call`
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str],
        keep_bytes: int,
    ) -> Answer:
        async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            kept, truncated = await _read(response, keep_bytes)
            return Answer(response.status, response.headers, kept, truncated)

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = self._sessions, {}
        resolver, self._resolver = self._resolver, None
        for session in sessions.values():
            await session.close()
        if resolver is not None:
            await resolver.close()

    def _opened(self, *, fresh: bool = False) -> aiohttp.ClientSession:
        """Return the session that keeps connections, or the one that makes a new one for each request."""
        if fresh not in self._sessions:
            self._resolver = self._resolver or _VettedResolver(self.allow)
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=partial(_socket, self.allow),
                ttl_dns_cache=_DNS_TTL_S,
                limit=_MOST_CONNECTIONS,
                **({"force_close": True} if fresh else {"keepalive_timeout": _KEEP_ALIVE_S}),
            )
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
                # what comes packed stays packed: nobody here reads it, and a small body may unpack to a huge one
                auto_decompress=False,
                headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
                trust_env=False,
            )
        return self._sessions[fresh]


@lru_cache(maxsize=4_096)
def _as_sent(url: str) -> URL:
    """Return an address as requests carry it. Raises OutboundError.

    It stays as it was given, for what was signed or escaped by its owner must not be written anew; only what HTTP can't carry
    is escaped, and a name in another script written as DNS has it.
    """
    try:
        sent = URL(_UNSENDABLE.sub(lambda found: quote(found[0]), url), encoded=True)
        host = URL(url).host
        if sent.scheme in SCHEMES and host and sent.port is not None:
            return sent if url.isascii() else sent.with_host(host)
    except ValueError:
        pass
    raise OutboundError(Trouble.BLOCKED, "That is no address to call.")


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    kept = bytearray()
    async for part in response.content.iter_any():
        kept += part
        if len(kept) > most:
            # the rest is not wanted: hanging up is cheaper than reading it
            response.close()
            return bytes(kept[:most]), True
    return bytes(kept), False


def _named(error: Exception) -> OutboundError:
    # nothing of what was sent or received stands in a sentence: both may hold secrets, and sentences are shown and logged
    trouble = Trouble.PROTOCOL
    match error:
        case aiohttp.ClientSSLError():
            trouble, sentence = Trouble.TLS, f"TLS failed: {_tls_reason(error.os_error)}."
        case aiohttp.ClientConnectorError():
            trouble, sentence = Trouble.CONNECT, f"No connection: {_reason(error.os_error)}."
        case aiohttp.InvalidURL():
            trouble, sentence = Trouble.BLOCKED, "That is no address to call."
        case aiohttp.ClientResponseError():
            # what follows the first colon is quoted from the answer
            sentence = f"No answer in HTTP: {error.message.partition(':')[0].rstrip('. ')}."
        case aiohttp.ClientPayloadError():
            sentence = "The answer ended too early, or was broken."
        case aiohttp.ClientConnectionError() | OSError():
            sentence = "The peer hung up before it had answered."
        case _:
            sentence = "The request holds what HTTP does not allow."
    return OutboundError(trouble, sentence)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__)[:200]


def _tls_reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (getattr(error, "reason", None) or type(error).__name__).lower().replace("_", " ")
