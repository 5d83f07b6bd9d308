"""The composition root: configuration -> ports -> engines -> control endpoint. Signals, systemd, start and end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from aiohttp import web

from bluegreen import __version__, sd
from bluegreen.aws import Sessions
from bluegreen.cards import CardKeeper
from bluegreen.clock import SystemClock
from bluegreen.config import schema
from bluegreen.config.load import load
from bluegreen.config.secrets import resolve
from bluegreen.control import values
from bluegreen.control.app import Door, build_app
from bluegreen.control.identity import user_of
from bluegreen.control.metrics import Metrics
from bluegreen.control.stream import Hub
from bluegreen.core.events import Entry
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BlueGreenError, ConfigError, ExitCode, JournalBroken
from bluegreen.fleet import Fleet
from bluegreen.log import log_entry, set_up
from bluegreen.model import Condition, Finding
from bluegreen.ports import Store, Workshop
from bluegreen.processes import become_subreaper
from bluegreen.room import keep_room
from bluegreen.store import receipt
from bluegreen.store.sqlite import SqliteStore
from bluegreen.wiring import Bench, setup_of

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 2.0
"""How long the doors wait for requests that are being answered."""
STOP_SECONDS_MAX = 9.3
"""After so long a stop is an end like any other kill: the next start looks up what was under way."""
LINE_SECONDS = 0.2
"""For the last log line to be written."""

Fit = Callable[[Store, Workshop], tuple[Store, Workshop]]
"""What may be put around the journal and the ports before the engines get them: the tests' failpoints."""


def as_built(store: Store, workshop: Workshop) -> tuple[Store, Workshop]:
    """Nothing is put around them."""
    return store, workshop


def serve(config_path: Path, fit: Fit = as_built) -> int:
    """Run the daemon in the foreground until SIGTERM; gives the exit code."""
    try:
        config = load(config_path)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log before there is a configuration
        return error.exit_code
    listener = set_up(config.daemon.log.format, config.daemon.log.level)
    try:
        asyncio.run(Daemon(config, fit).run())
    except BaseExceptionGroup as group:
        first = _first(group)
        log.error("ended: nothing moves until the next start", error=str(first), kind=type(first).__name__)
        return first.exit_code if isinstance(first, BlueGreenError) else ExitCode.FAILED
    except BlueGreenError as error:
        log.error("cannot start", error=error.what, advice=error.advice)
        return error.exit_code
    finally:
        listener.stop()
    return ExitCode.DONE


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


class Parts:
    """Everything that lives as long as the process: the journal, the engines, and what they publish to."""

    def __init__(self, config: schema.Config, fit: Fit = as_built) -> None:
        self.config = config
        self.metrics, self.hub, self.clock = Metrics(), Hub(), SystemClock()
        directory = Path(config.daemon.state.directory)
        self.store = SqliteStore(directory, self.metrics.append_seconds.observe)
        self.aws = Sessions()
        self.directory, self.cards = directory, dict[str, CardKeeper]()
        self._fitted = fit(self.store, Bench(directory, self.aws, self.metrics.called))
        self.fleet = Fleet([self.engine(service) for service in config.services.values()], self.store, self.clock)

    def engine(self, service: schema.Service) -> ServiceEngine:
        """An engine for a service; not started."""
        store, bench = self._fitted
        setup = setup_of(service)
        card = self.cards[service.service] = CardKeeper(self.directory, setup.service, setup.config, self.clock)
        return ServiceEngine(
            setup,
            store,
            self.clock,
            bench,
            self.publish,
            lambda: secrets.token_hex(8),
            self.config.daemon.observe.every,
            card,
        )

    def publish(self, entry: Entry) -> None:
        """What is durable is told: log line, metrics, live streams, systemd's status line."""
        log_entry(entry)
        self.metrics.published(entry)
        self.hub.publish(entry)
        sd.notify(f"STATUS={self.status()}")

    def status(self) -> str:
        """One line for `systemctl status`."""
        conditions = [e.state.open_switch.condition for e in self.fleet.engines.values() if e.state.open_switch]
        halted = conditions.count(Condition.HALTED)
        told = f"{len(self.fleet.engines)} services, {len(conditions)} switches open"
        told = f"{halted} HALTED: a person is awaited; {told}" if halted else told
        return f"{self.store.trouble.summary}; {told}" if self.store.trouble else told

    def journal_ails(self, trouble: Finding | None) -> None:
        """Say that something ails the journal, or that nothing does any more."""
        if trouble is not None:
            log.error("the journal: nothing but a failback goes on", error=trouble.summary, advice=trouble.advice)
        else:
            log.info("the journal: all is well again")
        sd.notify(f"STATUS={self.status()}")

    async def open(self, role: str) -> None:
        """Lock and verify the journal, restore every service. Raises StoreError."""
        await self.store.open(role)
        for engine in self.fleet.engines.values():
            await self.restore(engine)
        self.metrics.watch(self.fleet)

    async def restore(self, engine: ServiceEngine) -> None:
        """Its state from the journal, and from what was done while the journal was away. Raises StoreError."""
        await engine.start()
        for path in sorted((self.directory / receipt.DIRECTORY).glob(f"{engine.setup.service}.*.jsonl")):
            try:
                await engine.book.import_receipt(receipt.read_receipt(path))
                path.replace(path.with_suffix(".imported"))
            except JournalBroken as broken:
                log.error("a receipt cannot be imported: the balancers tell what it did", error=str(broken))
                path.replace(path.with_suffix(".broken"))
        card = self.cards[engine.setup.service]
        if why := await card.newer_than(self.store):
            await engine.book.distrust(why)
        if engine.book.head is not None:
            await card.keep(engine.state, engine.book.head)

    async def close(self) -> None:
        """Let go of everything, the lock last."""
        await self.fleet.close()
        await self.aws.close()
        await self.store.close()


