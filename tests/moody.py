"""A server between a client and the product that hangs up, refuses and loses answers before it behaves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HANG_UP = 0
LOSE_ANSWER = -1
_PASSED_ON = ("Authorization", "X-API-Key", "Content-Type")


class Moody(ThreadingHTTPServer):
    """Treats the first requests by its moods (a status, HANG_UP or LOSE_ANSWER) and passes the others to the product."""

    daemon_threads = True

    def __init__(self, upstream: str, moods: tuple[int, ...] = (HANG_UP, 429, 503)) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.upstream = upstream
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.moods = list(moods)
        self.bodies: list[bytes] = []


class Relay(BaseHTTPRequestHandler):
    """One request to a moody server."""

    server: Moody

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        mood = self.server.moods.pop(0) if self.server.moods else 200
        if mood == HANG_UP:
            self.close_connection = True
        elif mood in {200, LOSE_ANSWER}:
            kept = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            answer = httpx.post(self.server.upstream + self.path, content=body, headers=kept, timeout=15)
            if mood == LOSE_ANSWER:
                self.close_connection = True
            else:
                self._answer(answer.status_code, answer.content, [("Content-Type", answer.headers["content-type"])])
        else:
            self._answer(mood, b"{}", [("Retry-After", "1")])

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def relaying(upstream: str, *moods: int) -> Iterator[Moody]:
    """Run a moody server while the block runs."""
    with Moody(upstream, moods) if moods else Moody(upstream) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
