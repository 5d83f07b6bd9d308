"""`bluegreen demo`: the world is built, traffic flows, v2 is deployed over v1; then it is the visitor's turn.

Unattended, a failback follows, the figures are printed, and the exit code says whether everything was as promised.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from bluegreen.balancers.embedded import find_binary
from bluegreen.cli.screen import Screen
from bluegreen.demo.layout import HOST, HURRIED, VISITOR
from bluegreen.demo.screen import Stage
from bluegreen.demo.story import Story
from bluegreen.demo.traffic import Traffic
from bluegreen.demo.world import open_world
from bluegreen.errors import BlueGreenError, ExitCode

UNATTENDED_SECONDS = 60.0
"""The scripted run must be over by then; it takes a third of it."""


def run(*, unattended: bool, screen: Screen, directory: Path | None = None) -> int:
    """Run the demo to its end, or to Ctrl-C; gives the exit code. Raises BlueGreenError where it cannot begin."""
    stage = Stage(screen)
    try:
        return asyncio.run(_until_stopped(stage, unattended, directory))
    except BaseExceptionGroup as group:
        raise _first(group) from group


async def _until_stopped(stage: Stage, unattended: bool, directory: Path | None) -> int:
    """Ctrl-C and SIGTERM end the story, once; what it has started is then ended in order."""
    told = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if not told.is_set() and task is not None:
            told.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        return await _play(stage, unattended, directory)
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        kept = f"the files stay in {directory}" if directory else "nothing is left behind"
        stage.tell("", f"stopped; everything that was started has ended, and {kept}")
        return ExitCode.DETACHED if unattended else ExitCode.DONE


async def _play(stage: Stage, unattended: bool, directory: Path | None) -> int:
    stage.tell("starting HAProxy, the shop at v1 in blue, and the daemon ...")
    async with open_world(directory, HURRIED if unattended else VISITOR, find_binary()) as world:
        traffic = Traffic(HOST, world.layout.ports["front"])
        story = Story(world, traffic, stage)
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(world.daemon.keep(stage.tell))
            group.create_task(traffic.run())
            try:
                code = await (_scripted(story) if unattended else _attended(story))
            finally:
                keeper.cancel()
                traffic.stop()
        return code


async def _attended(story: Story) -> int:
    """Until Ctrl-C."""
    story.introduce()
    await story.deploy("v2")
    story.sum_up()
    story.suggest()
    await story.go_on()
    return ExitCode.DONE


async def _scripted(story: Story) -> int:
    """Deploy, fail back, and judge."""
    story.introduce()
    try:
        async with asyncio.timeout(UNATTENDED_SECONDS):
            await story.deploy("v2")
            await story.fail_back("the demo's script: v2 was only to be shown")
            faults = await story.judge()
    except TimeoutError:
        raise BlueGreenError(f"the scripted run was not over within {UNATTENDED_SECONDS:g} s") from None
    return ExitCode.FAILED if faults else ExitCode.DONE


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
