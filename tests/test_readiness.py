"""Whether a failback would work now is told at once; it decides nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bluegreen.control import documents
from bluegreen.model import WHOLE, Condition, Phase, Target, TargetState
from tests.fakes import World
from tests.virtual import run


def test_a_warm_side_that_dies_in_mid_bake_is_told_and_moves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, proving=True)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.phase is Phase.BAKE)
            await asyncio.sleep(20)
            assert documents.service(driver.engine, world.clock.now())["warm"]["ready"]
            world.balancer.set_targets("blue", (Target("blue", TargetState.UNHEALTHY),))
            await asyncio.sleep(30)
            warm = documents.service(driver.engine, world.clock.now())["warm"]
            assert not warm["ready"]
            assert warm["reasons"] == [
                "point: blue healthy: 0 of 1 targets of blue are healthy, wanted 1",
                "point: capacity: 0 healthy for the load of 1 in green, wanted 1",
            ]
            assert await driver.ended() is Condition.COMPLETED
            assert world.shares("green") == [50, 500, WHOLE]

    run(main())
