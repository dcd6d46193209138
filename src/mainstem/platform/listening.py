"""Sockets that a server listens on: one of its own, or a port that several processes share."""

import socket
from collections.abc import Callable


class _PortOfAll(socket.socket):
    """A port that several processes listen on: whoever is handed it opens a listening socket of its own.

    The kernel then spreads connections over the processes. On one shared socket the first to wake takes all that wait:
    measured here, one of two processes was often left without any. It does not listen itself, or it would get a share.
    """

    def __reduce__(self) -> tuple[Callable[[str, int], socket.socket], tuple[str, int]]:
        host, port = self.getsockname()[:2]
        return _listen_beside, (host, port)


def _listen_beside(host: str, port: int) -> socket.socket:
    return bind(host, port, option=socket.SO_REUSEPORT)


def port_of_all(host: str, port: int) -> socket.socket:
    """Take a port for several processes: pickled to one of them, the socket becomes a listening one of its own.

    Raises OSError when the port is taken or the host unknown.
    """
    # a port that others share, too, would seem to be free
    with bind(host, port) as free:
        family, (host, port) = free.family, free.getsockname()[:2]
    taken = _PortOfAll(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, port))
    except OSError:
        taken.close()
        raise
    return taken


def bind(host: str, port: int, *, option: int = socket.SO_REUSEADDR) -> socket.socket:
    """Return a listening socket. Raises OSError with the usual errno when the port is taken or the host unknown."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named, every event loop turns Nagle's delay off
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address to show for a listening socket."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
