"""The same story over Elastic Load Balancing: a real daemon process, and moto's server in AWS's place.

Three switch points in two regions: a listener and a rule of Application Load Balancers, a listener of a Network one.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.acceptance.operator import Operator, running, split
from tests.balancers.aws_rig import Site, dummy_credentials, emptied, moto_server

pytestmark = pytest.mark.slow

SERVICE = """
service: shop
environments:
  blue: {{url: "http://127.0.0.1:1"}}
  green: {{url: "http://127.0.0.1:2"}}
switch_points:
{points}
deploy: {{kind: command, run: [/bin/sh, -c, "echo {{version}} > {{environment}}.txt"]}}
smoke:
  - {{name: ticket, command: [test, -f, ticket]}}
shift: {{steps: [5%, 50%, 100%], wait: 1s}}
bake: 1s
health: {{every: 200ms, timeout: 10s}}
"""


def point(place, region: str, url: str) -> str:
    configured = place.point()
    where = f"listener: {configured.listener}" if configured.listener else f"rule: {configured.rule}"
    groups = ", ".join(f"{name}: {group!r}" for name, group in configured.target_groups.items())
    at = f"endpoint_url: {url!r}, settle: 2s"
    return f"  - {{kind: elbv2, region: {region}, {where}, target_groups: {{{groups}}}, {at}}}"


async def test_a_deployment_halts_resumes_survives_a_kill_and_fails_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dummy_credentials(monkeypatch)
    with moto_server() as url, Site(emptied(url)) as eu, Site(url, region="us-east-1") as us:
        places = [(eu, eu.place("alb-listener")), (eu, eu.place("alb-rule")), (us, us.place("nlb-listener"))]
        points = "\n".join(point(place, "eu-west-1" if site is eu else "us-east-1", url) for site, place in places)
        (tmp_path / "services").mkdir()
        (tmp_path / "services" / "shop.yaml").write_text(SERVICE.format(points=points))
        config, socket = tmp_path / "bluegreen.yaml", tmp_path / "control.sock"
        config.write_text("state: {directory: state}\ncontrol: {socket: control.sock}\nobserve: {every: 1s}\n")
        for site, place in places:
            site.set_weights(place, 100, 0)

        async with running(config, socket) as daemon:
            operator = Operator(socket, "shop")
            await operator.until(lambda seen: seen["live"] == "blue", "who is live")
            await operator.deploy("v2")
            halted = await operator.ended("halted")
            assert halted["switch"]["phase"] == "smoke"
            assert [site.weights(place) for site, place in places] == [{"blue": 100, "green": 0}] * 3

            (tmp_path / "services" / "ticket").touch()
            await operator.post("resume")
            await operator.at("green", 5.0)
            await daemon.end(signal.SIGKILL)
            await daemon.start()
            done = await operator.ended("completed")
            assert split(done) == {"blue": 0.0, "green": 100.0}
            assert [site.weights(place) for site, place in places] == [{"blue": 0, "green": 100}] * 3

            await operator.failback("only to be shown")
            await operator.ended("completed")
            assert [site.weights(place) for site, place in places] == [{"blue": 100, "green": 0}] * 3
            assert await daemon.end() == 0
        assert (tmp_path / "services" / "green.txt").read_text() == "v2\n"
