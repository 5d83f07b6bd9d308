"""SIGTERM while a call never comes back: the daemon ends in time all the same, and its next life goes on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen import daemon, running
from bluegreen.control import doors
from bluegreen.errors import ExitCode
from tests.faults.door import Away
from tests.faults.small import small
from tests.programs import until

pytestmark = pytest.mark.slow

STOP_SECONDS = 10.0
Figures = Callable[[str], None]
HUNG = [
    "balancer.read.before@1",
    "balancer.targets.before@1",
    "balancer.examine.before@1",
    "deployer.examine.before@1",
    "deployer.deploy.before@1",
    "check.look.before@1",
    "check.look.before@2",
    "balancer.write.before@1",
    "balancer.write.after@2",
]


def test_the_daemon_ends_itself_in_time_whatever_does_not_come_back() -> None:
    assert running.STOP_SECONDS + doors.CLOSE_SECONDS < daemon.STOP_SECONDS_MAX
    assert daemon.STOP_SECONDS_MAX + daemon.LINE_SECONDS < STOP_SECONDS


@pytest.mark.parametrize("place", HUNG)
async def test_a_call_that_never_comes_back_does_not_keep_the_daemon_from_ending(
    tmp_path: Path, place: str, report_figures: Figures
) -> None:
    name, _, nth = place.partition("@")
    async with small(tmp_path) as there:
        first = await there.nursery.start()
        await there.door.live()
        await first.end()
        hung = await there.nursery.start(f"{name}=hang@{nth}", there.log)
        async with asyncio.TaskGroup() as group:
            group.create_task(_asked(there.door))
            await until(lambda: there.passed().count(name) >= int(nth), 90)
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert await hung.end(signal.SIGTERM) == 0
            report_figures(f"{name} hangs: ended after {loop.time() - began:.1f} s")
        next_ = await there.nursery.start()
        seen = await there.door.look()
        if seen["switch"] is None:
            await there.door.post("deployments", "one", version="v2")
        switch = await there.door.ended()
        if switch["condition"] == "halted":
            assert switch["halt"]["cause"] == "interrupted", switch["halt"]
            assert name.startswith("deployer."), "only a deploy command that was ended is a person's to run again"
            await there.door.post("resume")
            switch = await there.door.until(lambda seen: seen["switch"]["condition"] == "completed", "its end")
        await next_.end()


@pytest.mark.parametrize("name", ["journal.StepStarted:set_weights.before", "journal.WeightsSet.before"])
async def test_a_journal_that_never_comes_back_does_not_keep_the_daemon_from_ending(
    tmp_path: Path, name: str, report_figures: Figures
) -> None:
    async with small(tmp_path) as there:
        hung = await there.nursery.start(f"{name}=hang", there.log)
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await until(lambda: name in there.passed(), 90)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await hung.end(signal.SIGTERM) == ExitCode.UNKNOWN
        report_figures(f"{name} hangs: ended after {loop.time() - began:.1f} s")
        assert "not stopped in time" in (tmp_path / "daemon.log").read_text()
        await there.nursery.start()
        assert (await there.door.ended())["condition"] == "completed"


async def _asked(door) -> None:
    with contextlib.suppress(Away):  # it hangs, too, where it is judged by a look at the balancers
        await door.post("deployments", "one", version="v2")
