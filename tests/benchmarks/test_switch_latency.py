"""What the daemon adds to a switch: from the intent on record to the outcome on record, against the bare call.

Ratios within one run, never seconds: machines differ. The figures are printed for the reader.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen.balancers.embedded import Server, configuration, embedded, find_binary
from bluegreen.balancers.haproxy import HAProxyBalancer
from bluegreen.clock import SystemClock
from bluegreen.config.schema import HAProxyPoint
from bluegreen.core import events as ev
from bluegreen.core.events import Entry
from bluegreen.engine import ServiceEngine
from bluegreen.fleet import Fleet
from bluegreen.model import WHOLE, Condition, Plan
from bluegreen.ports import Enough, Environment, Ports, Setup
from bluegreen.store.sqlite import SqliteStore
from tests.fakes import OPERATOR, ScriptedDeployer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

STEPS = 40
RATIO_MAX = 60.0
"""A step looks at health, reads, compares, writes, reads back and makes two durable entries: about ten small things."""


class Shop:
    """ports.Workshop of one service on one HAProxy, with nothing to deploy and nothing to check."""

    def __init__(self, balancer: HAProxyBalancer) -> None:
        self.balancer = balancer
        steps = tuple(range(WHOLE // STEPS, WHOLE + 1, WHOLE // STEPS))
        self.made = Setup("shop", ("blue", "green"), Plan(("shop",), steps), Plan(("shop",), (WHOLE,)), "{}", "hash")

    def restore(self, config: str) -> Setup:
        return self.made

    def open(self, setup: Setup) -> Ports:
        environments = tuple(Environment(name, {}) for name in setup.environments)
        return Ports(
            "shop", environments, {"shop": self.balancer}, ScriptedDeployer(), (), frozenset(), (), (),
            Enough(), 10.0, 0.05, Enough(),
        )  # fmt: skip


async def bare_calls(balancer: HAProxyBalancer) -> list[float]:
    """Milliseconds of the write itself, with nothing around it."""
    loop, times = asyncio.get_running_loop(), []
    for _ in range(STEPS * 2):
        began = loop.time()
        await balancer._api.change([f"set server shop/{name} weight 100" for name in ("blue", "green")])
        times.append((loop.time() - began) * 1000)
    await balancer._api.change(["set server shop/blue weight 100", "set server shop/green weight 0"])
    return times


async def steps_by_the_engine(balancer: HAProxyBalancer, directory: Path) -> list[float]:
    """Milliseconds from each step's intent to its outcome, over a deployment in STEPS steps."""
    store, clock = SqliteStore(directory), SystemClock()
    await store.open("benchmark")
    loop = asyncio.get_running_loop()
    times: list[float] = []
    began = [0.0]

    def publish(entry: Entry) -> None:
        if isinstance(entry.event, ev.StepStarted):
            began[0] = loop.time()
        if isinstance(entry.event, ev.WeightsSet):
            times.append((loop.time() - began[0]) * 1000)

    shop = Shop(balancer)
    engine = ServiceEngine(shop.made, store, clock, shop, publish, lambda: secrets.token_hex(4), 60.0)
    fleet = Fleet([engine], store, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.run())
        while engine.state.live is None:
            await engine.changed(engine.state.version)
        await fleet.deploy("shop", "v2", OPERATOR)
        while engine.state.open_switch is not None:
            assert engine.state.open_switch.condition is not Condition.HALTED, engine.state.open_switch.halt
            await engine.changed(engine.state.version)
        await engine.stop()
    await store.close()
    return times


async def test_a_step_costs_little_more_than_the_bare_call(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    servers = [Server("blue", "127.0.0.1:9", 100, ""), Server("green", "127.0.0.1:9", 0, "")]
    async with embedded(
        tmp_path, configuration(tmp_path, f"unix@{tmp_path}/front", "shop", servers), find_binary()
    ) as haproxy:
        backend = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = backend.sockets[0].getsockname()[1]
        point = HAProxyPoint.model_validate(
            {
                "kind": "haproxy",
                "name": "shop",
                "socket": str(haproxy.socket),
                "backend": "shop",
                "servers": {"blue": ["blue"], "green": ["green"]},
            }
        )
        balancer = HAProxyBalancer(point, "shop", ("blue", "green"))
        for name in ("blue", "green"):
            await balancer._api.ask(f"set server shop/{name} addr 127.0.0.1 port {port}")
        bare = await bare_calls(balancer)
        steps = await steps_by_the_engine(balancer, tmp_path / "state")
        backend.close()
    # the quickest tenth of each: what else the machine does at that moment slows one part and not the other
    ratio = statistics.quantiles(steps, n=10)[0] / statistics.quantiles(bare, n=10)[0]
    report_figures(
        f"bare call: p50 {statistics.median(bare):.2f} ms; a whole step, intent to outcome: p50 "
        f"{statistics.median(steps):.2f} ms, max {max(steps):.2f} ms over {len(steps)}; "
        f"ratio of the quickest tenths {ratio:.1f}"
    )
    assert len(steps) == STEPS
    assert ratio < RATIO_MAX
