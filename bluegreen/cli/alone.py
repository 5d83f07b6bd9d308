"""A failback where no daemon answers: the daemon's own engine in this process, same journal, same lock; or, where that
journal cannot be used, by the service's card.

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
from bluegreen.cli.failback_screen import Asked, Dialog, Said, dialog, show_plan
from bluegreen.cli.follow import ENDS, EVERY, Told, is_done
from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings
from bluegreen.cli.words import Document, moment
from bluegreen.errors import (
    BlueGreenError,
    ConfigError,
    DaemonUnreachable,
    ExitCode,
    Locked,
    NotPermitted,
    Refused,
    StoreError,
)

if TYPE_CHECKING:
    from bluegreen.standalone import Standalone


def failback_alone(settings: Settings, asked: Asked, gone: DaemonUnreachable) -> int:
    """Do what the daemon would do. Gives the exit code; raises Locked where a daemon holds the journal after all."""
    screen, config = settings.screen, settings.config_file
    screen.notice(gone.what)
    if asked.card is None:
        _readable(config, gone)
    try:
        try:
            return asyncio.run(_failback(config, asked, screen))
        except Locked as locked:
            _take_over(locked, settings, asked)
            return asyncio.run(_failback(config, asked, screen))
    except KeyboardInterrupt:
        screen.notice(f"\nstopped; what was done is on record. Go on with: bluegreen failback {asked.service}")
        return ExitCode.DETACHED


def _take_over(locked: Locked, settings: Settings, asked: Asked) -> None:
    """A daemon that hangs is ended, if the operator says so. Raises Locked where that was not said."""
    holder = f"process {locked.holder}" if locked.holder else "another process"
    if locked.holder and locked.role.startswith("failback"):
        holder = f"process {locked.holder}, somebody's failback without the daemon,"
        if not asked.take_over:
            advice = f"ask whose it is: `ps -o user,etime,args {locked.holder}`; only if it hangs, --take-over ends it"
            raise Locked(f"{holder} holds the journal; nothing was moved here", advice, locked.holder) from locked
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
    from bluegreen.standalone import end_hung_daemon

    ended = end_hung_daemon(settings.config_file)
    screen.notice(f"process {ended} was ended" if ended else "it had ended by itself")


async def _failback(config: Path, asked: Asked, screen: Screen) -> int:
    """On the journal; by the card where it is named, or where the journal cannot be used."""
    from bluegreen.cards import card_path
    from bluegreen.standalone import standalone

    if asked.card is not None:
        return await _by_card(config, Path(asked.card), "a card was named", asked, screen)
    try:
        async with standalone(config) as alone:
            screen.notice("the daemon does not answer; this process does it, under the same lock, on the same journal")
            screen.notice("")
            return await _one_failback(alone, asked, screen)
    except Locked:
        raise
    except (StoreError, ConfigError) as broken:
        what = "the configuration cannot be used" if isinstance(broken, ConfigError) else "the journal cannot be used"
        screen.notice(f"{what}: {broken}")
        path = card_path(config, asked.service)
        if not path.exists():
            screen.notice(f"and there is no card at {path}: name one by --card FILE")
            if broken.exit_code == ExitCode.FAILED:
                raise Refused(f"{what}, and there is no card: nothing was moved", "name one by --card FILE") from broken
            raise
        if not sys.stdin.isatty():
            raise Refused(f"{what}; nothing was moved", f"to go by the card: --card {path}") from broken
        return await _by_card(config, path, f"{what}: {broken}", asked, screen)


async def _by_card(config: Path, path: Path, why: str, asked: Asked, screen: Screen) -> int:
    from bluegreen.cards import CardBroken, card_path, read
    from bluegreen.standalone import from_card, nobody_living

    card, home = read(path), card_path(config, asked.service).parent.parent
    nobody_living(home)
    if card.service != asked.service:
        raise CardBroken(f"{path} is the card of {card.service}, not of {asked.service}", "nothing was moved")
    screen.notice(
        f"the card {path}, written {card.written_at}, tells what the balancers may show and where to go back to"
    )
    screen.notice("")
    async with from_card(card, path, why) as (alone, receipt):
        code = await _one_failback(alone, asked, screen)
        if receipt.error:
            screen.notice(f"{receipt.error}: keep the RECEIPT lines above; they are the only record of this failback")
        elif not asked.dry_run:
            screen.notice(f"what was done is on the receipt {receipt.path};")
            if receipt.path.parent.resolve() != (home / "receipts").resolve():
                screen.notice(f"copy it to {home / 'receipts'} before the daemon starts:")
            screen.notice(
                "the daemon takes it into its journal when it starts, and stays halted until it is told to go on"
            )
        return code


async def _one_failback(alone: Standalone, asked: Asked, screen: Screen) -> int:
    before = await alone.service(asked.service)
    plan = await alone.failback_plan(asked.service)
    alone.must_agree(asked.service)  # before anything is asked, and with what can be done without a daemon
    show_plan(plan, asked, moment(before.get("as_of")), screen)
    if asked.dry_run:
        return ExitCode.DONE
    said = await _answered(dialog(plan, asked))
    doing = alone.failback(
        asked.service, plan=plan["plan"], reason=said.reason, acknowledge=said.acknowledge, confirm=said.confirm
    )
    switch = await _shown(doing, alone, before, screen)
    show_end(plan, switch, await alone.service(asked.service), screen)
    return ExitCode.DONE if is_done(switch) else ENDS.get(switch["condition"], ExitCode.UNKNOWN)


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


async def _answered(questions: Dialog) -> Said:
    """Drive the dialog without holding up the loop: the engine keeps its deadlines while a person thinks."""
    try:
        question = next(questions)
        while True:
            print(question, end="", file=sys.stderr, flush=True)
            question = questions.send(await _line())
    except StopIteration as end:
        said: Said = end.value
        return said


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
