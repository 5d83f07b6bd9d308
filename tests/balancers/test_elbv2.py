"""ELBv2 against moto, in process and over its real HTTP server, with a proxy between that breaks calls."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import moto.elbv2.models
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from bluegreen.aws import Sessions, Where
from bluegreen.balancers import UNDEMANDING, Demands
from bluegreen.balancers.elbv2 import ElbV2Balancer
from bluegreen.errors import (
    AccessDenied,
    BalancerError,
    Drifted,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unreachable,
)
from bluegreen.iam import principal_of
from bluegreen.model import FOR_A_FAILBACK, WHOLE, Finding, Target, TargetState, Weights
from bluegreen.ports import Balancer, Enough
from tests.balancers.aws_rig import PLACES, REGION, FaultProxy, Place, Site, dummy_credentials, emptied, moto_server

pytestmark = pytest.mark.slow  # each test makes its load balancers anew

ALL_BLUE = Weights.of({"blue": 100, "green": 0})
STEP = Weights.of({"blue": 95, "green": 5})
ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
ALL_GREEN = Weights.of({"blue": 0, "green": 100})


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    dummy_credentials(monkeypatch)


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    """Shared, and not rationed: the rate of reads is tested with the sessions themselves."""
    sessions = Sessions(reads_per_second=10_000)
    yield sessions
    asyncio.run(sessions.close())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    return emptied(server)


@pytest.fixture
def site() -> Iterator[Site]:
    """AWS without faults, in process."""
    with mock_aws(), Site(None) as site:
        yield site


@pytest.fixture(params=["in process", "over HTTP"])
def either(request: pytest.FixtureRequest, server: str) -> Iterator[Site]:
    """AWS without faults, in process and over HTTP."""
    if request.param == "over HTTP":
        with Site(emptied(server)) as site:
            yield site
    else:
        yield request.getfixturevalue("site")


@pytest.fixture
def proxy(url: str) -> Iterator[FaultProxy]:
    with FaultProxy(url) as proxy:
        yield proxy


@pytest.fixture
def broken(url: str, proxy: FaultProxy) -> Iterator[Site]:
    """AWS behind the proxy; the site itself looks past it."""
    with Site(url) as site:
        site.endpoint = proxy.url
        yield site


def balancer_of(place: Place, sessions: Sessions, demands: Demands = UNDEMANDING, **changes: Any) -> ElbV2Balancer:
    return ElbV2Balancer(place.point(**changes), "edge", ("blue", "green"), sessions, demands)


# --- reading and writing ---


@pytest.mark.parametrize("kind", PLACES)
async def test_the_weights_that_were_written_are_the_weights_that_are_there(
    either: Site, sessions: Sessions, kind: str
) -> None:
    place = either.place(kind)
    balancer: Balancer = balancer_of(place, sessions)
    assert await balancer.read() == ALL_BLUE
    for before, after in ((ALL_BLUE, STEP), (STEP, ALL_GREEN), (ALL_GREEN, ALL_BLUE)):
        await balancer.write(before, after)
        assert await balancer.read() == after
        assert either.weights(place) == dict(after)  # the idle one stays attached, at 0


@pytest.mark.parametrize("kind", ["alb-listener", "alb-rule"])
async def test_foreign_actions_and_stickiness_stay_word_for_word(either: Site, sessions: Sessions, kind: str) -> None:
    login = {
        "Type": "authenticate-cognito",
        "Order": 1,
        "AuthenticateCognitoConfig": {
            "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_x",
            "UserPoolClientId": "client",
            "UserPoolDomain": "login",
            "SessionTimeout": 3600,
            "OnUnauthenticatedRequest": "authenticate",
        },
    }
    place = either.place(kind, before=[login], sticky=300)
    before = either.actions(place)
    await balancer_of(place, sessions).write(ALL_BLUE, STEP)
    after = either.actions(place)
    assert after[:-1] == before[:-1]
    assert after[-1]["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 300}
    assert either.weights(place) == dict(STEP)


async def test_a_listener_of_one_target_group_gets_the_other_attached(site: Site, sessions: Sessions) -> None:
    place = site.place()
    site.set_actions(place, [{"Type": "forward", "TargetGroupArn": place.groups["blue"]}])
    balancer = balancer_of(place, sessions)
    assert await balancer.read() == Weights.of({"blue": 1, "green": 0})
    await balancer.write(ALL_BLUE, ALL_BLUE)
    assert site.weights(place) == {"blue": 100, "green": 0}


async def test_target_groups_are_named_by_name_or_by_arn(site: Site, sessions: Sessions) -> None:
    place = site.place()
    mixed = {"blue": place.groups["blue"], "green": place.names["green"]}
    balancer = balancer_of(place, sessions, target_groups=mixed)
    await balancer.write(ALL_BLUE, STEP)
    assert site.weights(place) == dict(STEP)


async def test_a_foreign_target_group_is_kept_at_0_and_refused_above(site: Site, sessions: Sessions) -> None:
    place = site.place()
    balancer = balancer_of(place, sessions)
    foreign = site.group("theirs")

    def actions(weight: int) -> list[Any]:
        groups = [
            {"TargetGroupArn": foreign, "Weight": weight},
            {"TargetGroupArn": place.groups["blue"], "Weight": 100},
        ]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    site.set_actions(place, actions(0))
    await balancer.write(ALL_BLUE, STEP)
    assert site.weights(place) == {foreign: 0, "blue": 95, "green": 5}
    site.set_actions(place, actions(1))
    for call in (balancer.read(), balancer.write(ALL_BLUE, STEP)):
        with pytest.raises(Rejected, match="not this service's"):
            await call
    assert site.weights(place) == {foreign: 1, "blue": 100}


async def test_a_target_group_made_anew_under_its_name_is_found(site: Site, sessions: Sessions) -> None:
    place = site.place()
    balancer = balancer_of(place, sessions)
    await balancer.read()
    old = place.groups["green"]
    site.set_actions(place, [{"Type": "forward", "TargetGroupArn": place.groups["blue"]}])
    site.elbv2.delete_target_group(TargetGroupArn=old)
    place.groups["green"] = site.group(place.names["green"])
    site.set_weights(place, blue=0, green=100)
    if place.groups["green"] != old:
        with pytest.raises(Rejected, match="not this service's"):
            await balancer.read()
    assert await balancer.read() == ALL_GREEN


@pytest.mark.parametrize("kind", ["alb-listener", "alb-rule"])
async def test_a_place_that_does_not_forward_is_refused(site: Site, sessions: Sessions, kind: str) -> None:
    place = site.place(kind)
    gone = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}]
    site.set_actions(place, gone)
    balancer = balancer_of(place, sessions)
    for call in (balancer.read(), balancer.write(ALL_BLUE, STEP)):
        with pytest.raises(Rejected, match="fixed-response"):
            await call
    assert site.actions(place) == gone


async def test_a_default_rule_is_refused_in_favour_of_its_listener(site: Site, sessions: Sessions) -> None:
    place = site.place()
    balancer = balancer_of(place, sessions, listener=None, rule=site.default_rule(place))
    for call in (balancer.read(), balancer.write(ALL_BLUE, STEP)):
        with pytest.raises(Rejected, match="default rule") as refusal:
            await call
        assert "name the listener" in refusal.value.advice
    assert site.weights(place) == dict(ALL_BLUE)


@pytest.mark.parametrize("kind", PLACES)
async def test_what_is_not_there_is_refused(either: Site, sessions: Sessions, kind: str) -> None:
    place = either.place(kind)
    noun = "rule" if kind.endswith("rule") else "listener"
    with pytest.raises(Rejected, match="NotFound"):
        await balancer_of(place, sessions, UNDEMANDING, **{noun: place.arn + "0"}).read()
    with pytest.raises(Rejected, match=r"web-none|not found"):
        await balancer_of(place, sessions, target_groups={"blue": "web-none", "green": "web-none-2"}).read()
    with pytest.raises(Rejected, match=r"web-none|not found|no such"):
        await balancer_of(place, sessions, target_groups={**place.names, "green": "web-none"}).read()


async def test_two_environments_with_one_target_group_are_refused(site: Site, sessions: Sessions) -> None:
    place = site.place()
    both = {"blue": place.names["blue"], "green": place.groups["blue"]}
    with pytest.raises(Rejected, match="same target group"):
        await balancer_of(place, sessions, target_groups=both).read()


async def test_switch_points_of_two_regions_move_each_for_itself(sessions: Sessions, url: str) -> None:
    with Site(url, REGION) as here, Site(url, "us-east-1") as there:
        places = [here.place("alb-listener"), here.place("nlb-listener"), there.place("alb-rule")]
        sites = [here, here, there]
        balancers = [balancer_of(place, sessions) for place in places]
        await balancers[2].write(ALL_BLUE, STEP)
        await balancers[0].write(ALL_BLUE, ALL_GREEN)
        assert [await balancer.read() for balancer in balancers] == [ALL_GREEN, ALL_BLUE, STEP]
        shown = [site.weights(place) for site, place in zip(sites, places, strict=True)]
        assert shown == [dict(ALL_GREEN), dict(ALL_BLUE), dict(STEP)]


# --- the numbers ---


@given(st.integers(0, WHOLE))
def test_native_numbers_divide_the_traffic_as_asked(green: int) -> None:
    split = Weights.of({"blue": WHOLE - green, "green": green})
    native = POINTLESS.native(split)
    assert native.same_split(split)
    assert all(0 <= weight <= 999 for weight in native.values())
    assert all((native[name] > 0) == (split[name] > 0) for name in split)
    assert native.total == (100 if green % 10 == 0 else 1000)


@pytest.mark.parametrize("split", [{"blue": 999}, {"blue": 0, "green": 0}, {"blue": 500, "red": 500}])
def test_what_is_no_split_of_this_point_is_refused(split: dict[str, int]) -> None:
    with pytest.raises(Rejected, match="is not a split"):
        POINTLESS.native(Weights.of(split))


def test_an_environment_that_a_split_leaves_out_has_weight_0() -> None:
    assert POINTLESS.native(Weights.of({"blue": WHOLE})) == ALL_BLUE


POINTLESS = ElbV2Balancer(
    Place("alb-listener", "arn:x", {}, REGION, "", names={"blue": "b", "green": "g"}).point(),
    "edge",
    ("blue", "green"),
    Sessions(),
)
"""For what needs no AWS."""


# --- faults ---


@pytest.mark.parametrize("kind", PLACES)
async def test_a_write_on_a_drifted_balancer_changes_nothing(
    broken: Site, proxy: FaultProxy, sessions: Sessions, kind: str
) -> None:
    place = broken.place(kind)
    broken.set_weights(place, blue=70, green=30)
    with pytest.raises(Drifted) as drift:
        await balancer_of(place, sessions).write(ALL_BLUE, STEP)
    assert drift.value.expected == {"blue": 100, "green": 0}
    assert drift.value.seen == {"blue": 70, "green": 30}
    assert proxy.sent["ModifyListener"] + proxy.sent["ModifyRule"] == 0
    assert broken.weights(place) == {"blue": 70, "green": 30}


@pytest.mark.parametrize("kind", ["alb-listener", "alb-rule"])
@pytest.mark.parametrize(
    ("fault", "done"), [("hang", False), ("unavailable", False), ("expired", False), ("drop", True), ("slow", True)]
)
async def test_a_write_whose_answer_is_lost_was_sent_once_and_is_unknown(
    broken: Site, proxy: FaultProxy, sessions: Sessions, kind: str, fault: str, done: bool
) -> None:
    place = broken.place(kind)
    balancer = balancer_of(place, sessions, timeout="4s" if fault in ("hang", "slow") else "20s")
    await balancer.read()
    write = "ModifyRule" if kind == "alb-rule" else "ModifyListener"
    proxy.faults[write] = fault
    with pytest.raises(OutcomeUnknown):
        await balancer.write(ALL_BLUE, STEP)
    assert proxy.sent[write] == 1
    assert broken.weights(place) == dict(STEP if done else ALL_BLUE)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("throttle", Throttled), ("deny", AccessDenied), ("invalid", Rejected)],
)
async def test_a_write_that_was_refused_changed_nothing(
    broken: Site, proxy: FaultProxy, sessions: Sessions, fault: str, error: type[BalancerError]
) -> None:
    place = broken.place()
    proxy.faults["ModifyListener"] = fault
    with pytest.raises(error):
        await balancer_of(place, sessions).write(ALL_BLUE, STEP)
    assert proxy.sent["ModifyListener"] == 1
    assert broken.weights(place) == dict(ALL_BLUE)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("hang", Unreachable),
        ("drop", Unreachable),
        ("unavailable", Unreachable),
        ("throttle", Throttled),
        ("deny", AccessDenied),
    ],
)
async def test_a_point_that_cannot_be_read_is_not_written(
    broken: Site, proxy: FaultProxy, sessions: Sessions, fault: str, error: type[BalancerError]
) -> None:
    place = broken.place()
    # only what hangs needs a short time; the rest must have time to be told apart on a busy machine
    balancer = balancer_of(place, sessions, timeout="1s" if fault == "hang" else "20s")
    proxy.faults["DescribeListeners"] = fault
    for call in (balancer.read, lambda: balancer.write(ALL_BLUE, STEP)):
        with pytest.raises(error):
            await call()
    assert proxy.sent["ModifyListener"] == 0


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://nobody.invalid"], ids=["closed", "no such name"])
async def test_an_endpoint_that_is_not_there_is_unreachable(broken: Site, sessions: Sessions, endpoint: str) -> None:
    place = broken.place()
    balancer = balancer_of(place, sessions, endpoint_url=endpoint)
    for call in (balancer.read(), balancer.write(ALL_BLUE, STEP), balancer.targets()):
        with pytest.raises(Unreachable):
            await call
    assert broken.weights(place) == dict(ALL_BLUE)


async def test_a_read_that_lags_behind_the_write_is_waited_for(
    broken: Site, proxy: FaultProxy, sessions: Sessions
) -> None:
    place = broken.place()
    proxy.faults["DescribeListeners"], proxy.stale_reads = "stale", 3
    balancer = balancer_of(place, sessions)
    await balancer.write(ALL_BLUE, STEP)
    assert proxy.sent["ModifyListener"] == 1
    assert proxy.sent["DescribeListeners"] == 1 + 3 + 2  # before; stale; the new weights, twice
    assert await balancer.read() == STEP


@pytest.mark.parametrize("fault", ["stale", "unavailable", "deny"])
async def test_an_acknowledged_write_that_never_shows_is_unknown(
    broken: Site, proxy: FaultProxy, sessions: Sessions, fault: str
) -> None:
    place = broken.place()
    balancer = balancer_of(place, sessions, settle="500ms")
    if fault == "stale":
        proxy.faults["DescribeListeners"], proxy.stale_reads = fault, 1000
    else:
        proxy.after["ModifyListener"] = {"DescribeListeners": fault}
    with pytest.raises(OutcomeUnknown, match="acknowledged"):
        await balancer.write(ALL_BLUE, STEP)
    assert proxy.sent["ModifyListener"] == 1
    assert broken.weights(place) == dict(STEP)


async def test_a_cancelled_write_may_still_land(broken: Site, proxy: FaultProxy, sessions: Sessions) -> None:
    place = broken.place()
    balancer = balancer_of(place, sessions)
    await balancer.read()
    proxy.faults["ModifyListener"] = "slow"
    write = asyncio.ensure_future(balancer.write(ALL_BLUE, STEP))
    await asyncio.to_thread(proxy.wait_for, "ModifyListener")
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    async with asyncio.timeout(90):  # why a cancelled write counts as unknown
        while broken.weights(place) != dict(STEP):  # noqa: ASYNC110 - no event of ours tells
            await asyncio.sleep(0.05)


# --- health ---


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], tuple[str, str]]:
    """(target group, target id) -> (state, reason): what moto then says, since its API cannot set it."""
    table: dict[tuple[str, str], tuple[str, str]] = {}
    original = moto.elbv2.models.FakeTargetGroup.health_for

    def health_for(self: Any, target: Any, backend: Any) -> Any:
        key = (self.arn, target["Id"])
        if key not in table:
            return original(self, target, backend)
        port = target.get("Port", self.port)
        return moto.elbv2.models.FakeHealthStatus(target["Id"], port, self.health_check_port, *table[key], "why")

    monkeypatch.setattr(moto.elbv2.models.FakeTargetGroup, "health_for", health_for)
    return table


STATES = {
    "healthy": TargetState.HEALTHY,
    "unhealthy": TargetState.UNHEALTHY,
    "unhealthy.draining": TargetState.DRAINING,
    "initial": TargetState.INITIAL,
    "draining": TargetState.DRAINING,
    "unused": TargetState.UNUSED,
    "unavailable": TargetState.UNKNOWN,
    "something new": TargetState.UNKNOWN,
}


async def test_every_state_of_a_target_is_told(
    either: Site, sessions: Sessions, health: dict[tuple[str, str], tuple[str, str]]
) -> None:
    place = either.place()
    group = either.group("states", targets=tuple(f"10.0.9.{index}" for index in range(len(STATES))))
    for index, state in enumerate(STATES):
        health[(group, f"10.0.9.{index}")] = (state, f"Because.{index}")
    targets = await balancer_of(place, sessions, target_groups={**place.names, "green": group}).targets()
    assert targets["blue"] == (
        Target("10.0.1.1:80", TargetState.HEALTHY),
        Target("10.0.1.2:80", TargetState.HEALTHY),
    )
    assert targets["green"] == tuple(
        Target(f"10.0.9.{index}:80", state, f"Because.{index}") for index, state in enumerate(STATES.values())
    )


async def test_a_target_group_in_no_use_says_how_to_have_it_checked(
    site: Site, sessions: Sessions, health: dict[tuple[str, str], tuple[str, str]]
) -> None:
    place = site.place()
    health[(place.groups["green"], "10.0.2.1")] = ("unused", "Target.NotInUse")
    targets = await balancer_of(place, sessions).targets()
    assert "attach the target group at weight 0" in targets["green"][0].reason


async def test_an_environment_without_targets_is_told_as_empty(site: Site, sessions: Sessions) -> None:
    place = site.place()
    empty = site.group("empty")
    targets = await balancer_of(place, sessions, target_groups={"blue": "web-1-blue", "green": empty}).targets()
    assert (len(targets["blue"]), targets["green"]) == (2, ())


# --- examine ---


async def examined(balancer: ElbV2Balancer) -> dict[str, Finding]:
    return {finding.check: finding for finding in await balancer.examine()}


@pytest.mark.parametrize("kind", PLACES)
async def test_a_good_point_has_no_fault_and_its_permission_is_not_proven(
    either: Site, sessions: Sessions, kind: str
) -> None:
    findings = await examined(balancer_of(either.place(kind), sessions))
    assert list(findings) == [
        "edge: actions",
        "edge: load balancer",
        "edge: target groups",
        "edge: rules before it",
        "edge: stickiness",
        "edge: fail-open",
        "edge: quota",
        "edge: identity",
        "edge: permission",
        "edge: credentials",
        "edge: clock",
    ]
    assert all(finding.ok for finding in findings.values()), findings
    assert "not proven" in findings["edge: permission"].summary  # moto has no simulation
    assert not findings["edge: permission"].proven
    assert findings["edge: actions"].proven


async def test_examining_an_unreachable_point_raises_nothing(broken: Site, sessions: Sessions) -> None:
    balancer = balancer_of(broken.place(), sessions, endpoint_url="http://127.0.0.1:1")
    findings = await examined(balancer)
    assert not findings["edge: actions"].ok
    assert not findings["edge: actions"].acceptable
    assert "not proven" in findings["edge: permission"].summary


async def test_a_rule_of_a_network_load_balancer_is_found(site: Site, sessions: Sessions) -> None:
    place = site.place("nlb-rule")
    finding = (await examined(balancer_of(place, sessions)))["edge: load balancer"]
    assert not finding.ok
    assert "name its listener" in finding.advice


async def test_a_gateway_load_balancer_is_found(site: Site, sessions: Sessions) -> None:
    finding = (await examined(balancer_of(site.place("glb-listener"), sessions)))["edge: load balancer"]
    assert not finding.ok
    assert "gateway cannot divide traffic" in finding.summary


async def test_a_default_rule_is_found(site: Site, sessions: Sessions) -> None:
    place = site.place()
    balancer = balancer_of(place, sessions, listener=None, rule=site.default_rule(place))
    assert "name the listener" in (await examined(balancer))["edge: actions"].advice


async def test_a_target_group_that_is_not_there_is_found(site: Site, sessions: Sessions) -> None:
    place = site.place()
    gone = place.groups["green"][:-4] + "0000"
    findings = await examined(balancer_of(place, sessions, target_groups={**place.groups, "green": gone}))
    assert not findings["edge: target groups"].ok
    findings = await examined(balancer_of(place, sessions, target_groups={"blue": "web-1-blue", "green": "web-9"}))
    assert not findings["edge: actions"].ok


@pytest.mark.parametrize(("kind", "protocol"), [("alb-listener", "TCP"), ("nlb-listener", "HTTP")])
async def test_a_target_group_of_the_wrong_protocol_is_found(
    site: Site, sessions: Sessions, kind: str, protocol: str
) -> None:
    place = site.place(kind)
    wrong = site.group("wrong", protocol)
    balancer = balancer_of(place, sessions, target_groups={**place.names, "green": wrong})
    finding = (await examined(balancer))["edge: target groups"]
    assert not finding.ok
    assert f"green speaks {protocol}" in finding.summary


async def test_a_target_group_of_another_load_balancer_is_told(site: Site, sessions: Sessions) -> None:
    place, other = site.place(), site.place()
    balancer = balancer_of(place, sessions, target_groups={**place.names, "green": other.names["green"]})
    finding = (await examined(balancer))["edge: target groups"]
    assert finding.ok
    assert "green may belong to another load balancer" in finding.advice


async def test_stickiness_is_told_with_how_long_it_holds_clients(site: Site, sessions: Sessions) -> None:
    finding = (await examined(balancer_of(site.place(sticky=900), sessions)))["edge: stickiness"]
    assert finding.ok
    assert "900 s" in finding.advice


@pytest.mark.parametrize(
    ("kind", "sticky", "ok"),
    [
        ("alb-listener", None, False),
        ("alb-rule", None, False),
        ("alb-listener", 300, True),
        ("nlb-listener", None, True),
    ],
)
async def test_sticky_targets_need_a_sticky_forward_action(
    site: Site, sessions: Sessions, kind: str, sticky: int | None, ok: bool
) -> None:
    place = site.place(kind, sticky=sticky)
    site.elbv2.modify_target_group_attributes(
        TargetGroupArn=place.groups["green"], Attributes=[{"Key": "stickiness.enabled", "Value": "true"}]
    )
    finding = (await examined(balancer_of(place, sessions)))["edge: stickiness"]
    assert finding.ok is ok
    assert ("green" in finding.summary) is not ok


@pytest.mark.parametrize(
    ("decision", "missing", "ok"),
    [
        ("allowed", "", True),
        ("explicitDeny", "", False),
        ("implicitDeny", "", False),
        ("implicitDeny", "<member>aws:ResourceTag/team</member>", True),
        ("explicitDeny", "<member>aws:ResourceTag/team</member>", False),
    ],
)
async def test_the_permission_to_write_is_what_iam_says(
    broken: Site, proxy: FaultProxy, sessions: Sessions, decision: str, missing: str, ok: bool
) -> None:
    place = broken.place()
    proxy.faults["SimulatePrincipalPolicy"] = "answer"
    proxy.answers["SimulatePrincipalPolicy"] = (
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults><member>"
        f"<EvalActionName>elasticloadbalancing:ModifyListener</EvalActionName><EvalDecision>{decision}</EvalDecision>"
        f"<MissingContextValues>{missing}</MissingContextValues>"
        "</member></EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    finding = (await examined(balancer_of(place, sessions)))["edge: permission"]
    assert finding.ok is ok
    assert ("not proven" in finding.summary) is (bool(missing) and ok)
    assert proxy.sent["ModifyListener"] == 0


async def test_who_the_daemon_acts_as_is_told_and_what_aws_does_not_tell_is_not_proven(
    broken: Site, proxy: FaultProxy, sessions: Sessions
) -> None:
    balancer = balancer_of(broken.place(), sessions)
    assert "acts as arn:aws:sts::123456789012:" in (await examined(balancer))["edge: identity"].summary
    proxy.faults["GetCallerIdentity"] = "expired"
    found = await examined(balancer)
    assert not found["edge: identity"].ok
    assert "the credentials have expired" in found["edge: identity"].advice
    assert "is not proven: AWS does not say whom" in found["edge: permission"].summary


@pytest.mark.parametrize(
    ("minimum", "count", "percentage", "ok"),
    [
        (Enough(share=1000), "1", "off", True),
        (Enough(share=500), "1", "50", True),
        (Enough(share=500), "1", "75", False),
        (Enough(count=1), "2", "off", False),
        (Enough(count=2), "2", "off", True),
        (Enough(count=2), "1", "75", True),  # a count and a share say nothing about each other
    ],
)
async def test_an_environment_that_counts_as_healthy_must_be_above_where_the_balancer_fails_open(
    site: Site, sessions: Sessions, minimum: Enough, count: str, percentage: str, ok: bool
) -> None:
    place = site.place()
    settings = {f"{ROUTING}.count": count, f"{ROUTING}.percentage": percentage}
    site.elbv2.modify_target_group_attributes(
        TargetGroupArn=place.groups["green"],
        Attributes=[{"Key": key, "Value": value} for key, value in settings.items()],
    )
    finding = (await examined(balancer_of(place, sessions, Demands(healthy=minimum))))["edge: fail-open"]
    assert finding.ok is ok, finding
    assert finding.acceptable
    assert ("raise `health.minimum`" in finding.advice) is not ok


@pytest.mark.parametrize(("limit", "ok"), [(5, True), (2, True), (1, False)])
async def test_the_quota_of_target_groups_in_an_action_is_kept(
    broken: Site, proxy: FaultProxy, sessions: Sessions, limit: int, ok: bool
) -> None:
    proxy.faults["DescribeAccountLimits"] = "answer"
    proxy.answers["DescribeAccountLimits"] = (
        "<DescribeAccountLimitsResponse><DescribeAccountLimitsResult><Limits><member>"
        f"<Name>target-groups-per-action-on-application-load-balancer</Name><Max>{limit}</Max>"
        "</member></Limits></DescribeAccountLimitsResult></DescribeAccountLimitsResponse>"
    )
    finding = (await examined(balancer_of(broken.place(), sessions)))["edge: quota"]
    assert (finding.ok, finding.summary) == (ok, f"2 of {limit} target groups that an action may have")
    proxy.faults["DescribeAccountLimits"] = "deny"
    told = (await examined(balancer_of(broken.place(), sessions)))["edge: quota"]
    assert told.ok
    assert "allow elasticloadbalancing:DescribeAccountLimits" in told.advice


@pytest.mark.parametrize(("off", "ok"), [(0, True), (40, True), (-400, False), (100, False)])
async def test_a_clock_that_is_off_is_found_before_aws_refuses_it(broken: Site, off: int, ok: bool) -> None:
    sessions = Sessions(reads_per_second=10_000, now=lambda: datetime.now(UTC) + timedelta(seconds=off))
    finding = (await examined(balancer_of(broken.place(), sessions)))["edge: clock"]
    assert finding.ok is ok
    assert ("ahead of" if off > 0 else "behind") in finding.summary or ok
    assert finding.advice or ok
    await sessions.close()


def credentials_that_end(monkeypatch: pytest.MonkeyPatch, hours: int) -> datetime:
    """In so many hours, and nothing renews them. Gives when."""
    ends = datetime.now(UTC) + timedelta(hours=hours)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    return ends


@pytest.mark.parametrize(("hours", "planned", "ok"), [(1, 600.0, True), (1, 7200.0, False), (3, 7200.0, True)])
async def test_credentials_that_nothing_renews_must_outlast_the_longest_switch_and_its_way_back(
    broken: Site, monkeypatch: pytest.MonkeyPatch, hours: int, planned: float, ok: bool
) -> None:
    ends = credentials_that_end(monkeypatch, hours)
    sessions = Sessions(reads_per_second=10_000)
    finding = (await examined(balancer_of(broken.place(), sessions, Demands(planned))))["edge: credentials"]
    assert finding.ok is ok, finding
    assert f"{ends:%Y-%m-%d %H:%M:%S} UTC" in finding.summary
    await sessions.close()


@pytest.mark.parametrize(("back", "said"), [(900.0, True), (5400.0, False)])
async def test_credentials_that_are_too_short_for_a_deployment_may_do_for_a_failback(
    broken: Site, monkeypatch: pytest.MonkeyPatch, back: float, said: bool
) -> None:
    credentials_that_end(monkeypatch, hours=1)
    sessions = Sessions(reads_per_second=10_000)
    finding = (await examined(balancer_of(broken.place(), sessions, Demands(7200.0, back=back))))["edge: credentials"]
    assert not finding.ok
    assert (FOR_A_FAILBACK in finding.detail) is said
    await sessions.close()


@pytest.mark.parametrize(
    ("demands", "why"),
    [
        (Demands(600.0, kept=14400.0), "the way back is kept for 4 h after it"),
        (Demands(600.0, endless=True), "a switch waits for an approval, which has no end"),
        (Demands(600.0, kept=14400.0, endless=True), "has no end and the way back is kept for 4 h"),
    ],
)
async def test_that_credentials_outlast_what_has_no_end_and_the_time_of_the_way_back_is_not_proven_and_holds_nothing_up(
    broken: Site, monkeypatch: pytest.MonkeyPatch, demands: Demands, why: str
) -> None:
    credentials_that_end(monkeypatch, hours=1)
    sessions = Sessions(reads_per_second=10_000)
    finding = (await examined(balancer_of(broken.place(), sessions, demands)))["edge: credentials"]
    assert finding.ok
    assert not finding.proven
    assert why in finding.summary
    assert "such as a role" in finding.advice
    await sessions.close()


async def test_credentials_without_an_end_outlast_everything(broken: Site, sessions: Sessions) -> None:
    demands = Demands(600.0, kept=14400.0, endless=True)
    assert (await examined(balancer_of(broken.place(), sessions, demands)))["edge: credentials"].proven


async def test_credentials_that_are_renewed_outlast_everything(broken: Site, sessions: Sessions) -> None:
    demands = Demands(600.0, kept=14400.0, endless=True)
    balancer = balancer_of(broken.place(), sessions, demands, role="arn:aws:iam::123456789012:role/switcher")
    finding = (await examined(balancer))["edge: credentials"]
    assert finding.proven, finding
    assert "renewed by then" in finding.summary


async def test_temporary_credentials_whose_end_nobody_tells_are_told_of(
    broken: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    sessions = Sessions(reads_per_second=10_000)
    finding = (await examined(balancer_of(broken.place(), sessions)))["edge: credentials"]
    assert "nobody tells their end" in finding.summary
    assert "credentials that are renewed" in finding.advice
    await sessions.close()


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        ("arn:aws:sts::123456789012:assumed-role/ops/i-0abc", "arn:aws:iam::123456789012:role/ops"),
        ("arn:aws-cn:sts::123456789012:assumed-role/ops/me", "arn:aws-cn:iam::123456789012:role/ops"),
        ("arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ann"),
    ],
)
def test_a_session_of_a_role_stands_for_the_role(identity: str, principal: str) -> None:
    assert principal_of(identity) == principal


# --- as another role ---


async def test_a_point_with_a_role_is_read_and_written_as_that_role(sessions: Sessions, url: str) -> None:
    role = "arn:aws:iam::222222222222:role/switcher"
    with Site(url) as site:
        own = site.place()
        where = Where(REGION, endpoint_url=url)
        made = await sessions.call(where, "sts", "AssumeRole", 5, RoleArn=role, RoleSessionName="setup")
        keys = made["Credentials"]
        account = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        with Site(url, keys=account) as other:
            place = other.place()
            await balancer_of(place, sessions, role=role).write(ALL_BLUE, STEP)
            assert other.weights(place) == dict(STEP)
            with pytest.raises(Rejected):
                await balancer_of(place, sessions).read()
        assert site.weights(own) == dict(ALL_BLUE)


async def test_a_rule_that_is_asked_before_the_switch_point_is_told_of(site: Site, sessions: Sessions):
    place = site.place("alb-listener")
    balancer = balancer_of(place, sessions)
    assert (await examined(balancer))["edge: rules before it"].summary == "no rule is asked before it"

    def rule(priority: int, path: str, group: str) -> None:
        site.elbv2.create_rule(
            ListenerArn=place.arn,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [path]}],
            Actions=[{"Type": "forward", "TargetGroupArn": group}],
        )

    rule(5, "/other/*", site.group("elsewhere"))
    assert "1 rules are asked before it" in (await examined(balancer))["edge: rules before it"].summary
    rule(7, "/pay/*", place.groups["blue"])
    found = (await examined(balancer))["edge: rules before it"]
    assert found.ok
    assert "its target groups: priority 7" in found.summary
    assert "switch points of their own" in found.advice


async def test_only_rules_of_a_higher_priority_are_asked_before_a_rule(site: Site, sessions: Sessions):
    place = site.place("alb-rule")
    assert (await examined(balancer_of(place, sessions)))[
        "edge: rules before it"
    ].summary == "no rule is asked before it"
