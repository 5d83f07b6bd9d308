"""Seeded failures that take a daemon, a command or a cloud of their own: see test_seeded_failures."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen import processes
from tests.acceptance.operator import Operator, running
from tests.acceptance.test_elbv2 import point
from tests.acceptance.test_seeded_failures import Failure, explained, judged
from tests.balancers.aws_rig import FaultProxy, Site, dummy_credentials, emptied, moto_server
from tests.deployers.test_keeper import Site as Command
from tests.programs import kill, until

pytestmark = pytest.mark.slow

EXPIRED = Failure(
    "shop", "balancer_refused", ("nothing was changed", "the credentials have expired: renew them"), "resume", half=True
)
KILLED = Failure("web", "interrupted", ("the daemon ended while the deployment to green ran", "not known"), "resume")
SHOP = """
service: shop
environments: {{blue: {{url: "http://127.0.0.1:1"}}, green: {{url: "http://127.0.0.1:2"}}}}
switch_points:
{point}
deploy: {{kind: command, run: ["true"], idempotent: true}}
shift: {{steps: [50%, 100%], wait: 1s}}
health: {{every: 200ms, timeout: 20s}}
"""


async def test_credentials_that_expire_in_the_middle_of_a_shift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report_figures: Callable[[str], None]
) -> None:
    """The next write is refused; what was shifted stays."""
    dummy_credentials(monkeypatch)
    with moto_server() as url, Site(emptied(url)) as site, FaultProxy(url) as proxy:
        place = site.place()
        site.set_weights(place, 100, 0)
        (tmp_path / "services").mkdir()
        (tmp_path / "services" / "shop.yaml").write_text(SHOP.format(point=point(place, "eu-west-1", proxy.url)))
        config = tmp_path / "bluegreen.yaml"
        config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 1s}\n")
        async with running(config, tmp_path / "c.sock"):
            operator = Operator(tmp_path / "c.sock", "shop")
            await operator.until(lambda seen: seen["live"] == "blue", "who is live")
            await operator.deploy("v2", changes=[])
            await operator.at("green", 50)
            proxy.faults["ModifyListener"] = "expired"
            document = await operator.ended("halted")
            text = await explained(tmp_path, "shop")
            assert not judged(EXPIRED, document, text)
            assert site.weights(place) == {"blue": 50, "green": 50}
            proxy.faults.clear()
            await operator.post("resume", halt=document["switch"]["halt"]["id"])
            await operator.ended("completed")
    report_figures("expired credentials in mid-shift: told with the cause, the words, and the right way")


async def test_a_kill_in_a_deploy_command_that_may_run_only_once(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    """The daemon, the command and its keeper are all gone: nobody knows how far it came."""
    command = Command(tmp_path)
    async with running(command.lay_out(), command.socket) as daemon:
        run = await command.begun()
        await daemon.end(signal.SIGKILL)
        for pid in (run.pid, *processes.members(run.mark)):
            kill(pid)
        await until(lambda: not run.alive)
        await daemon.start()
        document = await command.operator.ended("halted")
        text = await explained(tmp_path, "web")
        assert not judged(KILLED, document, text)
        assert command.lines() == ["begin"]
    report_figures("a kill in a once-only deploy command: told with the cause, the words, and the right way")
