"""What all checks share: attempts and their pauses, the finding, the kinds, and whether a version is needed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from bluegreen.aws import Sessions
from bluegreen.checks import Sources, common, needs_version, open_check
from bluegreen.config.schema import Check
from bluegreen.errors import BlueGreenError
from tests.checks.servers import Handler, answering, config, look, no_targets, scene, serving


class Recovering:
    """A server that is bad so many times, and good from then on; it notes when it was asked."""

    def __init__(self, bad: int) -> None:
        self._bad = bad
        self.asked: list[float] = []

    async def __call__(self, _: web.Request) -> web.StreamResponse:
        self.asked.append(asyncio.get_running_loop().time())
        return web.Response(status=500 if len(self.asked) <= self._bad else 200)


async def _looked(handler: Handler, **keys: Any):
    async with serving(handler) as url:
        return await look(scene(url), http="{url}/", **keys)


async def test_the_first_good_attempt_ends_the_look():
    server = Recovering(bad=2)
    finding = await _looked(server, attempts=5, every="100ms")
    assert finding.ok
    assert finding.summary.endswith("(attempt 3 of 5)")
    assert finding.detail["attempts"] == "3"
    assert len(server.asked) == 3
    first, second, third = server.asked
    assert second - first >= 0.095
    assert third - second >= 0.095


async def test_the_last_bad_attempt_is_what_is_told():
    server = Recovering(bad=9)
    finding = await _looked(server, attempts=3, every="10ms")
    assert not finding.ok
    assert "status 500, wanted 200 (attempt 3 of 3)" in finding.summary
    assert len(server.asked) == 3


async def test_a_single_attempt_does_not_count_itself():
    finding = await _looked(answering())
    assert "attempt" not in finding.summary
    assert finding.detail["attempts"] == "1"


@pytest.mark.parametrize("acceptable", [True, False])
async def test_a_finding_has_the_checks_name_and_says_whether_it_may_be_accepted(acceptable: bool):
    finding = await _looked(answering(), name="orders", acceptable=acceptable)
    assert (finding.check, finding.acceptable) == ("orders", acceptable)
    assert finding.detail["environment"] == "green"


async def test_a_check_has_the_name_and_the_pause_of_its_configuration():
    aws = Sessions()
    check = open_check(config(name="orders", tcp="localhost:1", every="7s"), Sources(no_targets, aws))
    assert (check.name, check.every) == ("orders", 7.0)
    await check.close()
    await aws.close()


async def test_a_placeholder_without_a_value_is_told():
    finding = await look(scene(version=None), http="http://localhost/{version}")
    assert not finding.ok
    assert finding.summary == "the placeholder {version} has no value here"
    assert finding.advice


async def test_a_look_that_is_stuck_is_ended_by_the_belt(monkeypatch: pytest.MonkeyPatch):
    async def stuck() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(common, "BELT_SECONDS", 0.1)
    finding = await look(targets=2, timeout="100ms", targets_seen=stuck)
    assert not finding.ok
    assert finding.summary == "no answer within 0.1 s"


class Unbuilt(Check):
    """A kind that nobody has built."""

    @property
    def kind(self) -> str:
        """See Check."""
        return "pigeon"


def test_an_unknown_kind_is_refused_with_those_that_are_known():
    unbuilt = Unbuilt.model_validate({"name": "x", "tcp": "localhost:1"})
    with pytest.raises(
        BlueGreenError, match=r"'pigeon'.*known: http, tcp, command, targets, cloudwatch_alarm, prometh"
    ):
        open_check(unbuilt, Sources(no_targets, Sessions()))


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ({"http": "{url}/healthz"}, False),
        ({"http": "{url}/{version}"}, True),
        ({"http": "{url}/{{version}}"}, False),
        ({"http": "{url}", "expect": {"json": {"deep": {"er": ["{version}"]}}}}, True),
        ({"http": "{url}", "expect": {"headers": {"X-Version": "{version}"}}}, True),
        ({"http": "{url}", "expect": {"body": "{version}"}}, True),
        ({"http": "{url}", "headers": {"X-Wanted": "v{version}"}}, True),
        ({"tcp": "{host}:{version}"}, True),
        ({"command": ["check", "{version}"]}, True),
        ({"command": ["check"], "variables": {"V": "{version}"}}, True),
        ({"command": ["check", "{environment}"]}, False),
        ({"targets": 2}, False),
        ({"prometheus": {"url": "http://p", "query": 'up{{v="{version}"}}', "min": 1}}, True),
        ({"prometheus": {"url": "http://p", "query": "up", "min": 1}}, False),
        ({"cloudwatch_alarm": "web-{version}", "region": "eu-west-1"}, True),
    ],
)
def test_a_check_needs_a_version_where_it_names_one(keys: dict[str, Any], needed: bool):
    assert needs_version(config(**keys)) is needed, json.dumps(keys)
