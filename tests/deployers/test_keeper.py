"""A deploy command and its keeper over real processes: the daemon dies, the command does not, and it starts once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import bluegreen
from bluegreen import processes, run_keeper
from bluegreen.config.schema import CommandDeploy
from bluegreen.deployers.command import CommandDeployer
from bluegreen.deployers.runs import Run
from bluegreen.ports import DeployOutcome, Scene
from tests.acceptance.operator import Operator, running
from tests.deployers.kept import quiet
from tests.programs import alive, kill, pids_in, sh, until

pytestmark = pytest.mark.slow

SCENE = Scene("web", "green", "2", None)
SERVICE = """
service: web
environments: {{blue: {{url: "http://127.0.0.1:1"}}, green: {{url: "http://127.0.0.1:2"}}}}
switch_points: [{{kind: memory}}]
deploy: {{kind: command, run: [/bin/sh, {script}], timeout: {timeout}, idempotent: {again}}}
shift: {{steps: [100%], wait: 0s}}
"""


class Site:
    """A directory with a daemon's configuration, a deploy script, and what the script wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.told, self.gate = directory, directory / "told", directory / "gate"
        self.config, self.socket = directory / "bluegreen.yaml", directory / "c.sock"
        self.operator = Operator(self.socket, "web")

    def lay_out(self, end: str = "exit 0", begin: str = "", timeout: str = "60s", again: bool = False) -> Path:
        """The script says `begin`, waits for the gate, says `end` and does that."""
        script = self.directory / "deploy.sh"
        wait = f"while ! [ -e {self.gate} ]; do sleep 0.02; done"
        script.write_text(f"echo begin >> {self.told}\n{begin}\n{wait}\necho end >> {self.told}\n{end}\n")
        (self.directory / "services").mkdir()
        text = SERVICE.format(script=script, timeout=timeout, again=str(again).lower())
        (self.directory / "services" / "web.yaml").write_text(text)
        self.config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 1s}\n")
        return self.config

    async def begun(self) -> Run:
        """Ask for a deployment, and wait until its command runs."""
        await self.operator.until(lambda seen: seen["live"] is not None, "who is live")
        await self.operator.deploy("v2")
        await until(lambda: self.lines() == ["begin"])
        return record_of(self.directory / "state")

    def lines(self) -> list[str]:
        return self.told.read_text().split() if self.told.exists() else []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def record_of(state: Path) -> Run:
    """The one run on record."""
    (record,) = (state / "runs").glob("*.json")
    return Run(**json.loads(record.read_text()))


async def gone(run: Run) -> None:
    """Nothing of the run lives any more."""
    await until(lambda: not run.alive)


def deployer(state: Path, *run: str, **rest: Any) -> CommandDeployer:
    os.environ.setdefault("PYTHONPATH", str(Path(bluegreen.__file__).parent.parent))
    return CommandDeployer(CommandDeploy.model_validate({"kind": "command", "run": list(run), **rest}), "web", state)


async def left(state: Path, *run: str, **rest: Any) -> Run:
    """A run that its daemon has left when its command had begun."""
    one = deployer(state, *run, **rest)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.deploy(SCENE, "s1-d1", quiet))
        await until(lambda: task.done() or _handed_over(state))
        one.leave()
        task.cancel()
    return record_of(state)


def _handed_over(state: Path) -> bool:
    """The command itself runs, beside its keeper."""
    for record in (state / "runs").glob("*.json"):
        run = Run(**json.loads(record.read_text()))
        return run.pid != 0 and len(processes.members(run.mark)) > 1
    return False


# --- the daemon ---


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_command_outlives_its_daemon_and_is_adopted_by_the_next_one(site: Site, number: int) -> None:
    async with running(site.lay_out(), site.socket) as daemon:
        run = await site.begun()
        await daemon.end(number)
        assert run.kept
        await daemon.start()
        await asyncio.sleep(0.5)
        assert site.lines() == ["begin"]
        site.gate.touch()
        await site.operator.ended("completed")
        assert site.lines() == ["begin", "end"]
        await gone(run)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "ended"), [(0, "completed"), (3, "halted")])
