"""Builds the demo's world and ends it: a real HAProxy, the environments' processes, the daemon; nothing stays behind.

The daemon is a process of its own, kept running as systemd would: whoever kills it sees that traffic flows on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen.balancers.embedded import Server, configuration, embedded
from bluegreen.cli.client import Client, UnixDoor
from bluegreen.config.load import load
from bluegreen.demo.layout import HOST, SERVICE, Layout, Pace, lay_out
from bluegreen.deployers import open_deployer
from bluegreen.errors import BlueGreenError, DaemonUnreachable, ExitCode, StoreError
from bluegreen.ports import Scene
from bluegreen.processes import become_subreaper

READY_SECONDS = 20.0
STOP_SECONDS = 12.0
RESTART_SECONDS = 3.0
RESTARTS_MAX = 10
CALL_SECONDS = 20.0
LOG_TAIL = 2000


class NoBalancer(BlueGreenError):
    """The demo needs a real balancer, and the machine has none."""

    exit_code = ExitCode.USAGE
    slug = "no-balancer"


@dataclass(frozen=True, slots=True)
class World:
    """What runs: where it is, the daemon, and HAProxy's process."""

    layout: Layout
    daemon: Daemon
    haproxy_pid: int

    async def service(self) -> dict[str, Any]:
        """The service's document. Raises DaemonUnreachable, StoreError."""
        return await asyncio.to_thread(_client(self.layout).get, "services", SERVICE)

    async def events(self) -> list[dict[str, Any]]:
        """The journal. A daemon that is being started again is waited for."""
        found: list[dict[str, Any]] = []
        while page := await self._events_after(found[-1]["seq"] if found else 0):
            found += page
        return found

    async def _events_after(self, seq: int) -> list[dict[str, Any]]:
        for _ in range(RESTARTS_MAX):
            with contextlib.suppress(DaemonUnreachable, StoreError):
                page = await asyncio.to_thread(_client(self.layout).get, "events", after=seq)
                return list(page["events"])
            await asyncio.sleep(RESTART_SECONDS)
        raise BlueGreenError("the daemon does not come back", f"its log: {self.layout.log}")

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run `bluegreen ARGUMENTS` as a person would; gives the exit code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", *arguments, env=_environment(self.layout), start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(CALL_SECONDS):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise BlueGreenError(f"`bluegreen {' '.join(arguments)}` took more than {CALL_SECONDS:g} s") from None
        finally:
            await _stop(process)
        return process.returncode or 0, printed.decode(errors="replace")


class Daemon:
    """`bluegreen serve` as a process. Its log is a file."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, or ran last."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it knows who is live. Raises BlueGreenError with the end of its log."""
        with self._layout.log.open("ab") as stream:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bluegreen", "serve", "--config", str(self._layout.config),
                env=_environment(self._layout), start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
        process = self._process
        if not await _within(READY_SECONDS, lambda: self._ready(process)):
            raise self._failed(f"the daemon was not ready within {READY_SECONDS:g} s")

    async def keep(self, tell: Callable[[str], None]) -> None:
        """Start it again whenever it ends, until cancelled."""
        while self._process is not None:
            code = await self._process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            tell(f"the daemon (pid {self.pid}) is gone: {how}. The balancer has its weights; traffic flows on.")
            tell(f"  It is started again in {RESTART_SECONDS:g} s, as systemd would do it.")
            await self._start_again()
            tell(f"the daemon is back, pid {self.pid}: it read its journal and looked at the balancer")

    async def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            await _stop(self._process)

    async def _start_again(self) -> None:
        """Another process may hold the journal for a while: a failback without the daemon is one."""
        for left in range(RESTARTS_MAX - 1, -1, -1):
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await self.start()
            except BlueGreenError:
                await self.stop()
                if not left:
                    raise
            else:
                return

    async def _ready(self, process: asyncio.subprocess.Process) -> bool:
        if process.returncode is not None:
            raise self._failed(f"the daemon ended with exit code {process.returncode}")
        try:
            document = await asyncio.to_thread(_client(self._layout).get, "services", SERVICE)
        except (DaemonUnreachable, StoreError):
            return False
        return document["live"] is not None and bool(document["environments"][document["live"]]["healthy"])

    def _failed(self, what: str) -> BlueGreenError:
        tail = self._layout.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()
        return BlueGreenError(what, f"it said: {tail or 'nothing'}")


