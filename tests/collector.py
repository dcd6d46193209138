"""A small real web server on loopback that serves test pages and the tracker, and keeps what the tracker sends."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mainstem.platform.settings import Settings
from mainstem.site.tracker import answer, tracker_asset


class Collector:
    """Pages live at `http://127.0.0.1:PORT`, the tracker at `http://localhost:PORT`: two origins, as in real use."""

    def __init__(self, settings: Settings) -> None:
        self.asset = tracker_asset(settings)
        self.pages: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self._changed = threading.Condition()
        collector = self

        class Handler(_Handler):
            owner = collector

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        port = self._server.server_port
        self.site = f"http://127.0.0.1:{port}"
        self.host = f"http://localhost:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        with self._changed:
            self.pages.clear()
            self.requests.clear()
            self.answers.clear()

    def page(
        self,
        path: str,
        options: str = "",
        *,
        before: str = "",
        body: str = "",
        title: str = "A page",
        host: str | None = None,
        key: str = "ms_pub_test",
    ) -> str:
        """Put a page with the tracker (of another host where one is given) under `path`; return its address."""
        script = f'<script defer src="{host or self.host}/t.js" data-key="{key}" {options}></script>'
        self.pages[path] = f"<!doctype html><title>{title}</title><script>{before}</script>{script}<body>{body}"
        return self.site + path

    def keep(self, request: dict[str, Any]) -> int:
        with self._changed:
            self.requests.append(request)
            status = self.answers.pop(0) if self.answers else 200
            self._changed.notify_all()
            return status

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for request in self.requests for event in request["body"]["events"]]

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event_type"] == event_type]

    def wait(self, event_type: str, count: int = 1, timeout_s: float = 15) -> list[dict[str, Any]]:
        """Return the events of a type, once there are `count` of them."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.of(event_type)) >= count, timeout_s)
        assert enough, (
            f"{len(self.of(event_type))} of {count} {event_type} came; all: {[e['event_type'] for e in self.events]}"
        )
        return self.of(event_type)


class _Handler(BaseHTTPRequestHandler):
    owner: Collector
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/t.js":
            sent = answer(self.owner.asset, accept_encoding=self.headers.get("accept-encoding"))
            self.send_response(sent.status)
            for name, value in sent.headers:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(sent.body)
            return
        page = self.owner.pages.get(path)
        self._text(404 if page is None else 200, page or "")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        request = {"path": self.path, "body": body, "headers": {k.lower(): v for k, v in self.headers.items()}}
        self._text(self.owner.keep(request), "{}")

    def _text(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.send_header("access-control-allow-origin", self.headers.get("origin", "*"))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
