"""Talks to the daemon: HTTP over its unix socket, or over TCP. Standard library only. Every wait has a deadline.

A question may be asked again. A request that changes something carries an Idempotency-Key: where its answer is lost it
is sent once more with the same key, and where that is lost too nobody may guess (AnswerLost).
"""

from __future__ import annotations

import http.client
import json
import secrets
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from bluegreen.cli.problems import AnswerLost, Problem, from_document
from bluegreen.cli.words import Document
from bluegreen.errors import DaemonUnreachable, NotPermitted

DEADLINE = 10.0
"""Seconds for a connection, and for each part of an answer."""

SILENT = 2.0
"""Seconds without an answer after which is said what is waited for, and for how long."""

RETURN = 5.0
"""Seconds in which a daemon may come back (a restart) before a lost request is given up."""

SILENCE = 60.0
"""Seconds without a word on an event stream: the daemon pings more often than that."""

_NOT_RUNNING = (
    "is it running? `systemctl status bluegreen`; to fail back without it: `bluegreen failback SERVICE`, on its host"
)


class Door(Protocol):
    """A way to the daemon."""

    def connection(self, deadline: float) -> http.client.HTTPConnection:
        """Not yet connected."""
        ...

    def headers(self) -> dict[str, str]:
        """What says who asks."""
        ...

    def holder(self, connected: socket.socket) -> str:
        """Who listens there, in words with a space before; empty where it is not told."""
        ...


