"""Balancers that fail in every way, over real sockets, under a daemon that is a process of its own: what became of a
write is read, never guessed; a write that was made is not made again; what cannot be known is a halt, within limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.balancers.aws_rig import Place, Site, dummy_credentials, emptied, moto_server
from tests.faults.door import Document, Door
from tests.faults.nursery import Nursery, nursery
from tests.faults.proxy import ChaosSocket, OnceProxy
from tests.faults.small import laid_out
from tests.kills.stage import Stage, stage

pytestmark = pytest.mark.slow

DEPLOYMENT = ["50", "100"]
"""The shares of green that are written at a switch point, in percent."""


@dataclass
class Broken:
    """A HAProxy behind a socket that breaks calls."""

    there: Stage
    chaos: ChaosSocket
    door: Door

    def shares(self, backend: str = "web") -> list[str]:
        """What arrived at HAProxy for green, write by write."""
        lines = [line for line in self.chaos.made if f"{backend}/green weight" in line]
        return [part.split()[-1] for line in lines for part in line.split(";") if "green weight" in part]


@contextlib.asynccontextmanager
async def broken_haproxy(directory: Path) -> AsyncIterator[Broken]:
    """With a daemon that lives, and traffic; the traffic has no failed request."""
    async with stage(directory) as there:
        chaos = ChaosSocket(there.admin.address, directory / "chaos.sock")
        there.service = there.service.replace(there.admin.address, str(chaos.path)).replace(
            "kind: haproxy,", "kind: haproxy, timeout: 500ms,"
        )
        there.write_service()
        async with chaos.running(), nursery(there.config, there.socket) as lives:
            await lives.start()
            door = Door(there.socket)
            await door.live()
            yield Broken(there, chaos, door)
    assert there.figures().failed == 0, there.figures().failures


async def outcomes(door: Door) -> list[str]:
    """What the journal says of the writes."""
    kinds = ("OutcomeLost", "WeightsUnchanged", "WeightsSet")
    return [
        one["kind"] + ("(found)" if one["data"].get("recovered") else "")
        for one in await door.events()
        if one["kind"] in kinds
    ]


@pytest.mark.parametrize("fault", ["drop", "half", "hang"])
async def test_a_write_that_was_made_and_not_answered_is_found_and_not_made_again(short: Path, fault: str) -> None:
    async with broken_haproxy(short) as broken:
        broken.chaos.writes.append(fault)
        await broken.door.post("deployments", "one", version="v2")
        assert (await broken.door.ended())["condition"] == "completed"
        assert (await outcomes(broken.door))[:2] == ["OutcomeLost", "WeightsSet(found)"]
        assert len(broken.shares("web")) == len(broken.shares("shop")) == len(DEPLOYMENT), broken.chaos.made


async def test_a_write_that_never_arrived_is_looked_up_and_then_made(short: Path) -> None:
    async with broken_haproxy(short) as broken:
        broken.chaos.writes.append("lose")
        await broken.door.post("deployments", "one", version="v2")
        assert (await broken.door.ended())["condition"] == "completed"
        assert (await outcomes(broken.door))[:3] == ["OutcomeLost", "WeightsUnchanged", "WeightsSet"]
        assert len(broken.shares("web")) == len(broken.shares("shop")) == len(DEPLOYMENT), broken.chaos.made


async def test_a_slow_answer_is_an_answer(short: Path) -> None:
    async with broken_haproxy(short) as broken:
        broken.chaos.writes.extend(["slow"] * 2)
        await broken.door.post("deployments", "one", version="v2")
        assert (await broken.door.ended())["condition"] == "completed"
        assert set(await outcomes(broken.door)) == {"WeightsSet"}


async def test_writes_that_never_arrive_have_a_limit_and_then_a_person_is_asked(short: Path) -> None:
    async with broken_haproxy(short) as broken:
        broken.chaos.writes.extend(["lose"] * 50)
        await broken.door.post("deployments", "one", version="v2")
        switch = await broken.door.ended()
        assert (switch["condition"], switch["halt"]["cause"]) == ("halted", "outcome_unknown")
        assert broken.chaos.made == []
        assert len(broken.chaos.writes) == 47, "three times, no more"
        broken.chaos.writes.clear()
        await broken.door.post("resume")
        assert (await broken.door.ended())["condition"] == "completed"


@pytest.mark.parametrize("fault", ["lose", "drop", "half", "hang"])
async def test_reads_that_fail_for_a_while_after_a_lost_answer_are_asked_again(short: Path, fault: str) -> None:
    async with broken_haproxy(short) as broken:
        await broken.door.post("deployments", "one", version="v2")
        await broken.door.until(lambda seen: seen["switch"]["phase"] == "shift", "the shift")
        broken.chaos.writes.append("drop")
        await asyncio.to_thread(_wait_for_a_write, broken)
        broken.chaos.reads.extend([fault] * 3)
        switch = await broken.door.ended()
        if switch["condition"] == "halted":  # the look that failed was one at the candidate's health, before a write
            assert switch["halt"]["cause"] == "unhealthy", switch["halt"]
            assert "cannot be read" in switch["halt"]["summary"]
            await broken.door.post("resume")
            switch = await broken.door.ended()
        assert switch["condition"] == "completed"
        assert len(broken.shares("web")) == len(broken.shares("shop")) == len(DEPLOYMENT), broken.chaos.made


def _wait_for_a_write(broken: Broken) -> None:
    import time

    for _ in range(1000):
        if not broken.chaos.writes:
            return
        time.sleep(0.005)
    raise AssertionError("no write was made")


async def test_a_write_that_arrives_late_is_never_overwritten_unseen(short: Path) -> None:
    """Its answer was lost and looks showed the old weights; then it lands. The next write is made on what is there, or
    there is a halt; either way the balancer ends where the journal says, or the drift is said."""
    async with broken_haproxy(short) as broken:
        broken.chaos.writes.append("late")
        await broken.door.post("deployments", "one", version="v2")
        switch = await broken.door.ended()
        if switch["condition"] == "halted":
            assert switch["halt"]["cause"] == "drift", switch["halt"]
        await broken.chaos.landed.wait()
        shown = {name: weights.share("green") / 10 for name, weights in (await broken.there.weights()).items()}
        await broken.door.until(
            lambda seen: seen["drift"] or {n: p["asked"]["green"] for n, p in seen["switch_points"].items()} == shown,
            f"that the balancer shows {shown}, or that this is drift",
        )


# --- Elastic Load Balancing ---

ELBV2 = """
service: web
environments: {{blue: {{url: "http://127.0.0.1:1"}}, green: {{url: "http://127.0.0.1:2"}}}}
switch_points:
  - {{kind: elbv2, name: alb, region: eu-west-1, listener: {listener}, target_groups: {groups}, endpoint_url: "{url}",
     timeout: {timeout}, settle: 2s}}