async def test_a_command_that_ended_while_no_daemon_lived_has_its_outcome(site: Site, code: int, ended: str) -> None:
    async with running(site.lay_out(end=f"echo the output; exit {code}"), site.socket) as daemon:
        run = await site.begun()
        await daemon.end(signal.SIGKILL)
        site.gate.touch()
        await gone(run)
        await daemon.start()
        seen = await site.operator.ended(ended)
        if code:
            assert seen["switch"]["halt"]["cause"] == "deploy_failed"
            assert "ended with 3" in seen["switch"]["halt"]["summary"]
            assert seen["switch"]["halt"]["output"] == "the output\n"
    assert site.lines() == ["begin", "end"]


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["once only", "idempotent"])
async def test_a_command_that_is_lost_with_its_keeper_is_a_halt_or_runs_again(site: Site, again: bool) -> None:
    async with running(site.lay_out(again=again), site.socket) as daemon:
        run = await site.begun()
        await daemon.end(signal.SIGKILL)
        for pid in (run.pid, *processes.members(run.mark)):  # the keeper first: it is not to tell of the command's end
            kill(pid)
        await gone(run)
        site.gate.touch()
        await daemon.start()
        if not again:
            seen = await site.operator.ended("halted")
            assert seen["switch"]["halt"]["cause"] == "interrupted"
            assert site.lines() == ["begin"]
            await site.operator.post("resume", halt=seen["switch"]["halt"]["id"])
        await site.operator.until(lambda seen: seen["switch"]["condition"] == "completed", "the end")
        assert site.lines() == ["begin", "begin", "end"]


@pytest.mark.slow
async def test_an_abort_ends_an_adopted_command_and_what_left_its_session(site: Site) -> None:
    pids = site.directory / "pids"
    begin = f"setsid sh -c 'echo $$ >> {pids}; sleep 600' &\nuntil [ -s {pids} ]; do sleep 0.02; done"
    async with running(site.lay_out(begin=begin), site.socket) as daemon:
        run = await site.begun()
        await until(lambda: pids_in(pids))
        await daemon.end(signal.SIGKILL)
        await daemon.start()
        assert alive(*pids_in(pids))
        await site.operator.post("abort", reason="another day")
        await site.operator.ended("aborted")
        assert not run.alive
        assert not alive(*pids_in(pids))
    assert site.lines() == ["begin"]


@pytest.mark.slow
async def test_the_deadline_is_kept_while_no_daemon_lives(site: Site) -> None:
    pids = site.directory / "pids"
    begin = f"setsid sh -c 'echo $$ >> {pids}; sleep 600' &"
    async with running(site.lay_out(begin=begin, timeout="3s"), site.socket) as daemon:
        run = await site.begun()
        await daemon.end(signal.SIGKILL)
        await gone(run)
        assert not alive(*pids_in(pids))
        await daemon.start()
        seen = await site.operator.ended("halted")
        assert "its time is 3 s" in seen["switch"]["halt"]["summary"]
    assert site.lines() == ["begin"]


# --- the deployer ---


async def test_what_was_never_started_is_surely_not_started(tmp_path: Path) -> None:
    found = await deployer(tmp_path, "true").find(SCENE, "s1-d1", quiet)
    assert (found.outcome, found.started) == (None, False)


async def test_a_keeper_without_a_whole_job_starts_nothing_and_its_record_says_so(tmp_path: Path) -> None:
    """The daemon was gone between the keeper's start and the job."""
    run = Run("s1-d1", "a mark", 0, 0, ["touch"], 60.0)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "web.green.s1-d1.json").write_text(json.dumps(asdict(run)))
    assert not (await deployer(tmp_path, "true").find(SCENE, "s1-d1", quiet)).started
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", run_keeper.__name__, stdin=asyncio.subprocess.PIPE,
        env={**os.environ, processes.MARK: "a mark"},
    )  # fmt: skip
    await process.communicate(b'{"argv": ["touch", ')
    assert process.returncode == 1


