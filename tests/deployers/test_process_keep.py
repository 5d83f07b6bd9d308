"""ProcessDeployer.keep over real processes: started again, found again, and never mistaken for another."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from bluegreen.deployers import process as under_test
from tests.deployers.kept import NOTE, Open, kept, pid_of, quiet, record_in, scene
from tests.programs import alive, kill, pids_in, sh, until, zombies

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_strangers")]


async def test_a_killed_process_is_started_again(make: Open, tmp_path: Path):
    starts = tmp_path / "starts"
    deployer = make(*sh(NOTE + "exec sleep 60", str(starts)))
    first = pid_of(await deployer.deploy(scene(), "run", quiet))
    async with kept(deployer):
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(pids_in(starts)) == 2)
        second = pids_in(starts)[1]
        assert alive(second)
        await until(lambda: not Path(f"/proc/{first}").exists())
    third = pid_of(await deployer.deploy(scene("2"), "run", quiet))
    assert not alive(second)
    assert alive(third)


async def test_a_live_process_is_started_again_while_the_other_side_is_being_deployed(make: Open, tmp_path: Path):
    live = make(*sh(NOTE + "exec sleep 60", str(tmp_path / "starts")), ready="100ms")
    pid = pid_of(await live.deploy(scene(environment="blue"), "run", quiet))
    deployer = make("sleep", "60", ready="60s")
    async with kept(deployer), asyncio.TaskGroup() as group:
        deploying = group.create_task(deployer.deploy(scene("2"), "run", quiet))
        await until(lambda: (tmp_path / "process.web.green.json").exists() and record_in(tmp_path)["pid"])
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(pids_in(tmp_path / "starts")) == 2)
        assert not deploying.done()
        deploying.cancel()


async def test_a_full_disk_does_not_end_the_keeper(make: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "LOG_BYTES_MAX", 1000)
    starts = tmp_path / "starts"
    deployer = make(*sh(NOTE + "exec sleep 60", str(starts)))
    done = await deployer.deploy(scene(), "run", quiet)
    log, full = (
        Path(done.detail["log"]),
        [tmp_path / "process.web.green.json.new", tmp_path / "process.web.green.log.1"],
    )
    for file in full:
        file.symlink_to("/dev/full")
    log.write_text("x" * 2000)
    os.kill(pid_of(done), signal.SIGKILL)
    async with kept(deployer):
        await until(lambda: "No space left on device; mend that and try again; tried again in" in log.read_text())
        assert len(pids_in(starts)) == 1  # what cannot be put on record could not be found again
        full[0].unlink()
        await until(lambda: len(pids_in(starts)) == 2)
        assert log.stat().st_size > 2000
        full[1].unlink()
        await until(lambda: log.stat().st_size == 0)
    assert alive(pids_in(starts)[1])


async def test_what_was_halted_while_the_keeper_tidied_up_is_not_started_again(make: Open, tmp_path: Path):
    """The main process is gone and its deaf child holds the keeper up: the halt comes in between."""
    starts, child = tmp_path / "starts", tmp_path / "child"
    line = NOTE + "(trap '' TERM; sh -c 'echo $PPID' > \"$2\"; while true; do sleep 0.02; done) & wait"
    deployer = make(*sh(line, str(starts), str(child)))
    pid = pid_of(await deployer.deploy(scene(), "run", quiet))
    await until(lambda: pids_in(child))
    asked = []

    def may_touch(environment: str) -> bool:
        asked.append(environment)
        return len(asked) == 1

    os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(pid))
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(deployer.keep(may_touch))
        await until(lambda: len(asked) >= 3)
        keeping.cancel()
    assert not alive(*pids_in(child))
    assert pids_in(starts) == [pid]


async def test_the_pause_before_each_start_grows(make: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "PAUSE_MAX", 0.4)
    times = tmp_path / "times"
    line = 'date +%s%N >> "$1"; test -e "$2" || exec sleep 60; exit 1'
    deployer = make(*sh(line, str(times), str(tmp_path / "broken")))
    pid = pid_of(await deployer.deploy(scene(), "run", quiet))
    (tmp_path / "broken").touch()
    os.kill(pid, signal.SIGKILL)
    async with kept(deployer):
        await until(lambda: len(pids_in(times)) == 7)
    at = [nanoseconds / 1e9 for nanoseconds in pids_in(times)][1:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert sum(gaps) >= 1.0, gaps  # 0.05 + 0.1 + 0.2 + 0.4 + 0.4, but for how late the first one came to its clock
    assert gaps[3] + gaps[4] > gaps[0] + gaps[1] + 0.3, gaps


async def test_what_cannot_be_started_again_is_in_its_log_and_is_tried_again(make: Open, tmp_path: Path):
    program = tmp_path / "server"
    program.symlink_to("/bin/sleep")
    deployer = make(str(program), "60")
    done = await deployer.deploy(scene(), "run", quiet)
    program.unlink()
    os.kill(pid_of(done), signal.SIGKILL)
    log = Path(done.detail["log"])
    async with kept(deployer):
        await until(lambda: log.read_text().count(f"bluegreen: {program} does not exist; tried again in") >= 2)
        program.symlink_to("/bin/sleep")
        await until(lambda: record_in(tmp_path)["pid"] not in (0, pid_of(done)))
    assert alive(record_in(tmp_path)["pid"])


async def test_the_process_outlives_the_deployer_and_the_next_one_finds_it(make: Open, tmp_path: Path):
    starts = tmp_path / "starts"
    run = sh(NOTE + "exec sleep 60", str(starts))
    first = make(*run)
    pid = pid_of(await first.deploy(scene(), "run", quiet))
    await first.close()
    await first.close()
    assert alive(pid)
    del first
    second = make(*run)
    async with kept(second):
        await asyncio.sleep(0.2)  # ten looks
        assert pids_in(starts) == [pid]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(pids_in(starts)) == 2)
    pid_of(await second.deploy(scene("2"), "run", quiet))
    assert not alive(pids_in(starts)[1])


async def test_another_process_with_the_same_pid_is_not_touched(make: Open, tmp_path: Path):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        await asyncio.sleep(0.05)  # start times are told in hundredths of a second
        deployer = make("sleep", "60")
        gone = pid_of(await deployer.deploy(scene(), "run", quiet))
        kill(gone)
        await until(lambda: not alive(gone))
        file = tmp_path / "process.web.green.json"
        file.write_text(json.dumps({**record_in(tmp_path), "pid": stranger.pid}))
        async with kept(deployer):
            await until(lambda: record_in(tmp_path)["pid"] not in (0, stranger.pid))
        file.write_text(json.dumps({**record_in(tmp_path), "pid": stranger.pid}))
        pid_of(await deployer.deploy(scene("2"), "run", quiet))
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_record_that_is_garbage_stops_nobody(make: Open, tmp_path: Path):
    for text in ("", "[]", "{}", '{"pid": 1}', "\0"):
        (tmp_path / "process.web.green.json").write_text(text)
        deployer = make("sleep", "60")
        assert (await deployer.deploy(scene(), "run", quiet)).ok, text


async def test_the_log_is_bounded_and_its_end_is_kept(make: Open, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "LOG_BYTES_MAX", 10_000)
    deployer = make(*sh("i=0; while true; do echo line $i; i=$((i+1)); test $((i % 100)) = 0 && sleep 0.005; done"))
    log = Path((await deployer.deploy(scene(), "run", quiet)).detail["log"])
    old, sizes = log.with_suffix(".log.1"), [0]

    def turned() -> bool:
        sizes.append(log.stat().st_size)
        return sizes[-1] < sizes[-2]

    async with kept(deployer):
        for _ in range(3):
            await until(turned)
    assert old.stat().st_size == 10_000
    assert "line " in old.read_text()


async def test_no_zombie_stays(make: Open):
    deployer = make("sleep", "60")
    for version in "123":
        pid = pid_of(await deployer.deploy(scene(version), "run", quiet))
    kill(pid)
    async with kept(deployer):
        await until(lambda: not Path(f"/proc/{pid}").exists())
    assert zombies() == []
