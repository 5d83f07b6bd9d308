"""A look at all switch points of a service at once: a reading, not a state. What it means is for `core.drift`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bluegreen.errors import BalancerError
from bluegreen.model import Target, TargetState, Weights
from bluegreen.ports import Balancer, Ports
from bluegreen.steps import looks

LOOK_SECONDS_MAX = 5.0
"""The longest that a look at one switch point may take: a person's command line waits ten seconds for an answer."""
ANSWER_SECONDS = 2.0
"""How long a person who asks is kept waiting by what is under way at a balancer that does not answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a switch point showed: `weights` None and `error` set where it could not be read."""

    at: datetime
    weights: Weights | None
    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    error: str = ""

    def healthy(self, environment: str) -> int:
        """How many of the environment's targets are healthy."""
        return sum(target.state is TargetState.HEALTHY for target in self.targets.get(environment, ()))


@contextlib.asynccontextmanager
async def in_turn(lock: asyncio.Lock, patience: float | None) -> AsyncIterator[bool]:
    """Wait for the lock, so many seconds at the most (None: as long as it takes). Gives whether it is held."""
    try:
        async with asyncio.timeout(patience):
            await lock.acquire()
    except TimeoutError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


async def look(ports: Ports, now: datetime) -> dict[str, Seen]:
    """Weights and targets of every switch point; what cannot be read is there with its error."""

    async def one(balancer: Balancer) -> Seen:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                return Seen(now, await balancer.read(), await balancer.targets())
        except TimeoutError:
            raise BalancerError(f"no answer within {LOOK_SECONDS_MAX:g} s") from None
        except BalancerError:
            raise
        except Exception as error:  # a defect in one driver must not end the daemon: what it shows is unknown
            what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
            raise BalancerError(what, "please report it") from error

    seen = await looks.at_all(ports.balancers, one)
    return {
        name: Seen(now, None, error=str(one)) if isinstance(one, BalancerError) else one for name, one in seen.items()
    }