deploy: {{kind: command, run: ["true"], idempotent: true}}
shift: {{steps: [50%, 100%], wait: 10ms}}
health: {{every: 100ms, timeout: 20s}}
bake: 10ms
"""


@dataclass
class Cloud:
    """AWS behind a proxy that breaks calls, and the daemon before it."""

    site: Site
    place: Place
    proxy: OnceProxy
    door: Door
    lives: Nursery

    async def deployed(self) -> Document:
        await self.door.post("deployments", None, version="v2")
        return await self.door.ended()


@contextlib.asynccontextmanager
async def broken_cloud(directory: Path, monkeypatch: pytest.MonkeyPatch, timeout: str = "10s") -> AsyncIterator[Cloud]:
    """A listener of an Application Load Balancer, and a daemon that lives."""
    dummy_credentials(monkeypatch)
    with moto_server() as url, Site(emptied(url)) as site, OnceProxy(url) as proxy:
        place = site.place()
        groups = {name: str(group) for name, group in place.names.items()}
        text = ELBV2.format(listener=place.arn, groups=groups, url=proxy.url, timeout=timeout)
        config = laid_out(directory, text)
        async with nursery(config, directory / "c.sock") as lives:
            await lives.start()
            door = Door(directory / "c.sock")
            await door.live()
            yield Cloud(site, place, proxy, door, lives)


@pytest.mark.parametrize(
    ("faults", "sent", "said"),
    [
        (["throttle", "throttle"], 4, ["WeightsSet", "WeightsSet"]),
        (["drop"], 2, ["OutcomeLost", "WeightsSet(found)", "WeightsSet"]),
        (["unavailable"], 3, ["OutcomeLost", "WeightsUnchanged", "WeightsSet", "WeightsSet"]),
        (["unavailable", "drop"], 3,
         ["OutcomeLost", "WeightsUnchanged", "OutcomeLost", "WeightsSet(found)", "WeightsSet"]),
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_answer_is_resolved_by_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: list[str], sent: int, said: list[str]
) -> None:
    async with broken_cloud(tmp_path, monkeypatch) as cloud:
        cloud.proxy.once["ModifyListener"] = deque(faults)
        assert (await cloud.deployed())["condition"] == "completed"
        assert await outcomes(cloud.door) == said
        assert cloud.proxy.sent["ModifyListener"] == sent
        assert cloud.proxy.arrived["ModifyListener"] == len(DEPLOYMENT), "each write is made once"
        assert cloud.site.weights(cloud.place) == {"blue": 0, "green": 100}


async def test_a_token_that_expires_in_mid_call_is_a_halt_with_nothing_guessed_and_a_new_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write lands, its answer is lost, and reads are refused from then on; until the token is renewed."""
    async with broken_cloud(tmp_path, monkeypatch) as cloud:
        cloud.proxy.once["ModifyListener"] = deque(["drop"])
        cloud.proxy.after["ModifyListener"] = {"DescribeListeners": "expired"}
        await cloud.door.post("deployments", None, version="v2")
        seen = await cloud.door.until(lambda seen: seen["unknown"], "the write is said to be unknown")
        assert seen["switch_points"]["alb"]["agrees"] is None
        await asyncio.sleep(1.0)
        assert (await cloud.door.look())["unknown"] == ["alb"], "and stays so"
        switch = await cloud.door.ended()
        assert (switch["condition"], switch["halt"]["cause"]) == ("halted", "outcome_unknown")
        assert switch["halt"]["advice"].startswith("the credentials have expired: renew them")
        cloud.proxy.after.clear()
        cloud.proxy.faults.pop("DescribeListeners")
        await cloud.door.post("resume")
        assert (await cloud.door.ended())["condition"] == "completed"
        assert cloud.proxy.arrived["ModifyListener"] == len(DEPLOYMENT)