@contextlib.asynccontextmanager
async def open_world(directory: Path | None, pace: Pace, binary: str | None) -> AsyncIterator[World]:
    """Everything started, with blue at v1 and live; at the end all of it ended.

    `directory` is new or empty, and stays; None: a temporary one, removed at the end. `binary` is HAProxy's; None
    where there is none: NoBalancer. Raises BlueGreenError where something does not start.
    """
    if binary is None:
        advice = "pip install 'bluegreen[haproxy]', or: apt install haproxy"
        raise NoBalancer("the demo needs a real balancer, and there is no HAProxy here", advice)
    become_subreaper()  # what a killed daemon leaves behind becomes ours to end
    async with contextlib.AsyncExitStack() as stack:
        layout = lay_out(stack.enter_context(_own(directory)), pace)
        stack.push_async_callback(end_descendants)
        await _first_release(layout)
        servers = [
            Server(name, f"{HOST}:{layout.ports[name]}", weight) for name, weight in (("blue", 100), ("green", 0))
        ]
        listen = f"{HOST}:{layout.ports['front']}"
        config = configuration(layout.haproxy, listen, SERVICE, servers, state=True)
        haproxy = await stack.enter_async_context(embedded(layout.haproxy, config, binary))
        daemon = Daemon(layout)
        stack.push_async_callback(daemon.stop)
        await daemon.start()
        yield World(layout, daemon, haproxy.pid)


@contextlib.contextmanager
def _own(directory: Path | None) -> Iterator[Path]:
    """The demo's directory, for as long as the demo runs."""
    if directory is not None:
        yield _empty(directory.absolute())
        return
    made = Path(tempfile.mkdtemp(prefix="bluegreen-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _empty(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = next(directory.iterdir(), None)
    except OSError as error:
        raise BlueGreenError(f"{directory} cannot be used: {error.strerror}", "name another --directory") from error
    if taken is not None:
        raise BlueGreenError(f"{directory} is not empty: it has {taken.name}", "name a new --directory")
    return directory


async def _first_release(layout: Layout) -> None:
    """v1 in blue, by the same deployer that the daemon uses later."""
    service = load(layout.config).services[SERVICE]
    deployer = open_deployer(service.deploy, SERVICE, layout.state)
    try:
        outcome = await deployer.deploy(
            Scene(SERVICE, "blue", "v1", None, service.environments["blue"]), "first", lambda _: None
        )
    finally:
        await deployer.close()
    if not outcome.ok:
        raise BlueGreenError(f"v1 did not start in blue: {outcome.summary}", outcome.output)


def _client(layout: Layout) -> Client:
    return Client(UnixDoor(str(layout.socket)), deadline=2.0)


def _environment(layout: Layout) -> dict[str, str]:
    """This process's, pointed at the demo's daemon and at nobody else's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BLUEGREEN_")}
    kept.pop("NOTIFY_SOCKET", None)
    return {**kept, "BLUEGREEN_CONFIG": str(layout.config), "NO_COLOR": "1"}


# --- ending ---


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def end_descendants() -> None:
    """End every process that descends from this one: SIGTERM first, SIGKILL for what is still there after a while."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if await _within(seconds, _all_gone):
            return


async def _all_gone() -> bool:
    return not descendants(os.getpid())


async def _within(seconds: float, condition: Callable[[], Awaitable[bool]]) -> bool:
    """Ask again and again until it holds, or the time is up; gives whether it held."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False


def descendants(pid: int) -> list[int]:
    """The living processes that descend from one, as /proc has them now; a zombie lives no more."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has just ended
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in ("Z", "X"):
                    parents[int(entry.name)] = int(parent)
    found, looked = [pid], 0
    while looked < len(found):
        found += [child for child, parent in parents.items() if parent == found[looked]]
        looked += 1
    return found[1:]
