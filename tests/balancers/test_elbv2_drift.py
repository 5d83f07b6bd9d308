"""Somebody else at an ELBv2 switch point: who it was by CloudTrail, and what is there in place of weights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.aws import Sessions, Where, endpoint_of
from bluegreen.balancers.elbv2 import ElbV2Balancer
from bluegreen.balancers.elbv2_trail import hands_of
from bluegreen.core.state import Hand
from bluegreen.errors import AccessDenied, Rejected, Throttled
from bluegreen.model import Weights
from bluegreen.observe import Past, look
from bluegreen.ports import Enough, Environment, Ports
from tests.balancers.aws_rig import PLACES, FaultProxy, Place, Site, dummy_credentials, emptied, moto_server
from tests.builders import SHIFTING, make_plan, state_after
from tests.fakes import ScriptedDeployer

SINCE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ALL_BLUE = Weights.of({"blue": 100, "green": 0})
STEP = Weights.of({"blue": 95, "green": 5})


def event(name: str = "ModifyListener", seconds: float = 5, **detail: Any) -> dict[str, Any]:
    """An event as LookupEvents gives it."""
    known = {
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/deploy/ann"},
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15",
        **detail,
    }
    at = SINCE + timedelta(seconds=seconds)
    return {"EventName": name, "EventTime": at, "Username": "ann", "CloudTrailEvent": json.dumps(known)}


ANN = Hand(
    "arn:aws:sts::123456789012:assumed-role/deploy/ann",
    "ModifyListener from 198.51.100.7 by aws-cli/2.15",
    SINCE + timedelta(seconds=5),
)
OURS = "Boto3/1.44 md/Botocore bluegreen"


# --- whom the events name ---


def test_who_changed_it_is_named_with_what_and_when():
    assert hands_of([event()], SINCE) == (ANN,)


def test_two_hands_are_named_in_their_order():
    found = hands_of([event(seconds=9, sourceIPAddress="203.0.113.9"), event()], SINCE)
    assert [hand.what.split()[2] for hand in found] == ["198.51.100.7", "203.0.113.9"]


def test_reads_refused_calls_and_other_acts_are_no_hands():
    others = [event("DescribeListeners"), event("AddTags"), event(errorCode="AccessDenied")]
    assert hands_of(others, SINCE) == ()


def test_our_own_writes_are_not_another_hand_but_a_late_one_is_said_where_nobody_else_was():
    before, late = event(seconds=-3, userAgent=OURS), event(seconds=4, userAgent=OURS)
    assert hands_of([late, event(), before], SINCE) == (ANN,)
    assert hands_of([before], SINCE) == ()
    assert [hand.at for hand in hands_of([late, before], SINCE)] == [SINCE + timedelta(seconds=4)]


@pytest.mark.parametrize("odd", [None, "no json", "[]", '{"userIdentity": 5}'])
def test_an_odd_event_names_what_it_can(odd: str | None):
    one = {**event(), "CloudTrailEvent": odd}
    assert [hand.who for hand in hands_of([one], SINCE)] == ["ann"]


def test_cloudtrail_is_not_asked_at_the_endpoint_of_another_service():
    own = Where("eu-west-1", endpoint_url="https://vpce-1.elasticloadbalancing.eu-west-1.vpce.amazonaws.com")
    assert endpoint_of(own, "cloudtrail") is None


# --- over HTTP ---


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    sessions = Sessions(reads_per_second=10_000)
    yield sessions
    asyncio.run(sessions.close())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        dummy_credentials(patch)
        with moto_server() as url:
            yield url


@pytest.fixture
def site(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    dummy_credentials(monkeypatch)
    with Site(emptied(server)) as site:
        yield site


def opened(place: Place, sessions: Sessions, **changes: Any) -> ElbV2Balancer:
    return ElbV2Balancer(place.point(**changes), "point", ("blue", "green"), sessions)


@pytest.mark.slow
async def test_cloudtrail_is_asked_once_for_this_very_listener(site: Site, sessions: Sessions):
    place = site.place("alb-listener")
    answer = {"Events": [{**event(), "EventTime": (SINCE + timedelta(seconds=5)).timestamp()}]}
    with FaultProxy(site.endpoint or "") as proxy:
        proxy.faults["LookupEvents"], proxy.answers["LookupEvents"] = "answer", json.dumps(answer)
        found = await opened(place, sessions, endpoint_url=proxy.url).trace(SINCE)
        asked = json.loads(proxy.bodies["LookupEvents"])
        assert proxy.sent["LookupEvents"] == 1
    assert found is not None
    assert (found[0].who, found[0].what) == (ANN.who, ANN.what)
    assert found[0].at == ANN.at
    assert asked["LookupAttributes"] == [{"AttributeKey": "ResourceName", "AttributeValue": place.arn}]
    assert (asked["StartTime"], asked["MaxResults"]) == (SINCE.timestamp(), 50)


@pytest.mark.slow
async def test_where_the_trail_is_off_nobody_is_asked(site: Site, sessions: Sessions):
    place = site.place("alb-rule")
    with FaultProxy(site.endpoint or "") as proxy:
        assert await opened(place, sessions, endpoint_url=proxy.url, trail=False).trace(SINCE) is None
        assert not proxy.sent


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "error"), [("deny", AccessDenied), ("throttle", Throttled)])
async def test_what_may_not_be_asked_is_told_by_its_name(site: Site, sessions: Sessions, fault: str, error: type):
    place = site.place("alb-listener")
    with FaultProxy(site.endpoint or "") as proxy:
        proxy.faults["LookupEvents"] = fault
        with pytest.raises(error, match="cloudtrail LookupEvents"):
            await opened(place, sessions, endpoint_url=proxy.url).trace(SINCE)


# --- what is there in place of weights ---


def ports_of(balancer: ElbV2Balancer) -> Ports:
    environments = tuple(Environment(name, {}) for name in ("blue", "green"))
    return Ports(
        "web", environments, {"point": balancer}, ScriptedDeployer(), (), frozenset(), (), (), Enough(), 1.0, 1.0,
        Enough(),
    )  # fmt: skip


async def halt_of(balancer: ElbV2Balancer) -> str:
    """The halt that a look leads to while a switch runs with blue 95% green 5% on record."""
    state = state_after(f"{SHIFTING} set:50", make_plan(("point",)))
    events = Past().judge(state, await look(ports_of(balancer), SINCE), {"point": balancer}, 1e6)
    assert [type(one).__name__ for one in events] == ["DriftSeen", "Halted"]
    return str(events[1].summary)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
async def test_a_listener_or_rule_that_is_gone_is_said_in_clear_words_and_halts(
    site: Site, sessions: Sessions, kind: str
):
    place = site.place(kind)
    balancer = opened(place, sessions)
    site.set_weights(place, 95, 5)
    await balancer.read()
    if kind == "alb-rule":
        site.elbv2.delete_rule(RuleArn=place.arn)
    else:
        site.elbv2.delete_listener(ListenerArn=place.arn)
    assert "NotFound" in await halt_of(balancer)
    with pytest.raises(Rejected):
        await balancer.write(STEP, ALL_BLUE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
async def test_a_foreign_target_group_with_traffic_is_drift_and_is_never_dropped_by_a_write(
    site: Site, sessions: Sessions, kind: str
):
    place = site.place(kind)
    balancer = opened(place, sessions)
    foreign = site.group("foreign", "TCP" if kind.startswith("nlb") else "HTTP")
    groups = [
        {"TargetGroupArn": place.groups["blue"], "Weight": 95},
        {"TargetGroupArn": place.groups["green"], "Weight": 5},
        {"TargetGroupArn": foreign, "Weight": 20},
    ]
    site.set_actions(place, [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    before = site.actions(place)
    assert foreign in await halt_of(balancer)
    with pytest.raises(Rejected, match="not this service's"):
        await balancer.write(STEP, ALL_BLUE)
    assert site.actions(place) == before


@pytest.mark.slow
async def test_a_target_group_that_is_gone_is_said_in_clear_words_and_halts(site: Site, sessions: Sessions):
    place = site.place("alb-listener")
    balancer = opened(place, sessions)
    groups = [{"TargetGroupArn": place.groups["blue"], "Weight": 95}]
    site.set_actions(place, [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    site.elbv2.delete_target_group(TargetGroupArn=place.groups["green"])
    told = await halt_of(balancer)
    assert "web-1-green" in told or "NotFound" in told
