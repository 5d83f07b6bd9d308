"""The configuration changes, breaks or goes while a switch is under way: the switch keeps what it started with."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import NotFound
from tests.acceptance.operator import Daemon, Operator, running, split
from tests.test_daemon import laid_out, refused

pytestmark = pytest.mark.slow


def two_services(directory: Path, wait: str = "approve") -> Path:
    """`web`, which is switched, and `shop`, which stays."""
    config = laid_out(directory, wait=wait)
    web = (directory / "services" / "web.yaml").read_text()
    (directory / "services" / "shop.yaml").write_text(web.replace("service: web", "service: shop"))
    return config


def hup(daemon: Daemon) -> None:
    assert daemon._process is not None
    daemon._process.send_signal(signal.SIGHUP)


def told(directory: Path) -> list[dict[str, Any]]:
    """The daemon's log."""
    return [json.loads(line) for line in (directory / "daemon.log").read_text().splitlines() if line.startswith("{")]


async def logged(directory: Path, event: str, times: int = 1) -> None:
    """Until the log says so, so many times."""
    async with asyncio.timeout(90):
        while sum(event in line["event"] for line in told(directory)) < times:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def at_its_approval(operator: Operator) -> None:
    await operator.until(lambda seen: seen["live"] == "blue", "who is live")
    await operator.deploy("v2")
    await operator.until(lambda seen: seen["switch"]["awaiting"] == "approval", "the approval")


async def test_a_broken_configuration_in_mid_switch_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="approve")
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await at_its_approval(operator)
        before = await operator.look()
        for times, broken in enumerate(("service: web\n", "\0", "service: [", "a: &a [*a]"), 1):
            (tmp_path / "services" / "web.yaml").write_text(broken)
            hup(daemon)
            await logged(tmp_path, "the old one stays in force", times)
        after = await operator.look()
        assert after["switch"] == before["switch"] | {"alive_at": after["switch"]["alive_at"]}
        assert split(after) == {"blue": 50, "green": 50}
        await operator.post("approve")
        await operator.ended("completed")


async def test_a_storm_of_reloads_in_mid_switch_holds_up_nothing_and_ends_with_the_last_one(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="2s")
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        longest, loop = 0.0, asyncio.get_running_loop()
        for number in range(200):
            laid_out(tmp_path, command="false", wait=f"{number + 1}ms")
            hup(daemon)
            began = loop.time()
            document = await operator.look()
            longest = max(longest, loop.time() - began)
        assert longest < 10
        await operator.ended("completed")
        await logged(tmp_path, "configuration reloaded")
        assert document["service"] == "web"
        await operator.deploy("v3", replace_warm=True)
        assert (await operator.ended("halted"))["switch"]["phase"] == "deploy", "the new one is for the next"


async def test_a_service_that_is_removed_in_mid_switch_stays_until_the_switch_has_ended(tmp_path: Path) -> None:
    config = two_services(tmp_path)
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await at_its_approval(operator)
        (tmp_path / "services" / "web.yaml").unlink()
        hup(daemon)
        await logged(tmp_path, "stays until its open switch has ended")
        await logged(tmp_path, "configuration reloaded")
        await operator.post("approve")
        document = await operator.ended("completed")
        assert split(document) == {"blue": 0, "green": 100}
        hup(daemon)
        await logged(tmp_path, "configuration reloaded", 2)
        with pytest.raises(NotFound):
            await operator.look()
        assert (await Operator(tmp_path / "c.sock", "shop").look())["live"] == "blue"
        two_services(tmp_path)
        hup(daemon)
        await logged(tmp_path, "configuration reloaded", 3)
        await operator.until(lambda seen: seen["live"] == "green", "what is on record, when it is back")


async def test_a_service_that_was_removed_while_the_daemon_was_dead_is_not_left_in_mid_switch(tmp_path: Path) -> None:
    config = two_services(tmp_path)
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await at_its_approval(operator)
        await daemon.end(signal.SIGKILL)
        (tmp_path / "services" / "web.yaml").unlink()
        await daemon.start()
        await logged(tmp_path, "stays until its open switch has ended")
        document = await operator.look()
        assert document["switch"]["awaiting"] == "approval"
        await operator.post("approve")
        assert split(await operator.ended("completed")) == {"blue": 0, "green": 100}
        assert await daemon.end() == 0
        await daemon.start()
        with pytest.raises(NotFound):
            await operator.look()


async def test_a_start_with_a_broken_configuration_says_all_of_it_and_what_becomes_of_the_open_switch(
    tmp_path: Path,
) -> None:
    config = two_services(tmp_path)
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await at_its_approval(operator)
        await daemon.end(signal.SIGKILL)
        files = [tmp_path / "services" / name for name in ("shop.yaml", "web.yaml")]
        whole = [file.read_text() for file in files]
        journal = (tmp_path / "state" / "journal.sqlite").read_bytes()
        for file in files:
            file.write_text(file.read_text().replace("steps: [50%, 100%]", "steps: [50%, 40%]"))
        done = await asyncio.to_thread(refused, config)
        assert done.returncode == 2
        assert all(f"{file}:6: shift" in done.stderr for file in files), "every fault at once"
        assert "Traffic stays as it is" in done.stderr
        assert "goes on from the journal" in done.stderr
        assert (tmp_path / "state" / "journal.sqlite").read_bytes() == journal
        for file, text in zip(files, whole, strict=True):
            file.write_text(text)
        await daemon.start()
        await operator.post("approve")
        await operator.ended("completed")