async def test_a_run_that_is_left_is_found_with_its_outcome_and_tells_that_it_lives(tmp_path: Path) -> None:
    run = await left(tmp_path, *sh(f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done; echo done; exit 7"))
    signs: list[str] = []

    def alive(what: str) -> None:
        signs.append(what)
        (tmp_path / "gate").touch()

    found = await deployer(tmp_path, "another").find(SCENE, "s1-d1", alive)
    assert found.outcome is not None
    assert (found.outcome.ok, found.outcome.output, found.outcome.detail["exit"]) == (False, "done\n", "7")
    assert signs[0].startswith(f"process {run.pid} runs for ")


async def test_a_found_run_ends_with_the_look_for_it_unless_it_is_left_again(tmp_path: Path) -> None:
    run = await left(tmp_path, "sleep", "600")
    for leave in (True, False):
        one = deployer(tmp_path, "sleep", "600")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.find(SCENE, "s1-d1", quiet))
            await asyncio.sleep(0.1)
            if leave:
                one.leave()
            task.cancel()
        assert run.alive == leave


async def test_a_command_whose_keeper_was_ended_is_waited_for_and_then_lost(tmp_path: Path) -> None:
    run = await left(tmp_path, *sh(f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done"))
    kill(run.pid)
    await until(lambda: not run.kept)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deployer(tmp_path, "true").find(SCENE, "s1-d1", quiet))
        await asyncio.sleep(0.5)
        assert not task.done(), "it still runs: nobody may start it again"
        (tmp_path / "gate").touch()
    assert (task.result().outcome, task.result().started) == (None, True)


async def test_another_attempt_first_ends_what_is_left_of_the_one_before_it(tmp_path: Path) -> None:
    run = await left(tmp_path, "sleep", "600")
    done = await deployer(tmp_path, "true").deploy(SCENE, "s2-d1", quiet)
    assert done.ok
    assert not run.alive
    names = sorted(file.name for file in (tmp_path / "runs").iterdir())
    assert names == ["web.green.s2-d1.json", "web.green.s2-d1.result"]


async def test_what_a_good_command_left_in_the_background_lives_on_and_may_print(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    line = f"(echo $(exec sh -c 'echo $PPID') >> {pids}; while echo x; do sleep 0.05; done) & exit 0"
    assert (await deployer(tmp_path, *sh(line)).deploy(SCENE, "s1-d1", quiet)).ok
    await until(lambda: pids_in(pids))
    (pid,) = pids_in(pids)
    try:
        assert (await deployer(tmp_path, "true").deploy(SCENE, "s1-d2", quiet)).ok
        await asyncio.sleep(1.5)
        assert alive(pid)
    finally:
        kill(pid)


async def test_no_secret_is_on_disk_or_in_a_keepers_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "s3cret-of-ours")
    run = await left(tmp_path, *sh('echo "$T"; sleep 600'), variables={"T": "${env:THE_TOKEN}"})
    try:
        assert b"s3cret" not in Path(f"/proc/{run.pid}/cmdline").read_bytes()
        for file in (tmp_path / "runs").iterdir():
            assert "s3cret" not in file.read_text()
            assert file.stat().st_mode & 0o077 == 0
    finally:
        await processes.end(run.mark)


@pytest.mark.slow
async def test_a_big_output_keeps_the_keeper_small(tmp_path: Path, report_figures: Any) -> None:
    peak = tmp_path / "peak"
    line = f"head -c 52428800 /dev/zero | tr '\\0' x; grep VmHWM /proc/$PPID/status > {peak}"
    done: DeployOutcome = await deployer(tmp_path, *sh(line)).deploy(SCENE, "s1-d1", quiet)
    assert done.ok
    assert len(done.output) < 70_000
    megabytes = int(peak.read_text().split()[1]) / 1024
    report_figures(f"a keeper of a command that prints 50 MB: {megabytes:.0f} MB at its largest")
    assert megabytes < 100
