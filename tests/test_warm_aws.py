"""The way back over Elastic Load Balancing: what is not attached, and credentials that end, are found out in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import moto.elbv2.models
import pytest

from bluegreen.config.load import load
from bluegreen.control import warm_documents
from bluegreen.core.requests import Ask
from bluegreen.model import Actor, Condition
from bluegreen.parts import Parts
from tests.balancers.aws_rig import FaultProxy, Place, Site, dummy_credentials, emptied, moto_server
from tests.programs import until

pytestmark = pytest.mark.slow

ANN = Ask(Actor("uid:1000(ann)"), "a test")
SERVICE = """
service: shop
environments: {{blue: {{}}, green: {{}}}}
switch_points:
  - kind: elbv2
    name: edge
    region: eu-west-1
    listener: {arn}
    target_groups: {{blue: {blue}, green: {green}}}
    endpoint_url: "{url}"
    settle: 1s
deploy: {{kind: command, run: [/bin/true]}}
health: {{every: 100ms, timeout: 10s}}
warm: {{every: 1s}}
"""


class Region:
    """A service that has been deployed once, over a balancer whose calls can be broken."""

    def __init__(self, parts: Parts, proxy: FaultProxy, place: Place) -> None:
        self.parts, self.proxy, self.place = parts, proxy, place

    def document(self) -> dict[str, Any]:
        return warm_documents.ready(self.parts.fleet.engine("shop"), self.parts.clock.now())

    async def becomes(self, ready: bool) -> dict[str, Any]:
        await until(lambda: self.document()["ready"] is ready, 90.0)
        return self.document()

    def advice(self) -> str:
        """All of it, of what does not hold."""
        return "; ".join(one["advice"] for one in self.document()["proofs"] if not one["ok"])


@pytest.fixture
def unused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Target groups that no listener uses, as AWS tells of them: moto calls every registered target healthy."""
    groups: set[str] = set()
    original = moto.elbv2.models.FakeTargetGroup.health_for

    def health_for(self: Any, target: Any, backend: Any) -> Any:
        if self.arn not in groups:
            return original(self, target, backend)
        status = moto.elbv2.models.FakeHealthStatus
        return status(target["Id"], self.port, self.health_check_port, "unused", "Target.NotInUse", "not in use")

    monkeypatch.setattr(moto.elbv2.models.FakeTargetGroup, "health_for", health_for)
    return groups


@pytest.fixture
async def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Region]:
    dummy_credentials(monkeypatch)
    with moto_server() as url, FaultProxy(emptied(url)) as proxy, Site(url) as site:
        place = site.place()
        (tmp_path / "services").mkdir()
        made = SERVICE.format(arn=place.arn, url=proxy.url, **place.names)
        (tmp_path / "services" / "shop.yaml").write_text(made)
        config = tmp_path / "bluegreen.yaml"
        config.write_text("state: {directory: state}\nobserve: {every: 1s}\n")
        parts = Parts(load(config))
        await parts.open("test")
        engine = parts.fleet.engine("shop")
        async with asyncio.TaskGroup() as group:
            group.create_task(parts.fleet.run())
            try:
                await until(lambda: engine.state.live == "blue", 90.0)
                await parts.fleet.deploy("shop", "v2", ANN)
                await until(lambda: engine.state.switch and engine.state.switch.condition is Condition.COMPLETED, 90.0)
                yield Region(parts, proxy, place)
            finally:
                await parts.fleet.stop()
        await parts.close()


async def test_a_target_group_that_was_detached_is_no_way_back(region: Region, unused: set[str]) -> None:
    await region.becomes(True)
    unused.add(region.place.groups["blue"])
    lost = await region.becomes(False)
    assert "edge: blue attached: no target of blue is in use there: nobody checks its health" in lost["reasons"]
    assert "attach the target group at weight 0" in region.advice()
    unused.clear()
    await region.becomes(True)


async def test_credentials_that_have_expired_are_no_way_back(region: Region) -> None:
    await region.becomes(True)
    region.proxy.faults = dict.fromkeys(
        ("DescribeListeners", "DescribeTargetHealth", "DescribeTargetGroups"), "expired"
    )
    told = (await region.becomes(False))["reasons"]
    assert "the credentials have expired: renew them where the daemon gets them from" in " ".join(told)
    region.proxy.faults.clear()
    await region.becomes(True)


async def test_a_look_at_the_rights_is_a_bounded_number_of_calls(
    region: Region, report_figures: Callable[[str], None]
) -> None:
    await region.parts.fleet.stop()
    before = region.proxy.sent.total()
    (balancer,) = region.parts.fleet.engine("shop").ports().balancers.values()
    await balancer.examine()
    calls = region.proxy.sent.total() - before
    report_figures(f"{calls} calls to AWS for one look at the rights of a switch point")
    assert calls <= 10
