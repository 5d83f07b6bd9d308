"""The composition root: configuration -> ports -> engines -> control endpoint. Signals, systemd, start and end.

`serve` is the daemon; `standalone` is the same parts in the process of an operator whose daemon is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from bluegreen import __version__, sd
from bluegreen.aws import Sessions
from bluegreen.clock import SystemClock
from bluegreen.config import schema
from bluegreen.config.load import load
from bluegreen.config.secrets import resolve
from bluegreen.control import documents
from bluegreen.control.app import Door
from bluegreen.control.doors import doors
from bluegreen.control.identity import user_of
from bluegreen.control.metrics import Metrics
from bluegreen.control.stream import Hub
from bluegreen.core.events import Entry
from bluegreen.core.phases import fold
from bluegreen.core.requests import Ask
from bluegreen.engine import STOP_SECONDS, ServiceEngine
from bluegreen.errors import BlueGreenError, ConfigError, ExitCode
from bluegreen.fleet import Fleet
from bluegreen.log import log_entry, set_up
from bluegreen.model import Condition
from bluegreen.ports import Setup, Store, Workshop
from bluegreen.processes import become_subreaper
from bluegreen.store.lock import end_holder
from bluegreen.store.sqlite import SqliteStore
from bluegreen.watchdog import watched
from bluegreen.wiring import Bench, setup_of

log = structlog.get_logger(__name__)

NOT_STARTED = (
    "The daemon did not start. Traffic stays as it is, and a switch that was under way stays where it is.\n"
    "Mend the faults above and start it again: it looks at the balancers first, and goes on from the journal."
)

STAYS = "a service that is no longer configured stays until its open switch has ended"

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
        print(f"{error}\n{NOT_STARTED}", file=sys.stderr)  # noqa: T201 - no log before there is a configuration
        return error.exit_code
    faulthandler.enable()  # what systemd's watchdog ends, by SIGABRT, says where it was
    lines = set_up(config.daemon.log.format, config.daemon.log.level)
    code = ExitCode.FAILED
    try:
        code = _serve(config, fit)
    finally:
        if not lines.stop():  # its thread holds locks that the interpreter would wait for at its end
            os._exit(code)
    return code


def _serve(config: schema.Config, fit: Fit) -> int:
    try:
        asyncio.run(Daemon(config, fit).run())
    except BaseExceptionGroup as group:
        first = _first(group)
        log.error("ended: nothing moves until the next start", error=str(first), kind=type(first).__name__)
        return first.exit_code if isinstance(first, BlueGreenError) else ExitCode.FAILED
    except BlueGreenError as error:
        log.error("cannot start", error=error.what, advice=error.advice)
        return error.exit_code
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
        self._fitted = fit(self.store, Bench(directory, self.aws, self.metrics.called))
        engines = [self.engine(setup_of(service)) for service in config.services.values()]
        self.fleet = Fleet(engines, self.store, self.clock)

    def engine(self, setup: Setup) -> ServiceEngine:
        """An engine for a service; not started."""
        store, bench = self._fitted
        return ServiceEngine(
            setup,
            store,
            self.clock,
            bench,
            self.publish,
            lambda: secrets.token_hex(8),
            self.config.daemon.observe.every,
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
        return f"{halted} HALTED: a person is awaited; {told}" if halted else told

    async def open(self, role: str) -> None:
        """Lock and verify the journal, restore every service. Raises StoreError."""
        await self.store.open(role)
        for engine in self.fleet.engines.values():
            await engine.start()
        for name in set(self.store.services()) - self.fleet.engines.keys():
            await self._left_open(name)
        self.metrics.watch(self.fleet)

    async def _left_open(self, service: str) -> None:
        """A service whose file is gone stays while a switch of its is open, with the configuration of that switch."""
        store, bench = self._fitted
        switch = fold(service, tuple(entry.record for entry in await store.read(service))).open_switch
        if switch is None:
            return
        log.error(STAYS, service=service, switch=switch.id)
        engine = self.engine(bench.restore(switch.config))
        await engine.start()
        self.fleet.engines[service] = engine

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
        parts = self._parts
        self._tokens = _tokens(self._config)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(parts.close)
            await parts.open("daemon")
            for engine in parts.fleet.engines.values():
                await engine.take_over()
            await stack.enter_async_context(self._doors())
            stack.enter_context(watched(self._config.daemon.watchdog, "systemd starts it anew; it looks first."))
            self._catch_signals()
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(engine.run()) for name, engine in parts.fleet.engines.items()}
                helpers = [group.create_task(self._ping()), group.create_task(self._reload_forever(group, tasks))]
                sd.notify("READY=1", f"STATUS={parts.status()}", f"MAINPID={os.getpid()}")
                log.info("ready", version=__version__, pid=os.getpid(), services=sorted(parts.fleet.engines))
                await self._stop.wait()
                sd.notify("STOPPING=1", "STATUS=stopping: what is under way is written down")
                log.info("stopping")
                await parts.fleet.stop()
                parts.hub.close()
                for task in helpers:
                    task.cancel()
        log.info("stopped")

    def _doors(self) -> contextlib.AbstractAsyncContextManager[None]:
        about = {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": documents.time(self._parts.fleet.started_at),
            "user": user_of(os.geteuid()).name,
            "config": self._config.file,
        }
        door = Door(self._parts.fleet, self._parts.hub, self._parts.metrics, about, lambda: self._tokens)
        return doors(door, self._config.daemon.control)

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

    async def _reload_forever(self, group: asyncio.TaskGroup, tasks: dict[str, asyncio.Task[None]]) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            sd.notify("RELOADING=1")
            try:
                await self._take(await asyncio.to_thread(load, Path(self._config.file)), group, tasks)
                log.info("configuration reloaded", services=sorted(self._parts.fleet.engines))
            except (BlueGreenError, OSError, RuntimeError) as error:  # or there is no thread to read it in
                log.error("configuration not reloaded: the old one stays in force", error=str(error))
            sd.notify("READY=1", f"STATUS={self._parts.status()}")

    async def _take(
        self, config: schema.Config, group: asyncio.TaskGroup, tasks: dict[str, asyncio.Task[None]]
    ) -> None:
        """Another configuration: a running switch keeps the one it started with; doors and state stay as they are."""
        fleet = self._parts.fleet
        self._tokens = _tokens(config)
        for name, engine in list(fleet.engines.items()):
            if name not in config.services and engine.state.open_switch is not None:
                log.error(STAYS, service=name, switch=engine.state.open_switch.id)
            elif name not in config.services:
                del fleet.engines[name]  # first: nobody asks it for anything any more
                await engine.stop()
                await asyncio.wait({tasks.pop(name)}, timeout=STOP_SECONDS)
                await engine.close()
        for name, service in config.services.items():
            if name in fleet.engines:
                await fleet.engines[name].reconfigure(setup_of(service))
            else:
                engine = self._parts.engine(setup_of(service))
                await engine.start()
                await engine.take_over()
                fleet.engines[name] = engine
                tasks[name] = group.create_task(engine.run())
        self._config = self._parts.config = config


def _tokens(config: schema.Config) -> Mapping[str, str]:
    """The tokens of the TCP door, resolved. Raises where one is missing: a door without a lock is not opened."""
    tokens = {name: resolve(reference) for name, reference in config.daemon.control.tokens.items()}
    if config.daemon.control.http is not None and not any(tokens.values()):
        raise BlueGreenError(
            f"control.http is {config.daemon.control.http} and there is no token", "add one under `control.tokens`"
        )
    return {name: secret for name, secret in tokens.items() if secret}


# --- without a daemon ---


class Standalone:
    """The same engines on the same journal under the same lock, for one act of an operator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._actor = user_of(os.getuid())

    async def service(self, service: str) -> dict[str, Any]:
        """The service's document, after a look at its balancers."""
        engine = self._parts.fleet.engine(service)
        if not engine.seen:
            engine.seen = await engine.look()
        return documents.service(engine, self._parts.clock.now())

    async def failback_plan(self, service: str) -> dict[str, Any]:
        """What a failback would do now."""
        made = await self._parts.fleet.failback_plan(service)
        return documents.failback_plan(self._parts.fleet.engine(service), made, self._parts.clock.now())

    async def failback(self, service: str, *, plan: str, reason: str) -> dict[str, Any]:
        """Do it, to its end or to a halt; gives the switch. Nothing else of the service or of others is driven on."""
        engine = self._parts.fleet.engine(service)
        await engine.take_over()
        started = await self._parts.fleet.failback(service, plan, Ask(self._actor, reason))
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            while engine.state.open_switch is not None and engine.state.open_switch.condition is not Condition.HALTED:
                await engine.changed(engine.state.version)
            await engine.stop()
        state, one = self._parts.fleet.switch(started.id)
        document = documents.service(engine, self._parts.clock.now())
        return dict(document["switch"]) if state.switch is one else documents.switch(one, state)


def end_hung_daemon(config_path: Path) -> int | None:
    """End the process that holds the journal (SIGKILL); gives its pid, None where nobody living held it.

    Traffic is not touched by that: what was under way is looked up by whoever takes over. Raises StoreError.
    """
    holder = end_holder(Path(load(config_path).daemon.state.directory) / "lock")
    return holder.pid if holder else None


@contextlib.asynccontextmanager
async def standalone(config_path: Path) -> AsyncIterator[Standalone]:
    """The daemon's parts in this process. Raises ConfigError, Locked (a daemon holds the journal) or StoreError."""
    config = load(config_path)
    parts = Parts(config)
    lines = set_up("text", "error")
    become_subreaper()
    try:
        await parts.open("failback")
        with watched(config.daemon.watchdog, "What it had under way is looked up by the next failback, or the daemon."):
            yield Standalone(parts)
    finally:
        await parts.close()
        lines.stop()