async def test_a_token_that_expired_before_a_write_is_looked_up_and_then_a_halt_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broken_cloud(tmp_path, monkeypatch) as cloud:
        cloud.proxy.faults["ModifyListener"] = "expired"
        switch = await cloud.deployed()
        assert (switch["condition"], switch["halt"]["cause"]) == ("halted", "balancer_refused")
        assert "the credentials have expired: renew them" in switch["halt"]["advice"]
        assert await outcomes(cloud.door) == ["OutcomeLost", "WeightsUnchanged"] * 3, "never taken for not made"
        assert cloud.site.weights(cloud.place) == {"blue": 100, "green": 0}
        cloud.proxy.faults.clear()
        await cloud.door.post("resume")
        assert (await cloud.door.ended())["condition"] == "completed"


async def test_reads_that_lag_behind_a_write_are_waited_for_and_nothing_is_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broken_cloud(tmp_path, monkeypatch) as cloud:
        cloud.proxy.faults["DescribeListeners"], cloud.proxy.stale_reads = "stale", 6
        assert (await cloud.deployed())["condition"] == "completed"
        assert cloud.proxy.arrived["ModifyListener"] == cloud.proxy.sent["ModifyListener"] == len(DEPLOYMENT)
        assert [one["kind"] for one in await cloud.door.events()].count("Halted") == 0


async def test_a_throttle_that_does_not_end_is_a_halt_with_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broken_cloud(tmp_path, monkeypatch) as cloud:
        cloud.proxy.faults["ModifyListener"] = "throttle"
        switch = await cloud.deployed()
        assert (switch["condition"], switch["halt"]["cause"]) == ("halted", "balancer_unreachable")
        assert cloud.proxy.arrived["ModifyListener"] == 0
        assert cloud.proxy.sent["ModifyListener"] <= 4
        assert cloud.site.weights(cloud.place) == {"blue": 100, "green": 0}
