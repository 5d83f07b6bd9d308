"""A failback where no daemon answers: the daemon's own engine in this process, same journal, same lock.

There is one road: this file only shows and asks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bluegreen.cli.failback import show_end
from bluegreen.cli.failback_screen import Asked, Dialog, dialog, show_plan
from bluegreen.cli.follow import ENDS, EVERY, Told
from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings
from bluegreen.cli.words import Document, moment
from bluegreen.errors import BlueGreenError, DaemonUnreachable, ExitCode, Locked, NotPermitted

if TYPE_CHECKING:
    from bluegreen.daemon import Standalone


def failback_alone(settings: Settings, asked: Asked, gone: DaemonUnreachable) -> int:
    """Do what the daemon would do. Gives the exit code; raises Locked where a daemon holds the journal after all."""
    screen, config = settings.screen, settings.config_file
    screen.notice(gone.what)
    _readable(config, gone)
    screen.notice("the daemon does not answer; this process does it, under the same lock, on the same journal")
    screen.notice("")
    try:
        try:
            return asyncio.run(_failback(config, asked, screen))
        except Locked as locked:
            _take_over(locked, settings, asked)
            return asyncio.run(_failback(config, asked, screen))
    except KeyboardInterrupt:
        screen.notice(f"\nstopped; what was done is in the journal. Go on with: bluegreen failback {asked.service}")
        return ExitCode.DETACHED


def _take_over(locked: Locked, settings: Settings, asked: Asked) -> None:
    """A daemon that hangs is ended, if the operator says so. Raises Locked where that was not said."""
    holder = f"process {locked.holder}" if locked.holder else "another process"
    if not asked.take_over or asked.dry_run or locked.holder is None:
        raise Locked(
            f"{holder} holds the journal, but does not answer at {settings.door()}; nothing was moved",
            "if that is another socket, name it by --socket; if it hangs, --take-over ends it and goes on",
            locked.holder,
        ) from locked
    screen = settings.screen
    screen.notice(
        f"{holder} holds the journal and does not answer. Ending it touches no traffic: what it had under way"
    )
    screen.notice("is looked up at the balancer first.")
    if not asked.yes:
        print(f"Type {locked.holder} to end it: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != str(locked.holder):
            raise Locked(f"{holder} was not ended; nothing was moved", "the number did not match", locked.holder)
    from bluegreen.daemon import end_hung_daemon

    ended = end_hung_daemon(settings.config_file)
    screen.notice(f"process {ended} was ended" if ended else "it had ended by itself")


async def _failback(config: Path, asked: Asked, screen: Screen) -> int:
    from bluegreen.daemon import standalone

    async with standalone(config) as alone:
        before = await alone.service(asked.service)
        plan = await alone.failback_plan(asked.service)
        show_plan(plan, asked, moment(before.get("as_of")), screen)
        if asked.dry_run:
            return ExitCode.DONE
        reason = await _answered(dialog(plan, asked))
        doing = alone.failback(asked.service, plan=plan["plan"], reason=reason)
        switch = await _shown(doing, alone, before, screen)
        show_end(plan, switch, await alone.service(asked.service), screen)
        return ENDS.get(switch["condition"], ExitCode.UNKNOWN)


async def _shown(
    doing: Coroutine[None, None, Document], alone: Standalone, before: Document, screen: Screen
) -> Document:
    """Show the switch while it runs."""
    old, told = (before.get("switch") or {}).get("id"), Told()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_outcome(doing))
        while not task.done():
            await asyncio.wait([task], timeout=EVERY)
            switch = (await alone.service(before["service"])).get("switch")
            if switch and switch["id"] != old:
                screen.lines(told.news(switch))
    outcome = task.result()
    if isinstance(outcome, BlueGreenError):
        raise outcome
    return outcome


async def _outcome(doing: Coroutine[None, None, Document]) -> Document | BlueGreenError:
    """A value either way: a group would wrap the error."""
    try:
        return await doing
    except BlueGreenError as error:
        return error


async def _answered(questions: Dialog) -> str:
    """Drive the dialog without holding up the loop: the engine keeps its deadlines while a person thinks."""
    try:
        question = next(questions)
        while True:
            print(question, end="", file=sys.stderr, flush=True)
            question = questions.send(await _line())
    except StopIteration as end:
        return str(end.value)


async def _line() -> str:
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(sys.stdin.fileno())
        typed.set_result(sys.stdin.readline())  # a terminal hands over whole lines: this does not wait

    loop.add_reader(sys.stdin.fileno(), read)
    try:
        line = await typed
    finally:
        loop.remove_reader(sys.stdin.fileno())
    if not line:
        raise click.Abort
    return line


def _readable(config: Path, gone: DaemonUnreachable) -> None:
    """A failback without the daemon needs its configuration. Raises NotPermitted, DaemonUnreachable."""
    try:
        config.open("rb").close()
    except PermissionError as error:
        raise NotPermitted(
            f"{config}: this user may not read the daemon's configuration, and without a daemon it is needed",
            f"start the daemon, or act as its user: sudo -u bluegreen bluegreen --config {config} failback …",
        ) from error
    except OSError as error:
        raise DaemonUnreachable(
            f"{gone.what}; and {config} cannot be read: {error.strerror}",
            "start the daemon (systemctl start bluegreen), or name its configuration: --config FILE",
        ) from error
