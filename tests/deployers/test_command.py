"""CommandDeployer: what the command is given, what is told of it, and what a preflight finds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import bluegreen
from bluegreen import processes
from bluegreen.config.schema import CommandDeploy, Deploy, Model
from bluegreen.deployers import open_deployer
from bluegreen.deployers.command import CommandDeployer
from bluegreen.deployers.runs import SLACK_SECONDS, Run
from bluegreen.errors import BlueGreenError
from bluegreen.model import Finding
from bluegreen.ports import NOT_ENDED, Deployer, DeployOutcome, Scene
from tests.deployers.kept import quiet
from tests.programs import alive, pids_in, sh, until

pytestmark = pytest.mark.slow

SCENE = Scene("web", "green", "1.2.3", "sha256:abc", {"url": "http://10.0.2.10"})
NO_VERSION = Scene("web", "green", None, None, {"url": "http://10.0.2.10"})


@pytest.fixture(autouse=True)
def _in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployers' state is below the working directory."""
    (tmp_path / "daemon").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(Path(bluegreen.__file__).parent.parent))
    monkeypatch.chdir(tmp_path / "daemon")


def _deployer(*run: str, **rest: Any) -> Deployer:
    config = CommandDeploy.model_validate({"kind": "command", "run": list(run), **rest})
    return CommandDeployer(config, "web", Path("state"))


async def _deploy(*run: str, scene: Scene = SCENE, **rest: Any) -> DeployOutcome:
    return await _deployer(*run, **rest).deploy(scene, "run", quiet)


async def _examine(*run: str, scene: Scene = SCENE, **rest: Any) -> Finding:
    (finding,) = await _deployer(*run, **rest).examine(scene)
    return finding


