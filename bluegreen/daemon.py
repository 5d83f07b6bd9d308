"""The composition root: configuration -> ports -> engines -> control endpoint. Signals, systemd, start and end.

`serve` is the daemon; `standalone` is the same parts in the process of an operator whose daemon is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from bluegreen import __version__, sd
from bluegreen.config import schema
from bluegreen.config.load import load
from bluegreen.config.secrets import resolve
from bluegreen.control import values
from bluegreen.control.doors import doors
from bluegreen.control.exchange import Door
from bluegreen.control.identity import user_of
from bluegreen.control.tokens import MadeTokens
from bluegreen.errors import BlueGreenError, ConfigError, ExitCode
from bluegreen.log import set_up
from bluegreen.parts import STAYS, Fit, Parts, as_built
from bluegreen.processes import become_subreaper
from bluegreen.room import keep_room
from bluegreen.running import STOP_SECONDS
from bluegreen.watchdog import watched
from bluegreen.wiring import setup_of

log = structlog.get_logger(__name__)

NOT_STARTED = (
    "The daemon did not start. Traffic stays as it is, and a switch that was under way stays where it is.\n"
    "Mend the faults above and start it again: it looks at the balancers first, and goes on from the journal."
)

STOP_SECONDS_MAX = 9.3
"""After so long a stop is an end like any other kill: the next start looks up what was under way."""
LINE_SECONDS = 0.2
"""For the last log line to be written."""


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
            await stack.enter_async_context(self._doors())
            stack.enter_context(watched(self._config.daemon.watchdog, "systemd starts it anew; it looks first."))
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(engine.run()) for name, engine in parts.fleet.engines.items()}
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
        log.info("stopped")

    def _doors(self) -> contextlib.AbstractAsyncContextManager[None]:
        about = {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": values.time(self._parts.fleet.started_at),
            "user": user_of(os.geteuid()).name,
            "config": self._config.file,
            "http": self._config.daemon.control.http,
        }
        made = MadeTokens(Path(self._config.daemon.state.directory) / "tokens.json")
        if made.trouble:
            log.error("tokens that were made open nothing", error=made.trouble)
        door = Door(self._parts.fleet, self._parts.hub, self._parts.metrics, about, lambda: self._tokens, made)
        return doors(door, self._config.daemon.control)

    # --- signals and systemd ---

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    async def _ping(self) -> None:
        """The watchdog is fed by the loop itself: a loop that is blocked feeds nothing. The status is told again each
        time: a manager that was busy has missed the line that says that somebody is awaited."""
        every = sd.watchdog_seconds()
        while every is not None:
            sd.notify("WATCHDOG=1", f"STATUS={self._parts.status()}")
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
                setup = setup_of(service)
                self._parts.cards[name].config = setup.config
                await fleet.engines[name].reconfigure(setup)
            else:
                engine = self._parts.engine(setup_of(service))
                await self._parts.restore(engine)
                await engine.take_over()
                fleet.engines[name] = engine
                tasks[name] = group.create_task(engine.run())
        self._config = self._parts.config = config


def _end_hard() -> None:
    """What does not come back, a disk for example, keeps nobody from starting the next process."""
    log.error("not stopped in time: ended; what was under way is looked up at the next start")
    asyncio.get_running_loop().call_later(LINE_SECONDS, os._exit, ExitCode.UNKNOWN)


def _tokens(config: schema.Config) -> Mapping[str, str]:
    """The configuration's tokens of the TCP door, resolved. Raises where all of them are empty. Where none is named,
    those that were made open it: without one, nobody comes in.
    """
    tokens = {name: resolve(reference) for name, reference in config.daemon.control.tokens.items()}
    if config.daemon.control.http is not None and tokens and not any(tokens.values()):
        raise BlueGreenError(
            f"control.http is {config.daemon.control.http} and there is no token", "add one under `control.tokens`"
        )
    return {name: secret for name, secret in tokens.items() if secret}