class Daemon:
    """One process on the ops host."""

    def __init__(self, config: schema.Config, fit: Fit = as_built) -> None:
        self._parts = Parts(config, fit)
        self._config = config
        self._tokens: Mapping[str, str] = {}
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Start, serve, and end in order. Raises what ends the daemon."""
        become_subreaper()
        self._catch_signals()  # before anything is begun: a stop during the start ends in order, too
        parts = self._parts
        self._tokens = _tokens(self._config)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(parts.close)
            await parts.open("daemon")
            for engine in parts.fleet.engines.values():
                await engine.take_over()
            runners = await self._open_doors(stack)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(engine.run()) for engine in parts.fleet.engines.values()]
                helpers = [group.create_task(self._ping()), group.create_task(self._reload_forever(group, tasks))]
                helpers.append(group.create_task(keep_room(parts.store, parts.clock, parts.journal_ails)))
                sd.notify("READY=1", f"STATUS={parts.status()}", f"MAINPID={os.getpid()}")
                log.info("ready", version=__version__, pid=os.getpid(), services=sorted(parts.fleet.engines))
                await self._stop.wait()
                sd.notify("STOPPING=1", "STATUS=stopping: what is under way is written down")
                log.info("stopping")
                asyncio.get_running_loop().call_later(STOP_SECONDS_MAX, _end_hard)
                await parts.fleet.stop()
                parts.hub.close()
                for task in helpers:
                    task.cancel()
            for runner in runners:
                await runner.cleanup()
        log.info("stopped")

    # --- doors ---

    async def _open_doors(self, stack: contextlib.AsyncExitStack) -> list[web.AppRunner]:
        control = self._config.daemon.control
        about = {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": values.time(self._parts.fleet.started_at),
            "user": user_of(os.geteuid()).name,
            "config": self._config.file,
        }
        door = Door(self._parts.fleet, self._parts.hub, self._parts.metrics, about, lambda: self._tokens)
        runner = web.AppRunner(build_app(door), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        path = _free_socket(Path(control.socket))
        try:
            await web.UnixSite(runner, str(path)).start()
            path.chmod(int(control.mode, 8))
            if control.http is not None:
                host, _, port = control.http.rpartition(":")
                await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            where = control.http if "address" in str(error) and control.http else control.socket
            raise BlueGreenError(
                f"the control endpoint cannot be opened at {where}: {error.strerror or error}",
                "another process may hold it: `ss -lptn`; or name another address under `control`",
            ) from error
        stack.callback(path.unlink, missing_ok=True)
        return [runner]

    # --- signals and systemd ---

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    async def _ping(self) -> None:
        """The watchdog is fed by the loop itself: a loop that is blocked feeds nothing."""
        every = sd.watchdog_seconds()
        while every is not None:
            sd.notify("WATCHDOG=1")
            await self._parts.clock.sleep(every)

    async def _reload_forever(self, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            sd.notify("RELOADING=1")
            try:
                await self._take(load(Path(self._config.file)), group, tasks)
                log.info("configuration reloaded", services=sorted(self._parts.fleet.engines))
            except BlueGreenError as error:
                log.error("configuration not reloaded: the old one stays in force", error=str(error))
            sd.notify("READY=1", f"STATUS={self._parts.status()}")

    async def _take(self, config: schema.Config, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> None:
        """Another configuration: a running switch keeps the one it started with; doors and state stay as they are."""
        fleet = self._parts.fleet
        self._tokens = _tokens(config)
        for name, engine in list(fleet.engines.items()):
            if name not in config.services and engine.state.open_switch is not None:
                log.error("a service with an open switch stays until the switch has ended", service=name)
            elif name not in config.services:
                await engine.stop()
                del fleet.engines[name]
        for name, service in config.services.items():
            if name in fleet.engines:
                setup = setup_of(service)
                self._parts.cards[name].config = setup.config
                await fleet.engines[name].reconfigure(setup)
            else:
                engine = self._parts.engine(service)
                await self._parts.restore(engine)
                await engine.take_over()
                fleet.engines[name] = engine
                tasks.append(group.create_task(engine.run()))
        self._config = self._parts.config = config


def _end_hard() -> None:
    """What does not come back, a disk for example, keeps nobody from starting the next process."""
    log.error("not stopped in time: ended; what was under way is looked up at the next start")
    asyncio.get_running_loop().call_later(LINE_SECONDS, os._exit, ExitCode.UNKNOWN)


def _tokens(config: schema.Config) -> Mapping[str, str]:
    """The tokens of the TCP door, resolved. Raises where one is missing: a door without a lock is not opened."""
    tokens = {name: resolve(reference) for name, reference in config.daemon.control.tokens.items()}
    if config.daemon.control.http is not None and not any(tokens.values()):
        raise BlueGreenError(
            f"control.http is {config.daemon.control.http} and there is no token", "add one under `control.tokens`"
        )
    return {name: secret for name, secret in tokens.items() if secret}


def _free_socket(path: Path) -> Path:
    """The path, with what a dead process left there removed. Raises where somebody answers."""
    if path.exists():
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise BlueGreenError(f"another process answers at {path}", "end it, or name another `control.socket`")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise BlueGreenError(f"{path.parent} cannot be made: {error.strerror}", "mend `control.socket`") from error
    return path