def _script(file: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


async def test_placeholders_are_filled_in_each_argument():
    done = await _deploy("echo", "{environment}/{version}", "{artifact}", "{service}", "{url}", "{{version}}")
    assert done.ok
    assert done.output == "green/1.2.3 sha256:abc web http://10.0.2.10 {version}\n"
    assert done.summary.startswith("echo ended with 0 after ")
    assert done.detail["exit"] == "0"
    assert done.detail["command"].startswith("echo green/1.2.3 ")


async def test_a_version_is_one_argument_whatever_it_is_called():
    odd = "$(id); `id` && {environment} ${HOME}"
    done = await _deploy("printf", "%s|", "{version}", "end", scene=Scene("web", "green", odd, None))
    assert done.output == f"{odd}|end|"


async def test_the_command_is_told_everything_by_its_environment():
    done = await _deploy("env", variables={"COLOUR": "{environment}-{version}"})
    lines = set(done.output.splitlines())
    assert lines >= {
        "BLUEGREEN_SERVICE=web",
        "BLUEGREEN_ENVIRONMENT=green",
        "BLUEGREEN_VERSION=1.2.3",
        "BLUEGREEN_ARTIFACT=sha256:abc",
        "COLOUR=green-1.2.3",
    }


async def test_a_command_that_fails_is_not_ok_and_its_output_is_kept():
    done = await _deploy(*sh("echo no room >&2; exit 28"))
    assert not done.ok
    assert done.summary.startswith("sh ended with 28 after ")
    assert (done.output, done.detail["exit"]) == ("no room\n", "28")


async def test_a_command_whose_time_is_over_is_ended_with_all_that_it_started(tmp_path: Path):
    line = 'sleep 60 & echo $! >> "$1"; echo working; wait'
    done = await _deploy(*sh(line, str(tmp_path / "pids")), timeout="1500ms")
    assert not done.ok
    assert done.summary.startswith("sh was ended after ")
    assert done.summary.endswith("its time is 1.5 s")
    assert done.output == "working\n"
    assert "exit" not in done.detail
    (child,) = pids_in(tmp_path / "pids")
    assert not alive(child)


# --- secrets ---


async def test_a_secret_is_resolved_at_use_and_told_to_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "token"
    file.write_text("f1le-s3cret\n")
    deployer = _deployer(
        *sh('echo "$FILE $ENV"; test "${FILE%-n3w}" = f1le'),
        variables={"FILE": f"${{file:{file}}}", "ENV": "Bearer ${env:THE_TOKEN}"},
    )
    monkeypatch.setenv("THE_TOKEN", "env-s3cret")
    assert not (await deployer.deploy(SCENE, "run", quiet)).ok
    file.write_text("f1le-n3w\n")
    done = await deployer.deploy(SCENE, "run", quiet)
    assert done.ok
    assert done.output == "*** Bearer ***\n"
    assert "s3cret" not in repr(done)
    assert "f1le-n3w" not in repr(done)


async def test_a_secret_that_is_missing_is_told_by_its_reference_and_nothing_is_run(tmp_path: Path):
    ran = tmp_path / "ran"
    done = await _deploy("touch", str(ran), variables={"A": "${env:NO_SUCH_SECRET}", "B": "x"})
    assert not done.ok
    assert "${env:NO_SUCH_SECRET}" in done.summary
    assert not ran.exists()


async def test_a_reference_among_the_arguments_stays_a_reference(monkeypatch: pytest.MonkeyPatch):
    """Arguments can be read by every user of the host: secrets go by variables alone."""
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    done = await _deploy("echo", "${env:THE_TOKEN}")
    assert done.output == "${env:THE_TOKEN}\n"


async def test_who_names_a_version_cannot_read_secrets_by_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    scene = Scene("web", "green", "${env:THE_TOKEN}", None)
    done = await _deploy(*sh('echo "$V"'), scene=scene, variables={"V": "v{version}"})
    assert done.output == "v${env:THE_TOKEN}\n"


async def test_braces_in_a_secret_are_no_placeholders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_TOKEN", "{version}{{x}}")
    done = await _deploy(*sh('test "$T" = "{{version}}{{{{x}}}}"'), variables={"T": "${env:THE_TOKEN}"})
    assert done.ok


# --- what cannot be run ---


async def test_an_unknown_placeholder_is_told_by_name():
    assert (await _deploy("echo", "{nobody}")).summary == (
        "the command cannot be made: the placeholder {nobody} has no value"
    )
    assert "{version}" in (await _deploy("echo", "{version}", scene=NO_VERSION)).summary


async def test_a_program_that_is_not_there_is_a_failed_deployment():
    done = await _deploy("/no/such/deploy.sh")
    assert (done.ok, done.summary) == (False, "/no/such/deploy.sh does not exist")


async def test_a_relative_program_runs_in_its_directory(tmp_path: Path):
    (tmp_path / "green").mkdir()
    _script(tmp_path / "green" / "deploy.sh", "#!/bin/sh\npwd\n")
    there: Any = {"directory": str(tmp_path / "{environment}")}
    assert (await _examine("./deploy.sh", **there)).ok
    done = await _deploy("./deploy.sh", **there)
    assert (done.ok, done.output) == (True, f"{(tmp_path / 'green').resolve()}\n")


# --- the preflight ---


async def test_the_preflight_finds_a_command_that_can_be_run():
    finding = await _examine("true")
    assert (finding.check, finding.ok, finding.summary) == ("deploy command", True, "true can be run")


async def test_the_preflight_runs_nothing(tmp_path: Path):
    assert (await _examine("touch", str(tmp_path / "ran"))).ok
    assert not (tmp_path / "ran").exists()


async def test_the_preflight_names_what_is_missing(tmp_path: Path):
    _script(tmp_path / "plain.sh", mode=0o644)
    here = str(tmp_path)
    cases: list[tuple[str, list[str], dict[str, Any]]] = [
        ("no-such-program does not exist", ["no-such-program"], {}),
        (f"{here}/./gone.sh does not exist".replace("/./", "/"), ["./gone.sh"], {"directory": here}),
        (f"{here}/plain.sh may not be run", ["./plain.sh"], {"directory": here}),
        (f"{here} may not be run", [here], {}),
        ("the directory /no/such/place does not exist", ["true"], {"directory": "/no/such/place"}),
        ("the placeholder {nobody} has no value", ["true", "{nobody}"], {}),
        ("the placeholder {nobody} has no value", ["true"], {"variables": {"A": "{nobody}"}}),
        ("${env:NO_SUCH_SECRET}: the daemon's", ["true"], {"variables": {"A": "${env:NO_SUCH_SECRET}"}}),
    ]  # fmt: skip
    for said, run, rest in cases:
        finding = await _examine(*run, **rest)
        assert not finding.ok, run
        assert said in finding.summary
        assert finding.advice
        assert not finding.acceptable


async def test_the_preflight_looks_where_the_command_will_look(tmp_path: Path):
    _script(tmp_path / "only-here")
    assert not (await _examine("only-here")).ok
    assert (await _examine("only-here", variables={"PATH": str(tmp_path)})).ok
    assert (await _deploy("only-here", variables={"PATH": f"{tmp_path}:/bin"})).ok


# --- kinds ---


class ByPigeon(Model):
    """A kind that nobody has built."""

    kind: str = "pigeon"


def test_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path):
    config: Deploy = ByPigeon()  # type: ignore[assignment]
    with pytest.raises(BlueGreenError, match=r"'pigeon'.*known: command, process"):
        open_deployer(config, "web", tmp_path)


