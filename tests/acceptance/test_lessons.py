"""From a halt to a guard, with a real daemon and the command line: seen twice, made a guard, enforced, exported."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance.operator import Daemon, Operator

pytestmark = pytest.mark.slow

SERVICE = """\
service: web
environments: {blue: {url: "http://127.0.0.1:1"}, green: {url: "http://127.0.0.1:2"}}
switch_points: [{kind: memory}]
deploy: {kind: command, run: [/bin/true]}
smoke: [{name: orders, command: [/bin/sh, -c, "test ! -e bad"]}]
shift: {steps: [50%, 100%]}
keep_warm: 0s
health: {every: 50ms}
"""


class Host:
    """A directory with a configuration, its daemon, and somebody at the shell."""

    def __init__(self, directory: Path) -> None:
        self.config, self.socket = directory / "bluegreen.yaml", directory / "c.sock"
        self.services = directory / "services"
        self.services.mkdir()
        self.file = self.services / "web.yaml"
        self.file.write_text(SERVICE)
        self.config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 200ms}\n")
        self.daemon, self.operator = Daemon(self.config, self.socket), Operator(self.socket, "web")
        self.bad, self.dependency = self.services / "bad", self.services / "dependency"

    async def run(self, *arguments: str, code: int = 0) -> str:
        """`bluegreen …`; gives what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "--config", str(self.config), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 90)
        assert process.returncode == code, (arguments, out, err)
        return out.decode()

    async def until_live(self) -> None:
        await self.operator.until(lambda seen: seen["live"] is not None, "who is live")


async def halts_in_smoke(host: Host, version: str) -> None:
    """The dependency is away, and smoke is the first to tell."""
    host.bad.touch()
    await host.run("deploy", "web", version, "--wait", code=4)


async def test_a_halt_that_comes_again_becomes_a_guard_that_outlives_the_daemon_and_goes_into_the_file(
    short: Path,
) -> None:
    host = Host(short)
    await host.daemon.start()
    try:
        await host.until_live()
        await halts_in_smoke(host, "v2")
        host.bad.unlink()
        await host.run("resume", "web", "--cause", "dependency", "--note", "the orders mock was away")
        await host.operator.ended("completed")
        await halts_in_smoke(host, "v3")
        told = await host.run("explain", "web")
        assert "smoke/orders/check_failed  seen once before, last" in told
        assert "resume helped once after" in told
        assert "'the orders mock was away' by" in " ".join(told.split())
        host.bad.unlink()
        await host.run("resume", "web")
        await host.operator.ended("completed")
        told = await host.run("lessons", "web")
        assert "times=2 state=open" in told
        await made_a_guard(host)
        await host.daemon.end(signal.SIGKILL)
        await host.daemon.start()
        await host.until_live()
        assert "state=enforcing ran=1 would_have_failed=1" in await host.run("guard", "list", "web")
        host.dependency.unlink(missing_ok=True)
        await host.run("deploy", "web", "v5", "--wait", code=4)
        told = await host.run("explain", "web")
        assert "preflight failed in preflight" in told
        assert "made of smoke/orders/check_failed: seen twice" in " ".join(told.split())
        host.dependency.touch()
        await host.run("resume", "web")
        await host.operator.ended("completed")
        assert "covers 2 past halts: smoke/orders/check_failed (guard dependency)" in await host.run(
            "plan", "web", "v6"
        )
        await moved_into_the_file(host)
    finally:
        await host.daemon.end(signal.SIGKILL)


async def made_a_guard(host: Host) -> None:
    assert (await host.operator.look())["lessons"] == {"recurring": 1, "without_cause": 1}
    await host.run(
        "guard", "add", "web", "dependency", "--kind", "command", "--lesson", "smoke/orders/check_failed",
        "--", "/usr/bin/test", "-e", "dependency",
    )  # fmt: skip
    await host.run("guard", "enforce", "web", "dependency", code=3)
    await host.run("deploy", "web", "v4", "--wait")
    assert "shadow: would have failed" in await host.run("guard", "show", "web", "dependency")
    await host.run("guard", "enforce", "web", "dependency")


async def moved_into_the_file(host: Host) -> None:
    """What is exported is sound, and the file's guard goes before the one on record."""
    exported = await host.run("guard", "export", "web")
    host.file.write_text(SERVICE + exported)
    await host.run("check-config")
    host.daemon.send(signal.SIGHUP)
    await host.operator.until(lambda seen: seen["live"] is not None, "a look")
    async with asyncio.timeout(90):
        while "state=file" not in await host.run("guard", "list", "web"):  # noqa: ASYNC110 - another process reloads
            await asyncio.sleep(0.05)
    plan = await host.run("plan", "web", "v6")
    assert plan.count("check=dependency ") == 1
    assert "(guard dependency)" in plan
    host.dependency.unlink()
    await host.run("deploy", "web", "v6", "--wait", code=4)
