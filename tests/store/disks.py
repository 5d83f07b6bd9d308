"""Real small disks to be filled and broken, and a daemon whose state lies on one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bluegreen.balancers.embedded import Server, configuration, embedded, find_binary
from bluegreen.balancers.runtime_api import RuntimeApi
from tests.acceptance.operator import Daemon, Operator

SIZE_MIB = 120
"""More than a deployment wants free, and the ballast; little enough to be filled at once."""
SERVICE = """
service: web
environments:
  blue: {{url: "http://127.0.0.1:{blue}"}}
  green: {{url: "http://127.0.0.1:{green}"}}
switch_points:
  - {{kind: haproxy, name: front, socket: {socket}, backend: web, servers: {{blue: [blue], green: [green]}}}}
deploy: {{kind: command, run: [/bin/true], idempotent: true}}
smoke: [{{name: up, http: "{{url}}/healthz"}}]
shift: {{steps: [10%, 20%, 30%, 40%, 50%, 60%, 70%, 80%, 90%, 100%], wait: 300ms}}
health: {{every: 50ms, timeout: 20s}}
bake: 200ms
keep_warm: 1ms
"""


def _run(*command: str) -> None:
    """Skips the test where it may not be done here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    if done.returncode != 0:
        pytest.skip(f"not permitted here: {' '.join(command)}: {done.stderr.strip()}")


@dataclass
class Disk:
    """A file system of its own."""

    path: Path

    def free(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def fill(self) -> None:
        """To the last byte."""
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (1 << 20, 1 << 16, 4096, 512, 1):
                with contextlib.suppress(_NoSpace):
                    while True:
                        _write(fd, bytes(size))
        finally:
            os.close(fd)

    def empty(self) -> None:
        """Room again."""
        self._filler.unlink()

    @contextlib.contextmanager
    def runaway(self) -> Iterator[None]:
        """Another program that fills whatever becomes free, without end."""
        stop = threading.Event()

        def fill() -> None:
            while not stop.wait(0.0005):
                self.fill()

        thread = threading.Thread(target=fill)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def stop_for_an_error(self) -> None:
        """As ext4 does where its own log cannot be written: read-only from here on, whoever has files open."""
        _run("mount", "-o", "remount,abort", str(self.path))


class _NoSpace(Exception):
    """The disk is full."""


def _write(fd: int, data: bytes) -> None:
    try:
        os.write(fd, data)
        os.fdatasync(fd)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _NoSpace from error
        raise


@contextlib.contextmanager
def mounted(kind: str, directory: Path) -> Iterator[Disk]:
    """A disk of SIZE_MIB, `tmpfs` or `ext4`; the test is skipped, with the reason, where that is not permitted."""
    path = directory / "disk"
    path.mkdir()
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(path))
    else:
        image = directory / "image"
        with image.open("wb") as file:
            file.truncate(SIZE_MIB << 20)
        _run("/usr/sbin/mkfs.ext4", "-q", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(path))
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False, timeout=60)


@dataclass
class Host:
    """A daemon whose state lies on a small disk, a real HAProxy beside it, and an operator."""

    disk: Disk
    directory: Path
    config: Path
    haproxy: Path
    daemon: Daemon
    operator: Operator

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """What /readyz says."""
        connector = aiohttp.UnixConnector(str(self.directory / "c.sock"))
        client = aiohttp.ClientSession(connector=connector)
        async with client as session, session.get("http://daemon/readyz") as answer:
            return answer.status, await answer.json()

    async def shown(self) -> dict[str, int]:
        """The weights that HAProxy itself shows."""
        answer = await RuntimeApi(str(self.haproxy), 2.0).ask("show stat")
        rows = [line.split(",") for line in answer.splitlines() if line.startswith("web,")]
        return {row[1]: int(row[18]) for row in rows if row[1] in ("blue", "green")}

    def log(self) -> str:
        return (self.directory / "daemon.log").read_text()


@contextlib.asynccontextmanager
async def host(
    disk: Disk, directory: Path, program: str = "bluegreen", variables: dict[str, str] | None = None
) -> AsyncIterator[Host]:
    """A host with its daemon not started yet; ended with it."""
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for name in ("blue", "green"):
            server = await asyncio.start_server(functools.partial(_answer, name), "127.0.0.1", 0)
            ports[name] = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        front = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        front.close()
        await front.wait_closed()
        servers = [Server(name, f"127.0.0.1:{ports[name]}", 100 * (name == "blue")) for name in ports]
        text = configuration(directory, f"127.0.0.1:{port}", "web", servers)
        haproxy = await stack.enter_async_context(embedded(directory, text, find_binary()))
        (directory / "services").mkdir()
        (directory / "services" / "web.yaml").write_text(SERVICE.format(**ports, socket=haproxy.socket))
        config = directory / "bluegreen.yaml"
        config.write_text(
            f"state: {{directory: {disk.path / 'state'}}}\ncontrol: {{socket: c.sock}}\nobserve: {{every: 500ms}}\n"
        )
        daemon = Daemon(config, directory / "c.sock", variables, program)
        stack.push_async_callback(_ended, daemon)
        operator = Operator(directory / "c.sock", "web")
        yield Host(disk, directory, config, Path(haproxy.socket), daemon, operator)


async def _ended(daemon: Daemon) -> None:
    with contextlib.suppress(AssertionError, ProcessLookupError):
        await daemon.end(9)


async def _answer(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = f'{{"version": "{name}"}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write((head + body).encode())
            await writer.drain()
