"""A host whose clock is set while the daemon runs, or that slept: the real daemon, with libfaketime as its clock."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from bluegreen.errors import Refused
from tests.acceptance.operator import Operator, running, split
from tests.test_daemon import laid_out

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
HOUR, DAY = 3600, 86400

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing: apt-get install faketime"),
]


class HostClock:
    """The wall clock of one process; its monotonic clock stays true."""

    def __init__(self, file: Path) -> None:
        self._file, self.ahead = file, 0
        self.set(0)
        self.variables = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: int) -> None:
        """So many seconds ahead of the true time."""
        self.ahead = ahead
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+d}\n")
        new.rename(self._file)


def status(config: Path) -> str:
    """What `bluegreen status` shows."""
    done = subprocess.run(
        [sys.executable, "-m", "bluegreen", "status", "web", "--config", str(config)],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_hours_and_days_forward_and_back_end_no_wait_no_bake_and_no_protection(tmp_path: Path) -> None:
    clock = HostClock(tmp_path / "clock")
    config = laid_out(tmp_path, wait="1500ms")
    web = tmp_path / "services" / "web.yaml"
    web.write_text(web.read_text().replace("[50%, 100%]", "[20%, 40%, 60%, 80%, 100%]") + "bake: 1500ms\n")
    loop = asyncio.get_running_loop()
    async with running(config, tmp_path / "c.sock", clock.variables) as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        began = loop.time()
        await operator.deploy("v2")
        for share, jump in ((20, HOUR), (40, -HOUR), (60, DAY), (80, -DAY)):
            await operator.at("green", share)
            clock.set(jump)
            await operator.until(lambda seen: abs(seconds_ahead(seen) - clock.ahead) < 60, "the clock that was set")
            assert not re.search(r"(^|\s)-\d", await asyncio.to_thread(status, config))
        document = await operator.ended("completed")
        assert loop.time() - began >= 5 * 1.5, "every wait and the bake took their time"
        assert document["switch"]["watched_seconds"] >= 1.5
        kinds = [event["kind"] for event in await asyncio.to_thread(events, operator)]
        assert kinds.count("ClockMoved") == 4
        clock.set(DAY)
        with pytest.raises(Refused, match="is kept warm for a failback"):
            await operator.deploy("v3")
        clock.set(-DAY)
        with pytest.raises(Refused, match="is kept warm for a failback"):
            await operator.deploy("v3")
        assert await daemon.end() == 0
        await daemon.start()
        document = await operator.until(lambda seen: seen["live"] == "green", "who is live")
        assert split(document) == {"blue": 0, "green": 100}


def seconds_ahead(document: dict[str, object]) -> float:
    """How far the daemon's clock is ahead of the true time."""
    return datetime.fromisoformat(str(document["as_of"])).timestamp() - datetime.now().timestamp()


def events(operator: Operator) -> list[dict[str, object]]:
    """The journal."""
    return list(operator._client.get("events", limit=500)["events"])


@pytest.mark.parametrize("condition", ["running", "halted"])
async def test_a_host_that_slept_goes_on_where_it_was(tmp_path: Path, condition: str) -> None:
    clock = HostClock(tmp_path / "clock")
    config = laid_out(tmp_path, command="false" if condition == "halted" else "true", wait="10m")
    async with running(config, tmp_path / "c.sock", clock.variables) as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        if condition == "halted":
            before = await operator.ended("halted")
        else:
            before = await operator.at("green", 50)
        assert daemon._process is not None
        daemon._process.send_signal(signal.SIGSTOP)
        clock.set(8 * HOUR)
        await asyncio.sleep(1)
        daemon._process.send_signal(signal.SIGCONT)
        after = await operator.until(lambda seen: seconds_ahead(seen) > 7 * HOUR, "the clock after the sleep")
        if condition == "halted":
            assert after["switch"]["halt"] == before["switch"]["halt"]
            assert split(after) == {"blue": 100, "green": 0}
        else:
            assert split(after) == {"blue": 50, "green": 50}, "a sleep is no wait"
            await operator.post("promote")
            await operator.ended("completed")