async def test_a_command_leaves_nothing_to_keep(tmp_path: Path):
    config = CommandDeploy.model_validate({"kind": "command", "run": ["true"]})
    deployer = open_deployer(config, "web", tmp_path)
    await deployer.keep(lambda _: True)
    await deployer.close()
    await deployer.close()
    assert not (tmp_path / "runs").exists()


async def test_beside_an_earlier_run_that_cannot_be_ended_nothing_is_started(monkeypatch: pytest.MonkeyPatch):
    """Two commands never work on one environment, whatever became of the record of the first."""
    runs = Path("state/runs")
    runs.mkdir(parents=True)
    record = runs / "web.green.earlier.json"
    record.write_text(json.dumps(asdict(Run("earlier", "mark", 0, 0, ["deploy"], 60.0))))

    async def in_vain(mark: str) -> set[int]:
        return {4711}

    monkeypatch.setattr(processes, "end", in_vain)
    done = await _deploy("touch", "made")
    assert not done.ok
    assert "still running, to be ended by hand: 4711" in done.summary
    assert not Path("made").exists()
    assert record.exists(), "the next try finds it again"


async def test_beside_an_earlier_run_whose_record_cannot_be_understood_nothing_is_started():
    """Whether it still runs is not known: that is said, and not passed over."""
    runs = Path("state/runs")
    runs.mkdir(parents=True)
    record = runs / "web.green.earlier.json"
    record.write_text('{"run": "earl')
    done = await _deploy("touch", "made")
    assert not done.ok
    assert (
        "web.green.earlier.json cannot be understood: whether what it stands for still runs is not known"
        in done.summary
    )
    assert not Path("made").exists()
    assert record.exists()
    record.with_suffix(".result").write_text(json.dumps(asdict(processes.Finished(0, "", 1.0))))
    assert (await _deploy("touch", "made")).ok, "it has a result: it has ended"


@pytest.mark.parametrize("broken", [False, True], ids=["still runs", "unknown"])
async def test_what_could_not_be_ended_is_the_outcome_of_a_deployment_that_was_to_be_ended(
    monkeypatch: pytest.MonkeyPatch, broken: bool
):
    deployer = _deployer("sh", "-c", "touch begun; sleep 60")
    deploying = asyncio.ensure_future(deployer.deploy(SCENE, "run", quiet))
    await until(Path("begun").exists)
    sound = processes.end

    async def in_vain(mark: str) -> set[int]:
        await sound(mark)
        if broken:
            raise OSError(24, "Too many open files")
        return {4711}

    monkeypatch.setattr(processes, "end", in_vain)
    deploying.cancel()
    done = await deploying
    assert not done.ok
    assert done.detail == NOT_ENDED
    assert ("Too many open files" if broken else "to be ended by hand: 4711") in done.summary


async def test_an_end_is_found_however_long_the_daemon_was_away():
    """Longer than the command's time and all slack: what it came to is on record, and is neither lost nor run again."""
    runs = Path("state/runs")
    runs.mkdir(parents=True)
    since_boot = Run("run", "no-process-has-this-mark", 2**22 + 1, 1, ["deploy", "1.2.3"], 0.0)
    assert processes.age(since_boot.started) > SLACK_SECONDS, "this host was started a moment ago"
    (runs / "web.green.run.json").write_text(json.dumps(asdict(since_boot)))
    (runs / "web.green.run.result").write_text(json.dumps(asdict(processes.Finished(0, "said", 3.0))))
    found = await _deployer("touch", "made").find(SCENE, "run", quiet)
    assert found.started
    assert found.outcome is not None
    assert (found.outcome.ok, found.outcome.output) == (True, "said")
