"""Two daemons, a daemon and a command line, one that was stopped or killed: one holds the journal, others are told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bluegreen.errors import ExitCode
from tests.faults.small import at_half, bluegreen, small
from tests.programs import kill, pids_in, until

pytestmark = pytest.mark.slow


async def test_a_second_daemon_in_mid_switch_is_refused_and_does_not_disturb_the_first(tmp_path: Path) -> None:
    async with small(tmp_path, wait="4s") as there:
        (tmp_path / "second.yaml").write_text(
            (tmp_path / "bluegreen.yaml").read_text().replace("c.sock", "another.sock")
        )
        first = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await at_half(there)
        for config in ("bluegreen.yaml", "second.yaml"):
            second = await bluegreen(there, "serve", config=config)
            assert second.code == ExitCode.REFUSED
            assert f"in use by process {first.pid} (daemon)" in second.err
            assert "Traceback" not in second.err
        assert not (tmp_path / "another.sock").exists()
        assert (await there.door.ended())["condition"] == "completed"
        kinds = [one["kind"] for one in await there.door.events()]
        assert "Restarted" not in kinds
        assert kinds.count("Requested") == 1


async def test_of_two_daemons_that_start_at_once_one_lives(tmp_path: Path) -> None:
    async with small(tmp_path) as there:
        both = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bluegreen", "serve", "--config", str(tmp_path / "bluegreen.yaml"),
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            await asyncio.wait([asyncio.ensure_future(one.wait()) for one in both], timeout=90,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            (loser,) = [one for one in both if one.returncode is not None]
            assert loser.returncode == ExitCode.REFUSED
            assert (await there.door.live())["live"] == "blue"
        finally:
            for one in both:
                if one.returncode is None:
                    one.terminate()
                    assert await one.wait() == 0


async def test_a_daemon_that_was_stopped_and_goes_on_writes_nothing_on_top_of_another_hand(tmp_path: Path) -> None:
    async with small(tmp_path) as there:
        life = await there.nursery.start("balancer.write.before=stop@1", there.log)
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await until(lambda: Path(f"/proc/{life.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 90)
        refused = await bluegreen(there, "serve")
        assert refused.code == ExitCode.REFUSED
        assert f"in use by process {life.pid}" in refused.err
        balancer = there.balancer("eu")
        balancer.write_text('{"blue": 3, "green": 1}')
        os.kill(life.pid, signal.SIGCONT)
        switch = await there.door.ended()
        assert (switch["condition"], switch["halt"]["cause"]) == ("halted", "drift")
        assert json.loads(balancer.read_text()) == {"blue": 3, "green": 1}


async def test_the_next_daemon_starts_though_the_dead_ones_deploy_command_lives_on(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with small(tmp_path, command=f"echo $$ >> {pids}; exec sleep 60", idempotent="false") as there:
        life = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await until(lambda: pids_in(pids), 90)
        await life.end(signal.SIGKILL)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await there.nursery.start()
            assert loop.time() - began < 30, "it does not wait for the command's end"
            assert (await there.door.look())["switch"]["condition"] in ("running", "halted")
            assert len(pids_in(pids)) == 1, "a command whose outcome is unknown is not started again"
        finally:
            for pid in pids_in(pids):
                kill(pid)


async def test_a_failback_by_the_command_line_goes_through_the_daemon_that_lives(tmp_path: Path) -> None:
    async with small(tmp_path) as there:
        life = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await there.door.ended()
        ran = await bluegreen(there, "failback", "web", "--yes", "--reason", "5xx", "--json")
        assert ran.code == 0, ran.err
        assert (ran.document["kind"], ran.document["condition"]) == ("failback", "completed")
        kinds = [one["kind"] for one in await there.door.events()]
        assert "Restarted" not in kinds, "no other process took the journal"
        assert Path(f"/proc/{life.pid}").exists()


async def test_a_failback_whose_command_line_was_killed_is_finished_by_the_daemon(tmp_path: Path) -> None:
    async with small(tmp_path, back="[50%, 100%]", back_wait="2s") as there:
        life = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await there.door.ended()
        await life.end(signal.SIGKILL)
        alone = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "failback", "web", "--yes", "--reason", "5xx",
            "--config", str(tmp_path / "bluegreen.yaml"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await until(lambda: "500" in there.balancer("us").read_text(), 90)
        alone.kill()
        await alone.wait()
        await there.nursery.start()
        switch = await there.door.ended()
        assert (switch["kind"], switch["condition"], switch["reason"]) == ("failback", "completed", "5xx")
        assert (await there.door.look())["environments"]["blue"]["weight"] == 100


async def test_of_two_command_lines_that_fail_back_without_a_daemon_one_does_it(tmp_path: Path) -> None:
    async with small(tmp_path, back="[50%, 100%]", back_wait="2s") as there:
        life = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await there.door.ended()
        await life.end(signal.SIGKILL)
        ran = await asyncio.gather(
            *[bluegreen(there, "failback", "web", "--yes", "--reason", f"5xx {n}", "--json") for n in range(2)]
        )
        assert sorted(one.code for one in ran) == [0, ExitCode.REFUSED], [one.err for one in ran]
        assert "holds the journal" in next(one.err for one in ran if one.code)