@dataclass(frozen=True, slots=True)
class UnixDoor:
    """The daemon's unix socket: it sees who asks."""

    path: str

    def connection(self, deadline: float) -> http.client.HTTPConnection:
        return _UnixConnection(self.path, deadline)

    def headers(self) -> dict[str, str]:
        return {}

    def holder(self, connected: socket.socket) -> str:
        with suppress(OSError):
            pid, _, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return f" (pid {pid})" if pid else ""
        return ""

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class TcpDoor:
    """The daemon's TCP endpoint: a bearer token says who asks."""

    host: str
    port: int
    token: str | None

    def connection(self, deadline: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=deadline)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def holder(self, connected: socket.socket) -> str:
        return ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def tcp_door(url: str, token: str | None) -> TcpDoor:
    """`http://host:port`. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"{url!r} is not a control endpoint; wanted http://HOST:PORT")
    return TcpDoor(parts.hostname, parts.port or 80, token)


class Client:
    """Asks one daemon. `now` is the daemon's own time at its last answer: ages are counted by its clock."""

    def __init__(self, door: Door, deadline: float = DEADLINE, grace: float = RETURN) -> None:
        self.now: datetime | None = None
        self._door = door
        self._deadline = deadline
        self._grace = grace
        self._said = False

    def get(self, *path: str, **query: str | int | None) -> Document:
        """Read a document. Raises DaemonUnreachable where no answer comes, and what the answer says."""
        try:
            return self._ask("GET", _target(path, query), {}, None)
        except _LostError as lost:
            raise DaemonUnreachable(f"the daemon at {self._door} did not answer: {lost}", _NOT_RUNNING) from lost

    def download(self, *path: str) -> tuple[bytes, str]:
        """Read what is no document; gives it with the digest that it came with. Raises as `get` does."""
        with closing(self._door.connection(self._deadline)) as connection:
            self._connect(connection)
            try:
                connection.request("GET", _target(path, {}), headers=self._door.headers())
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    self._read(answer)
                return answer.read(), answer.headers.get("X-Evidence-Digest", "")
            except (OSError, http.client.HTTPException) as error:
                raise DaemonUnreachable(f"the answer of {self._door} broke off: {_why(error)}", _NOT_RUNNING) from error

    def post(self, *path: str, body: Document) -> Document:
        """Ask for a change. Raises AnswerLost where it is not known whether the daemon took the request."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        raw = json.dumps(body).encode()
        try:
            return self._ask("POST", _target(path, {}), headers, raw)
        except _LostError:
            return self._repeat(path, headers, raw)

    def stream(self, *path: str, after: int | None, **query: str | int | None) -> Iterator[Document]:
        """Events as they happen, from `after` on. Ends when the daemon closes; raises DaemonUnreachable on silence."""
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
        with closing(self._door.connection(SILENCE)) as connection:
            self._connect(connection)
            try:
                connection.request("GET", _target(path, query), headers=headers | self._door.headers())
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    self._read(answer)
                yield from _events(answer)
            except (OSError, http.client.HTTPException) as error:
                raise DaemonUnreachable(f"the stream of {self._door} broke: {_why(error)}", _NOT_RUNNING) from error

    def _repeat(self, path: tuple[str, ...], headers: dict[str, str], raw: bytes) -> Document:
        """Once more with the same key: the daemon answers as it did, or does it now. Within a restart's time."""
        until = time.monotonic() + self._grace
        while True:
            try:
                return self._ask("POST", _target(path, {}), headers, raw)
            except DaemonUnreachable as gone:
                if time.monotonic() >= until:
                    raise self._unknown(str(gone.what)) from gone
                time.sleep(min(0.1, self._grace))
            except _LostError as lost:
                raise self._unknown(str(lost)) from lost

    def _unknown(self, why: str) -> AnswerLost:
        return AnswerLost(
            f"the request was sent, but its answer was lost: {why}",
            "it may or may not have been taken: read before you do anything (`bluegreen status`)",
        )

    def _ask(self, method: str, target: str, headers: dict[str, str], raw: bytes | None) -> Document:
        with closing(self._door.connection(self._deadline)) as connection:
            self._connect(connection)
            try:
                connection.request(method, target, raw, headers | self._door.headers())
                self._wait(connection.sock, again=method == "POST")
                return self._read(connection.getresponse())
            except (OSError, http.client.HTTPException) as error:
                raise _LostError(_why(error)) from error

    def _wait(self, connected: socket.socket, *, again: bool) -> None:
        """For the first word of an answer, or until all but its deadline is over. A wait that grows long is told of on
        standard error: of questions that are asked over and over only the first one, until something is answered."""
        if self._deadline <= SILENT or select.select([connected], [], [], SILENT)[0]:
            self._said = False
            return
        if again or not self._said:
            print(
                f"the daemon at {self._door}{self._door.holder(connected)} has not answered for {SILENT:g} s; "
                f"waiting up to {self._deadline:g} s",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        self._said = True
        connected.settimeout(self._deadline - SILENT)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except PermissionError as error:
            raise NotPermitted(
                f"{self._door}: this user may not connect to the daemon",
                "become a member of the socket's group (usually `bluegreen`; log in again after), or use sudo",
            ) from error
        except OSError as error:
            raise DaemonUnreachable(f"no daemon answers at {self._door}: {_why(error)}", _NOT_RUNNING) from error

    def _read(self, answer: http.client.HTTPResponse) -> Document:
        raw = answer.read()
        self.now = _date(answer.headers.get("Date")) or self.now
        try:
            document = json.loads(raw)
        except ValueError:
            document = None
        if answer.status < http.client.BAD_REQUEST and isinstance(document, dict):
            return document
        if not isinstance(document, dict) or "type" not in document:
            raise from_document(
                {"status": answer.status, "detail": f"{self._door} answered {answer.status} {answer.reason}".strip()}
                | {"advice": "is this bluegreen's control endpoint?"}
            )
        raise from_document(document) from Problem(document)


class _LostError(Exception):
    """The request went out, and no whole answer came."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, deadline: float) -> None:
        super().__init__("localhost", timeout=deadline)
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made


def _target(path: tuple[str, ...], query: dict[str, str | int | None]) -> str:
    given = urlencode({key: value for key, value in query.items() if value is not None})
    return "/v1/" + "/".join(quote(part, safe="") for part in path) + (f"?{given}" if given else "")


def _events(answer: http.client.HTTPResponse) -> Iterator[Document]:
    """The `data` of each server-sent event; comments (pings) and other fields are passed over."""
    data: list[str] = []
    while line := answer.readline():
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text[5:].removeprefix(" "))
        elif not text and data:
            yield json.loads("\n".join(data))
            data = []


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the time is up"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
