"""A daemon that only answers what it was told to: canned documents over a unix socket."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Document = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One answer. `lost`: the request is read, and the connection closed without a word."""

    document: Document = field(default_factory=dict)
    status: int = 200
    lost: bool = False
    events: tuple[Document, ...] = ()
    first: Callable[[], object] = lambda: None
    """Called before the answer is sent."""


LOST = Reply(lost=True)


@dataclass(frozen=True)
class Heard:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Document | None


class FakeDaemon(socketserver.ThreadingUnixStreamServer):
    """`says["GET", "/v1/services"] = [reply, …]`: one after the other, the last for ever."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says: dict[tuple[str, str], list[Reply]] = {}
        self.heard: list[Heard] = []
        super().__init__(str(path), _Handler)

    def say(self, method: str, path: str, *replies: Document | Reply) -> None:
        """What is answered to requests for the path, in turn."""
        self.says[method, path] = [one if isinstance(one, Reply) else Reply(one) for one in replies]

    def next_reply(self, heard: Heard) -> Reply:
        self.heard.append(heard)
        replies = self.says.get((heard.method, heard.path))
        if not replies:
            return problem("not-found", 404, f"no route {heard.method} {heard.path}", "see /openapi.json")
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def posts(self) -> list[Heard]:
        """The requests that would have changed something."""
        return [one for one in self.heard if one.method == "POST"]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeDaemon

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The canned documents live at one instant."""
        return "Mon, 23 Nov 2026 09:10:00 GMT"

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        body = json.loads(raw) if raw else None
        heard = Heard(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)
        reply = self.server.next_reply(heard)
        reply.first()
        self.close_connection = True
        if reply.lost:
            return
        if reply.events:
            self._stream(reply.events)
            return
        sent = json.dumps(reply.document).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json" if reply.status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _stream(self, events: tuple[Document, ...]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": ping\n\n")
        for event in events:
            self.wfile.write(f"id: {event['seq']}\ndata: {json.dumps(event)}\n\n".encode())


def problem(slug: str, status: int, detail: str, advice: str = "", **more: Any) -> Reply:
    """A problem document."""
    document = {"type": f"urn:bluegreen:{slug}", "title": slug, "status": status, "detail": detail, "advice": advice}
    return Reply(document | more, status)


@contextlib.contextmanager
def running(path: Path, *said: tuple[str, str, Document | Reply]) -> Iterator[FakeDaemon]:
    """A fake daemon that answers while the block runs. `said` is there before the first request can come."""
    server = FakeDaemon(path)
    for method, route, reply in said:
        server.say(method, route, reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        path.unlink(missing_ok=True)
