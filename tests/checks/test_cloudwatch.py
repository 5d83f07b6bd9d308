"""The cloudwatch_alarm check, over moto's server: OK is good, and nothing else is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from bluegreen.model import UNANSWERED, Finding
from tests.balancers.aws_rig import REGION, dummy_credentials, emptied, moto_server
from tests.checks.servers import hanging, look, scene, serving

pytestmark = pytest.mark.slow

METRIC = {
    "MetricName": "HTTPCode_Target_5XX_Count", "Namespace": "AWS/ApplicationELB", "Statistic": "Sum", "Period": 60,
    "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    dummy_credentials(monkeypatch)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def alarms(server: str) -> Iterator[Any]:
    """A client of CloudWatch, with nothing in it."""
    client: Any = boto3.client("cloudwatch", region_name=REGION, endpoint_url=emptied(server))
    yield client
    client.close()


async def _look(endpoint: str, alarm: str = "web-5xx", **keys: Any) -> Finding:
    keys = {"region": REGION, "timeout": "10s", "endpoint_url": endpoint, **keys}
    return await look(scene(), cloudwatch_alarm=alarm, **keys)


@pytest.mark.parametrize(("state", "ok"), [("OK", True), ("ALARM", False), ("INSUFFICIENT_DATA", False)])
async def test_only_an_alarm_that_is_ok_is_good(state: str, ok: bool, server: str, alarms: Any):
    alarms.put_metric_alarm(AlarmName="web-5xx", **METRIC)
    alarms.set_alarm_state(AlarmName="web-5xx", StateValue=state, StateReason="for the test")
    finding = await _look(server)
    assert (finding.ok, finding.summary) == (ok, f"alarm web-5xx is {state}")
    assert UNANSWERED not in finding.detail
    assert (finding.detail["state"], finding.detail["reason"]) == (state, "for the test")


async def test_the_alarm_is_the_one_of_the_environment(server: str, alarms: Any):
    for side, state in (("blue", "ALARM"), ("green", "OK")):
        alarms.put_metric_alarm(AlarmName=f"web-{side}", **METRIC)
        alarms.set_alarm_state(AlarmName=f"web-{side}", StateValue=state, StateReason="x")
    assert (await _look(server, "web-{environment}")).ok


async def test_an_alarm_that_is_not_there_is_not_good(server: str, alarms: Any):
    alarms.put_metric_alarm(AlarmName="web-5xx-other", **METRIC)
    finding = await _look(server)
    assert (finding.ok, finding.summary) == (False, f"there is no alarm web-5xx in {REGION}")
    assert finding.advice
    assert UNANSWERED in finding.detail
    assert not (await _look(server, "web-5xx-other", region="us-east-1")).ok


async def test_an_endpoint_that_is_not_there_is_not_good():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = await _look(f"http://127.0.0.1:{port}")
    assert not finding.ok
    assert finding.summary.startswith("alarm web-5xx cannot be read: ")
    assert UNANSWERED in finding.detail


async def test_an_endpoint_that_hangs_is_not_waited_for():
    async with serving(hanging) as url:
        finding = await _look(url, timeout="1s")
    assert not finding.ok
    assert finding.summary.startswith("alarm web-5xx cannot be read: ")


async def test_missing_credentials_are_told(server: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    finding = await _look(server)
    assert not finding.ok
    assert "credentials" in finding.summary + finding.advice
