"""The way back, proven and lost and found: a real daemon process, a real HAProxy, and what an operator reads of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import ExitCode, Refused
from tests.acceptance.operator import Daemon, Operator, running
from tests.balancers.haproxy_rig import Stage, stage
from tests.balancers.web import until

pytestmark = pytest.mark.slow

SERVICE = """
service: web
environments:
  blue: {{url: "http://{blue}"}}
  green: {{url: "http://{green}"}}
switch_points:
  - {{kind: haproxy, socket: "{socket}", backend: web, servers: {{blue: [blue-1], green: [green-1]}}}}
deploy: {{kind: command, run: [/bin/true]}}
smoke:
  - {{name: healthy, http: "{{url}}/healthz", timeout: 1s}}
health: {{every: 100ms}}
keep_warm: 1h
warm: {{every: 1s}}
"""


@dataclass
class Shop:
    """The world, and the operator's ways to look at it."""

    stage: Stage
    config: Path
    daemon: Daemon
    operator: Operator

    async def run(self, *words: str) -> tuple[int, str]:
        """`bluegreen …` as a process of its own; its exit code, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "--config", str(self.config), *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    async def ready(self) -> dict[str, Any]:
        """What `bluegreen ready --json` says; its exit code says the same."""
        code, out = await self.run("ready", "web", "--json")
        document = json.loads(out)
        assert code == (ExitCode.DONE if document["ready"] else ExitCode.REFUSED)
        return dict(document)

    async def becomes(self, ready: bool) -> dict[str, Any]:
        """Until it is so; within the time that the product promises, and much sooner here."""

        async def so() -> bool:
            return bool((await self.operator.look())["warm"]["ready"]) is ready

        await until(so, f"ready: {ready}", 90.0)
        return await self.ready()

    async def metric(self) -> float:
        import aiohttp

        connector = aiohttp.UnixConnector(str(self.config.parent / "control.sock"))
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://d/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return float(next(line for line in lines if line.startswith("bluegreen_failback_ready{")).split()[-1])

    async def noted(self, kind: str, number: int) -> list[dict[str, Any]]:
        """The journal's entries of that kind, once there are so many."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            _, out = await self.run("events", "web", "--json")
            found[:] = [one for one in json.loads(out)["events"] if one["kind"] == kind]
            return len(found) >= number

        await until(there, f"{number} of {kind}", 90.0)
        assert len(found) == number
        return found


@pytest.fixture
async def shop(short: Path) -> AsyncIterator[Shop]:
    async with stage(short, "wheel") as there:
        await there.healthy()
        (short / "services").mkdir()
        webs = there.webs
        made = SERVICE.format(blue=webs["blue-1"].address, green=webs["green-1"].address, socket=there.haproxy.socket)
        (short / "services" / "web.yaml").write_text(made)
        config = short / "bluegreen.yaml"
        config.write_text("state: {directory: state}\ncontrol: {socket: control.sock}\nobserve: {every: 1s}\n")
        async with running(config, short / "control.sock") as daemon:
            yield Shop(there, config, daemon, Operator(short / "control.sock", "web"))


async def test_a_warm_side_that_dies_is_told_noted_once_and_found_again(shop: Shop) -> None:
    code, out = await shop.run("ready", "web")
    assert (code, "no warm environment" in out or "ready=no" in out) == (3, True)
    await shop.operator.until(lambda seen: seen["live"] == "blue", "who is live")
    await shop.operator.deploy("v2")
    await shop.operator.ended("completed")
    good = await shop.becomes(True)
    assert {one["check"] for one in good["proofs"]} >= {"healthy", "haproxy-web: weights", "haproxy-web: blue healthy"}
    assert all(one["age_seconds"] <= 60 for one in good["proofs"])
    assert await shop.metric() == 1.0

    await shop.stage.webs["blue-1"].stop()
    await shop.becomes(False)

    async def by_its_check() -> bool:
        return any(reason.startswith("healthy: ") for reason in (await shop.ready())["reasons"])

    await until(by_its_check, "the smoke check finds it, too")
    assert await shop.metric() == 0.0
    (entry,) = await shop.noted("WarmReadinessLost", 1)
    assert entry["data"]["environment"] == "blue"
    document = await shop.operator.look()
    assert (document["live"], document["environments"]["green"]["weight"]) == ("green", 100.0), "nothing was moved"
    assert document["warm"]["environment"] == "blue", "it stays warm"

    await shop.daemon.end()
    await shop.daemon.start()
    await shop.becomes(False)
    shop.stage.webs["blue-1"].release.clear()
    await shop.stage.webs["blue-1"].start()
    await shop.becomes(True)
    assert await shop.metric() == 1.0
    await shop.noted("WarmReadinessFound", 1)
    await shop.noted("WarmReadinessLost", 1)

    with pytest.raises(Refused, match="--replace-warm and --reason"):
        await shop.operator.deploy("v3")
    with pytest.raises(Refused, match="needs a reason"):
        await shop.operator.deploy("v3", replace_warm=True, reason="")

    await shop.operator.failback("v2 was only to be shown")
    await shop.operator.ended("completed")
    _, out = await shop.run("events", "web", "--json")
    (proven,) = [one for one in json.loads(out)["events"] if one["kind"] == "WarmProven"]
    told = {finding["check"]: finding["summary"] for finding in proven["data"]["findings"]}
    assert "; proven " in told["healthy"]
