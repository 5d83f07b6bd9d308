"""How the traffic was really divided: counted at the balancer, not concluded from its weights."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bluegreen.ports import Balancer, Clock

SECONDS = 1.0
"""Between two looks at a balancer's own counters: nobody who answers a halt is kept waiting for longer."""
SECONDS_MAX = 6.0
"""Less than a source may take: what the balancer shows is not lost with it."""
PERIOD = timedelta(minutes=5)
"""How far back a balancer is asked that counts by periods."""
NOT_MEASURED = "not measured: this balancer counts no requests by environment"


async def measured(balancer: Balancer, clock: Clock) -> Any:
    """What each environment was given just now, in requests and in percent; or in words, why nobody knows. Raises as a
    balancer's `read` does."""
    try:
        async with asyncio.timeout(SECONDS_MAX):
            return await _counted(balancer, clock)
    except TimeoutError:
        return f"not measured: no answer within {SECONDS_MAX:g} s"


async def _counted(balancer: Balancer, clock: Clock) -> Any:
    before = await balancer.served()
    if before is None:
        now = clock.now()
        told = (await balancer.clients(now - PERIOD, now)).requests
        return NOT_MEASURED if told is None else _divided(told, PERIOD.total_seconds())
    await clock.sleep(SECONDS)
    after = await balancer.served() or {}
    given = {name: after.get(name, 0) - count for name, count in before.items()}
    if any(count < 0 for count in given.values()):
        return "not measured: its counters began anew meanwhile"
    return _divided(given, SECONDS)


def _divided(given: Mapping[str, int], seconds: float) -> Any:
    total = sum(given.values())
    shares = {name: round(100 * count / total, 1) for name, count in given.items()} if total else None
    return {"requests": dict(given), "percent": shares, "seconds": seconds}
