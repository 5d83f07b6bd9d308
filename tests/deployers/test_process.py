"""ProcessDeployer over real processes: what a deployment starts, and what it ends before."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bluegreen import processes
from bluegreen.model import Finding
from bluegreen.ports import Scene
from tests.deployers.kept import NOTE, Open, kept, pid_of, quiet, scene
from tests.programs import alive, carrying, kill, needs_root, pids_in, python, sh, unprivileged, until

pytestmark = pytest.mark.slow


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def _get(url: str) -> str | None:
    with contextlib.suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()
    return None


# --- deploying ---


async def test_what_is_deployed_runs_and_serves(make: Open, tmp_path: Path):
    port = _free_port()
    (tmp_path / "index.html").write_text("hello")
    code = "import http.server as h, sys; h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
    serve = python(code, "{port}")
    deployer = make(*serve, directory=str(tmp_path))
    pid = pid_of(await deployer.deploy(scene(port=str(port)), "run", quiet))
    answers: list[str | None] = [None]
    async with asyncio.timeout(90):
        while answers[-1] is None:
            answers.append(await _get(f"http://127.0.0.1:{port}/index.html"))
    assert answers[-1] == "hello"
    assert alive(pid)


async def test_placeholders_and_facts_reach_the_process(make: Open):
    line = 'echo "$1 $V $BLUEGREEN_SERVICE $BLUEGREEN_ENVIRONMENT $BLUEGREEN_VERSION"; exec sleep 60'
    done = await make(*sh(line, "{version}"), variables={"V": "v{version}"}).deploy(scene("1.2.3"), "run", quiet)
    log = Path(done.detail["log"])
    await until(lambda: log.read_text() == "1.2.3 v1.2.3 web green 1.2.3\n")


async def test_a_process_that_ends_before_it_is_ready_is_a_failed_deployment(make: Open):
    deployer = make(*sh("echo cannot bind >&2; exit 1"), ready="30s")
    done = await deployer.deploy(scene(), "run", quiet)
    assert not done.ok
    assert done.summary == "the process ended within 30 s of its start"
    assert done.output == "cannot bind\n"


async def test_a_failed_deployment_shows_its_own_output_alone(make: Open):
    deployer = make(*sh('echo "this is $BLUEGREEN_VERSION"; exit 1'), ready="30s")
    await deployer.deploy(scene("1"), "run", quiet)
    assert (await deployer.deploy(scene("2"), "run", quiet)).output == "this is 2\n"


async def test_a_failed_deployment_is_not_started_again(make: Open, tmp_path: Path):
    starts = tmp_path / "starts"
    deployer = make(*sh(NOTE + "sleep 0.05; exit 1", str(starts)), ready="30s")
    async with kept(deployer):
        assert not (await deployer.deploy(scene(), "run", quiet)).ok
        await asyncio.sleep(0.3)  # fifteen looks of the keeper
    assert len(pids_in(starts)) == 1


async def test_a_secret_is_not_in_the_record_nor_in_what_is_told(
    make: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    variables = {"T": "${env:THE_TOKEN}", "V": "{version}"}
    deployer = make(*sh('echo "token $T of $V"; exit 1'), variables=variables, ready="30s")
    done = await deployer.deploy(scene("${env:THE_TOKEN}"), "run", quiet)
    assert done.output == "token *** of ${env:THE_TOKEN}\n"
    assert "s3cret" not in (tmp_path / "process.web.green.json").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run": ["/no/such/server"]}, "/no/such/server does not exist"),
        ({"run": ["true", "a\0b"]}, "NUL"),
        ({"run": ["true", "{nobody}"]}, "the placeholder {nobody} has no value"),
        ({"variables": {"T": "${env:NO_SUCH_SECRET}"}}, "${env:NO_SUCH_SECRET}"),
        ({"directory": "/no/such/place"}, "there is no directory /no/such/place"),
    ],
)
async def test_what_cannot_be_started_is_told_and_nothing_is_kept(change: dict[str, Any], said: str, make: Open):
    run = change.pop("run", ["sleep", "60"])
    deployer = make(*run, **change)
    done = await deployer.deploy(scene(), "run", quiet)
    assert not done.ok
    assert said in done.summary
    (finding,) = await deployer.examine(scene())
    assert isinstance(finding, Finding)
    assert finding.ok == ("a\0b" in run)  # the preflight does not look at arguments


async def test_a_deployment_ends_the_old_process_first_with_its_whole_tree(make: Open, tmp_path: Path):
    pids, port = tmp_path / "pids", _free_port()
    code = """
