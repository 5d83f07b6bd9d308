"""Kill the real daemon with -9 at random instants while it switches a real HAProxy under real load, again and again.

What must be true after each kill is in `autopsy`. Over all of it: not one request fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from tests.faults.door import OVER, Door
from tests.faults.nursery import Nursery
from tests.kills.autopsy import Tally, autopsy, said
from tests.kills.stage import Stage

STEPS = "[5%, 30%, 60%, 100%]"
STATE_LIVES = 100
"""After so many lives, at the next end of a switch, the journal is begun anew."""


async def kill_many(there: Stage, nursery: Nursery, kills: int, seed: int) -> Tally:
    """So many kills; every instant comes from the seed. Raises JournalBroken where a chain does not hold."""
    chance, tally, door, lives = random.Random(seed), Tally(), Door(there.socket), 0
    there.write_service(STEPS)
    longest = await _undisturbed(nursery, door)
    for number in range(kills):
        if lives >= STATE_LIVES:
            await _at_rest(nursery, door)
            there.new_state()
            lives = 0
        life = await nursery.start()
        phase = await _until_an_instant(there, door, chance.uniform(0.0, longest), chance, tally)
        await life.end()
        tally.kills[phase] += 1
        lives += 1
        await autopsy(there, tally, f"kill {number}")
    await nursery.start()
    tally.ends[(await door.ended())["condition"]] += 1
    return tally


async def _undisturbed(nursery: Nursery, door: Door) -> float:
    """How many seconds a deployment takes here: no life is longer, and each may be cut anywhere in one."""
    life = await nursery.start()
    await door.live()
    began = asyncio.get_running_loop().time()
    await door.post("deployments", version="v0")
    await door.ended()
    took = asyncio.get_running_loop().time() - began
    await life.end()
    return took


async def _until_an_instant(there: Stage, door: Door, seconds: float, chance: random.Random, tally: Tally) -> str:
    """Ask for a switch where none is open, for so many seconds. Gives the phase that was seen last."""
    phase = "at rest"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                seen = await said(there, door, tally, "a life")
                if (switch := seen["switch"]) is not None and switch["condition"] == "halted":
                    tally.halts.append(str(switch["halt"]))
                    await door.post("resume")
                elif seen["live"] is not None and (switch is None or switch["condition"] in OVER):
                    await _something_new(there, door, seen, chance, tally)
                elif switch is not None:
                    phase = switch["phase"]
                await asyncio.sleep(0.03)
    return phase


async def _something_new(there: Stage, door: Door, seen: dict[str, Any], chance: random.Random, tally: Tally) -> None:
    back = seen["warm"] is not None and chance.random() < 0.4
    answer = await (door.failback() if back else door.post("deployments", version=f"v{chance.randrange(10**6)}"))
    if answer.status == 202:
        tally.acknowledged[there.state.name].add(answer.document["switch"]["id"])
    else:
        tally.wrong.append(f"{answer.status}: {answer.document}")


async def _at_rest(nursery: Nursery, door: Door) -> None:
    """One life to the end of what is open: a journal is begun where one side has everything."""
    life = await nursery.start()
    if (await door.live())["switch"] is not None:
        await door.ended()
    await life.end()
