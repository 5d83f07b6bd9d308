"""The main job over everything: a real daemon process, a real HAProxy, real load. Not one request may fail.

Deploy in steps; halt by a failing check, and hold the split, also over a killed daemon; resume after the fix; fail
back; kill the daemon with -9 in mid-shift and start it again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen.balancers.embedded import find_binary
from bluegreen.demo.layout import HOST, SERVICE, Pace
from bluegreen.demo.traffic import Traffic
from bluegreen.demo.world import World, open_world
from bluegreen.errors import Refused
from tests.acceptance.operator import Operator, split

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

PACE = Pace(wait="1s", bake="1s")


async def with_another_check(world: World, flag: Path) -> None:
    """The operator adds a smoke check to the service's file and reloads the daemon: it wants a file to be there."""
    file = world.layout.directory / "services" / f"{SERVICE}.yaml"
    check = f"smoke:\n  - name: ticket\n    command: [test, -f, {flag}]\n"
    file.write_text(file.read_text().replace("smoke:\n", check, 1))
    await reload(world)


async def reload(world: World) -> None:
    log = world.layout.log
    before = log.read_text().count("configuration reloaded")
    assert world.daemon.pid is not None
    os.kill(world.daemon.pid, signal.SIGHUP)
    async with asyncio.timeout(90):
        while log.read_text().count("configuration reloaded") == before:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


async def killed_and_started(world: World) -> None:
    assert world.daemon.pid is not None
    os.kill(world.daemon.pid, signal.SIGKILL)
    await asyncio.sleep(0.3)
    await world.daemon.start()


async def the_story(world: World, operator: Operator) -> None:
    await operator.deploy("v2")
    with pytest.raises(Refused, match="one switch at a time"):
        await operator.deploy("v9")
    done = await operator.ended("completed")
    assert (done["live"], split(done), done["warm"]["environment"]) == ("green", {"blue": 0.0, "green": 100.0}, "blue")

    flag = world.layout.directory / "ticket"
    await with_another_check(world, flag)
    await operator.deploy("v5", replace_warm=True)
    halted = await operator.ended("halted")
    assert halted["switch"]["halt"]["summary"].startswith("ticket: ")
    bundle = world.layout.directory / "state" / "evidence" / halted["switch"]["evidence"]["digest"]
    measured = json.loads((bundle / "weights.json").read_text())["haproxy-shop"]["measured"]
    assert measured["percent"] == {"blue": 0.0, "green": 100.0}
    assert measured["requests"]["green"] > 0
    await killed_and_started(world)
    again = await operator.until(lambda seen: seen["switch_points"]["haproxy-shop"]["shown"] is not None, "a look")
    assert again["switch"]["halt"]["id"] == halted["switch"]["halt"]["id"], "a halt survives a restart"
    assert split(again) == split(halted) == {"blue": 0.0, "green": 100.0}
    assert again["switch_points"]["haproxy-shop"]["agrees"]

    flag.touch()
    await operator.post("resume")
    done = await operator.ended("completed")
    assert (done["live"], done["environments"]["blue"]["release"]["version"]) == ("blue", "v5")

    await operator.failback("v5 was only to be shown")
    done = await operator.ended("completed")
    assert (done["live"], split(done)) == ("green", {"blue": 0.0, "green": 100.0})

    await operator.deploy("v6")
    await operator.at("blue", 25.0)
    await killed_and_started(world)
    done = await operator.ended("completed")
    assert (done["live"], split(done)) == ("blue", {"blue": 100.0, "green": 0.0})


async def test_nothing_fails_from_deployment_to_halt_to_failback_to_a_killed_daemon(
    report_figures: Callable[[str], None],
) -> None:
    async with open_world(None, PACE, find_binary()) as world:
        traffic = Traffic(HOST, world.layout.ports["front"], connections=32, rate=400)
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run())
            try:
                await the_story(world, Operator(world.layout.socket, SERVICE))
            finally:
                traffic.stop()
        figures = traffic.figures()
    report_figures(
        f"{figures.requests} requests {dict(figures.answers)}, {figures.failed} failed {dict(figures.failures)}, "
        f"longest gap {figures.longest_gap * 1000:.0f} ms, {figures.opened} connections opened for 32"
    )
    assert figures.requests > 1000
    assert figures.failed == 0
    assert figures.opened == 32, "no client's connection was closed"


async def test_a_reload_that_lost_the_weights_is_said_and_not_repaired() -> None:
    """HAProxy forgets weights when the state file is not written: somebody removed it."""
    async with open_world(None, PACE, find_binary()) as world:
        operator = Operator(world.layout.socket, SERVICE)
        await operator.deploy("v2")
        await operator.ended("completed")
        (world.layout.haproxy / "haproxy.state").unlink()
        os.kill(world.haproxy_pid, signal.SIGUSR2)
        drifted = await operator.until(lambda seen: bool(seen["drift"]), "the drift")
        assert drifted["drift"][0]["shown"] == {"blue": 100.0, "green": 0.0}
        assert drifted["drift"][0]["expected"] == {"blue": 0.0, "green": 100.0}
        with pytest.raises(Refused, match="the journal says"):
            await operator.deploy("v5", replace_warm=True)
        still = await operator.look()
        assert still["switch_points"]["haproxy-shop"]["shown"] == {"blue": 100.0, "green": 0.0}
        await operator.post("adopt", reason="blue is fine")
        assert (await operator.look())["live"] == "blue"