import os, socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.fork()
open(sys.argv[2], "a").write(f"{os.getpid()}\\n")
time.sleep(60)
"""
    deployer = make(*python(code, str(port), str(pids)), ready="300ms")
    first = pid_of(await deployer.deploy(scene("1"), "run", quiet))
    await until(lambda: len(pids_in(pids)) == 2)
    old = pids_in(pids)
    # it could not bind, were the old one's child still there
    second = pid_of(await deployer.deploy(scene("2"), "run", quiet))
    assert first != second
    assert [alive(pid) for pid in old] == [False, False]
    assert alive(second)


async def test_the_old_process_has_its_time_to_finish(make: Open, tmp_path: Path):
    done, ready = tmp_path / "done", tmp_path / "ready"
    line = 'trap "sleep 0.5; touch $1; exit" TERM; touch "$2"; while true; do sleep 0.02; done'
    deployer = make(*sh(line, str(done), str(ready)), stop_timeout="60s")
    pid_of(await deployer.deploy(scene("1"), "run", quiet))
    await until(ready.exists)
    pid_of(await deployer.deploy(scene("2"), "run", quiet))
    assert done.exists()


async def test_a_process_that_does_not_want_to_end_is_ended(make: Open):
    deployer = make(*sh("trap '' TERM; while true; do sleep 0.02; done"), stop_timeout="100ms")
    first = pid_of(await deployer.deploy(scene("1"), "run", quiet))
    pid_of(await deployer.deploy(scene("2"), "run", quiet))
    assert not alive(first)


@needs_root
async def test_an_old_process_that_cannot_be_ended_is_told_and_nothing_is_started_beside_it(
    make: Open, tmp_path: Path, mark: str
):
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from bluegreen import processes
from bluegreen.config.schema import ProcessDeploy
from bluegreen.deployers.process import ProcessDeployer
from bluegreen.ports import Scene
processes.GRACE_SECONDS = 0.2
run = ["setpriv", "--reuid", "0", "sleep", "77"]
config = ProcessDeploy(kind="process", run=run, ready="1500ms", stop_timeout="200ms")
async def main():
    deployer = ProcessDeployer(config, "web", Path(sys.argv[1]))
    for version in "12":
        done = await deployer.deploy(Scene("web", "green", version, None), "run", print)
        print(done.ok, done.summary)
asyncio.run(main())
"""
    directory = tmp_path / "state"
    directory.mkdir()
    directory.chmod(0o777)
    name, _, value = mark.partition("=")
    done = await processes.run(unprivileged(code, str(directory)), timeout=90, variables={name: value})
    assert done.ok, done
    (left,) = carrying(mark)
    kill(left)
    assert done.output == (
        f"True process {left} runs\n"
        f"False the old process could not be ended: still running, to be ended by hand: {left}\n"
    )


@pytest.mark.parametrize("since", [0, 1])
async def test_a_full_disk_is_a_failed_deployment_and_what_ran_is_found_again(since: int, make: Open, tmp_path: Path):
    deployer = make("sleep", "60")
    pids = [pid_of(await deployer.deploy(scene(str(version)), "run", quiet)) for version in range(since)]
    full = tmp_path / "process.web.green.json.new"
    full.symlink_to("/dev/full")
    done = await deployer.deploy(scene("2"), "run", quiet)
    assert not done.ok
    assert done.summary == (
        f"it cannot be started and kept on record in {tmp_path}: No space left on device; mend that and try again"
    )
    assert [alive(pid) for pid in pids] == [True] * since  # nothing was done that could not be put on record
    full.unlink()
    pids.append(pid_of(await deployer.deploy(scene("2"), "run", quiet)))
    assert [alive(pid) for pid in pids] == [False] * since + [True]


async def test_environments_and_services_do_not_touch_each_other(make: Open):
    """Names that look alike when they are put together, too."""
    deployers = {"web": make("sleep", "60"), "web-x": make("sleep", "60", service="web-x")}
    pids = [
        pid_of(await deployers["web"].deploy(scene(environment="x-blue"), "run", quiet)),
        pid_of(await deployers["web"].deploy(scene(environment="green"), "run", quiet)),
        pid_of(await deployers["web-x"].deploy(Scene("web-x", "blue", "1", None), "run", quiet)),
    ]
    assert [alive(pid) for pid in pids] == [True, True, True]


async def test_a_cancelled_deployment_ends_what_it_started(make: Open, tmp_path: Path, mark: str):
    pids = tmp_path / "pids"
    deployer = make(*sh(NOTE + "sleep 60 & wait", str(pids)), ready="60s")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deployer.deploy(scene(), "run", quiet))
        await until(lambda: pids_in(pids))
        task.cancel()
    assert carrying(mark) == []
