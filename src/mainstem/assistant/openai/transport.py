"""HTTP to the model's endpoint, which reaches public addresses and those of OUTBOUND_ALLOW only: names are looked at, too."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore2
import httpx2

from mainstem.platform.addresses import Network
from mainstem.platform.reach import is_open, read_address

_CONNECT_S: Final = 5.0
_MOST_CONNECTIONS: Final = 100


class BlockedError(httpcore2.ConnectError):
    """The endpoint has no address that may be reached."""


class _VettedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the very address that was looked at."""

    def __init__(self, allow: tuple[Network, ...]) -> None:
        self._allow = allow
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Return a connection. Raises httpcore2.ConnectError where nothing of the name may be reached."""
        try:
            async with asyncio.timeout(timeout or _CONNECT_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"The name {host} was not resolved in time.") from error
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore2.ConnectError(f"The name {host} can't be resolved.") from error
        texts = [str(sockaddr[0]) for *_, sockaddr in found]
        open_ = [
            text for text in texts if (address := read_address(text)) is not None and is_open(address, self._allow)
        ]
        if not open_:
            raise BlockedError(f"{host} has no public address (see OUTBOUND_ALLOW).")
        return await self._plain.connect_tcp(open_[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Transport(httpx2.AsyncHTTPTransport):
    """The usual transport over vetted connections; proxies of the environment are not used."""

    def __init__(self, allow: tuple[Network, ...]) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=_MOST_CONNECTIONS,
            network_backend=_VettedBackend(allow),
        )


def client(allow: tuple[Network, ...], timeout_s: float) -> httpx2.AsyncClient:
    """Return a client for one endpoint; it follows no redirects."""
    return httpx2.AsyncClient(
        transport=_Transport(allow),
        timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        follow_redirects=False,
        trust_env=False,
    )
