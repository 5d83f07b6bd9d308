"""What balancers tell of their clients: who is held to a side, for how long, and how many requests were sent there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from bluegreen.aws import Sessions
from bluegreen.balancers.elbv2 import ElbV2Balancer
from bluegreen.balancers.haproxy_clients import clients_of, uptime
from bluegreen.core.failback_facts import Clients
from tests.balancers.aws_rig import REGION, Place, Site, dummy_credentials
from tests.balancers.haproxy_rig import CHECKED, stage

NOW = datetime.now(UTC)


# --- HAProxy ---


@pytest.mark.parametrize(
    ("balance", "options", "sticky"),
    [
        ("roundrobin", CHECKED, False),
        ("roundrobin\n    cookie SIDE insert", f"{CHECKED} cookie one", True),
        ("roundrobin\n    stick-table type ip size 1k expire 30m\n    stick on src", CHECKED, None),
    ],
)
async def test_a_real_haproxy_tells_cookies_and_that_it_has_tables(
    short: Path, balance: str, options: str, sticky: bool | None
) -> None:
    async with stage(short, "wheel", balance=balance, options=options) as there:
        told = await there.balancer().clients(NOW, NOW)
    assert (told.sticky, told.sticky_seconds) == (sticky, None)
    assert bool(told.why) == (sticky is not False)


async def test_a_real_haproxy_counts_from_its_own_start_at_most_or_at_least(short: Path) -> None:
    async with stage(short, "wheel") as there:
        balancer, now = there.balancer(), datetime.now(UTC)
        lately = await balancer.clients(now, now)
        long_ago = await balancer.clients(now - timedelta(days=1), now)
        served = await balancer.served()
        unasked = await balancer.clients(None, now)
    assert (lately.requests, lately.requests_most) == (None, served), "it may have counted others before"
    assert (long_ago.requests, long_ago.requests_most) == (served, None), "it has forgotten what was before its start"
    assert (unasked.requests, unasked.requests_most) == (None, None)


@pytest.mark.parametrize("info", ["", "Name: HAProxy\n", "Uptime_sec: soon\n"])
def test_an_haproxy_that_does_not_tell_its_start_is_not_known(info: str) -> None:
    assert uptime(info) is None


def test_an_haproxy_that_does_not_tell_of_cookies_is_not_known() -> None:
    assert clients_of([{"svname": "blue-1"}], "").sticky is None
    assert clients_of([], "").sticky is None


# --- ELBv2 ---


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    dummy_credentials(monkeypatch)
    with mock_aws(), Site(None) as site:
        yield site


def told(place: Place, since: datetime | None = None) -> Clients:
    async def ask() -> Clients:
        sessions = Sessions(reads_per_second=10_000)
        try:
            return await ElbV2Balancer(place.point(), "edge", ("blue", "green"), sessions).clients(since, NOW)
        finally:
            await sessions.close()

    return asyncio.run(ask())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alb-listener", "alb-rule"])
def test_a_sticky_forward_action_holds_clients_for_its_duration(site: Site, kind: str) -> None:
    assert told(site.place(kind, sticky=900)) == Clients(sticky=True, sticky_seconds=900)
    assert told(site.place(kind)) == Clients(sticky=False)


@pytest.mark.slow
def test_a_network_load_balancer_holds_by_its_target_groups(site: Site) -> None:
    place = site.place("nlb-listener")
    assert told(place).sticky is False
    site.elbv2.modify_target_group_attributes(
        TargetGroupArn=place.groups["green"], Attributes=[{"Key": "stickiness.enabled", "Value": "true"}]
    )
    assert (told(place).sticky, told(place).sticky_seconds) == (True, None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alb-listener", "alb-rule"])
def test_requests_are_those_that_cloudwatch_counted_since(site: Site, kind: str) -> None:
    place, since = site.place(kind), NOW - timedelta(hours=3)
    assert told(place, since).requests == {}, "no figure is not none: it may only be late"
    cloudwatch = boto3.client("cloudwatch", region_name=REGION)
    for minutes, count in ((400, 1000), (100, 30), (50, 4)):
        cloudwatch.put_metric_data(
            Namespace="AWS/ApplicationELB",
            MetricData=[
                {
                    "MetricName": "RequestCount",
                    "Dimensions": [
                        {"Name": "LoadBalancer", "Value": place.load_balancer.split("loadbalancer/", 1)[1]},
                        {"Name": "TargetGroup", "Value": place.groups["green"].rsplit(":", 1)[1]},
                    ],
                    "Timestamp": NOW - timedelta(minutes=minutes),
                    "Value": count,
                }
            ],
        )
    assert told(place, since).requests == {"green": 34}
