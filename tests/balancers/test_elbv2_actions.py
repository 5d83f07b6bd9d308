import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.balancers.elbv2_actions import (
    GROUPS_MAX,
    STICKY_SECONDS_MAX,
    WEIGHT_MAX,
    Forward,
    forward_of,
    validate,
    weights_of,
    with_weights,
)
from bluegreen.errors import Rejected

OURS = {"blue": "arn:blue", "green": "arn:green"}
COGNITO: dict[str, Any] = {
    "Type": "authenticate-cognito",
    "Order": 1,
    "AuthenticateCognitoConfig": {"UserPoolArn": "arn:pool"},
}
JWT: dict[str, Any] = {"Type": "jwt-validation", "JwtValidationConfig": {"JwksEndpoint": "https://id.example/keys"}}

weight = st.integers(0, WEIGHT_MAX)
stickiness = st.one_of(
    st.none(),
    st.just({"Enabled": False}),
    st.builds(lambda s: {"Enabled": True, "DurationSeconds": s}, st.integers(1, STICKY_SECONDS_MAX)),
)


@st.composite
def action_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What ELBv2 may show: authentication first, then a forward action in one of its three shapes."""
    before: list[dict[str, Any]] = draw(st.lists(st.sampled_from([COGNITO, JWT]), max_size=2, unique_by=id))
    if draw(st.booleans()):
        forward: dict[str, Any] = {"Type": "forward", "TargetGroupArn": draw(st.sampled_from(list(OURS.values())))}
        if draw(st.booleans()):
            forward["ForwardConfig"] = {"TargetGroups": [{"TargetGroupArn": forward["TargetGroupArn"], "Weight": 1}]}
    else:
        arns = draw(st.lists(st.sampled_from(list(OURS.values())), min_size=1, max_size=2, unique=True))
        groups = [{"TargetGroupArn": arn, "Weight": draw(weight)} for arn in arns]
        foreign = draw(st.integers(0, GROUPS_MAX - 2))
        groups += [{"TargetGroupArn": f"arn:foreign-{index}", "Weight": 0} for index in range(foreign)]
        forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": draw(st.permutations(groups))}}
        sticky = draw(stickiness)
        if sticky is not None:
            forward["ForwardConfig"]["TargetGroupStickinessConfig"] = sticky
    if draw(st.booleans()):
        forward["Order"] = len(before) + 1
    return copy.deepcopy([*before, forward])


@st.composite
def wanted_weights(draw: st.DrawFn) -> dict[str, int]:
    wanted = {"blue": draw(weight), "green": draw(weight)}
    return wanted if sum(wanted.values()) else {"blue": 1, "green": 0}


@given(action_lists(), wanted_weights())
def test_what_is_written_is_what_is_then_read(actions: list[dict[str, Any]], wanted: dict[str, int]) -> None:
    written = with_weights(actions, {OURS[name]: weight for name, weight in wanted.items()})
    assert weights_of(written, OURS) == wanted


@given(action_lists(), wanted_weights())
def test_all_but_our_weights_is_kept_word_for_word(actions: list[dict[str, Any]], wanted: dict[str, int]) -> None:
    before = copy.deepcopy(actions)
    written = with_weights(actions, {OURS[name]: weight for name, weight in wanted.items()})
    assert actions == before  # the argument is not touched
    assert written[:-1] == before[:-1]
    old, new = before[-1].get("ForwardConfig", {}), written[-1]["ForwardConfig"]
    assert new.get("TargetGroupStickinessConfig") == old.get("TargetGroupStickinessConfig")
    assert written[-1].get("Order") == before[-1].get("Order")
    kept = [arn for arn, _ in forward_of(before).groups]
    assert [arn for arn, _ in forward_of(written).groups][: len(kept)] == kept
    assert {arn: w for arn, w in forward_of(written).groups if "foreign" in arn} == {
        arn: w for arn, w in forward_of(before).groups if "foreign" in arn
    }


@given(action_lists(), wanted_weights())
def test_every_environment_stays_attached(actions: list[dict[str, Any]], wanted: dict[str, int]) -> None:
    written = with_weights(actions, {OURS[name]: weight for name, weight in wanted.items()})
    assert set(OURS.values()) <= {arn for arn, _ in forward_of(written).groups}
    assert "TargetGroupArn" not in written[-1]


@given(action_lists(), wanted_weights())
def test_a_second_write_of_the_same_changes_nothing(actions: list[dict[str, Any]], wanted: dict[str, int]) -> None:
    by_arn = {OURS[name]: weight for name, weight in wanted.items()}
    once = with_weights(actions, by_arn)
    assert with_weights(once, by_arn) == once


@pytest.mark.parametrize(
    "action",
    [
        {"Type": "forward", "TargetGroupArn": "arn:blue"},
        {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "arn:blue"}]}},
        {
            "Type": "forward",
            "TargetGroupArn": "arn:blue",
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "arn:blue", "Weight": 1}]},
        },
    ],
)
def test_the_three_shapes_of_one_target_group_are_the_same(action: dict[str, Any]) -> None:
    assert forward_of([action]) == Forward((("arn:blue", 1),))
    assert weights_of([action], OURS) == {"blue": 1, "green": 0}


def test_stickiness_is_told_in_seconds() -> None:
    action = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": "arn:blue", "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 300},
        },
    }
    assert forward_of([action]).sticky_seconds == 300


def test_a_foreign_target_group_with_weight_is_refused_and_named() -> None:
    groups = [{"TargetGroupArn": "arn:blue", "Weight": 90}, {"TargetGroupArn": "arn:theirs", "Weight": 10}]
    with pytest.raises(Rejected, match=r"not this service's: arn:theirs"):
        weights_of([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}], OURS)


@pytest.mark.parametrize("actions", [[], [{"Type": "redirect"}], [{"Type": "fixed-response"}]])
def test_actions_that_do_not_forward_are_refused(actions: list[dict[str, Any]]) -> None:
    with pytest.raises(Rejected, match="wanted exactly one forward action"):
        forward_of(actions)
    with pytest.raises(Rejected, match="wanted exactly one forward action"):
        with_weights(actions, {"arn:blue": 1})


def test_an_oidc_secret_that_elbv2_does_not_show_is_kept_by_saying_so() -> None:
    oidc = {"Type": "authenticate-oidc", "AuthenticateOidcConfig": {"Issuer": "https://id.example", "ClientId": "web"}}
    written = with_weights([oidc, {"Type": "forward", "TargetGroupArn": "arn:blue"}], {"arn:blue": 1})
    assert written[0] == {
        "Type": "authenticate-oidc",
        "AuthenticateOidcConfig": {"Issuer": "https://id.example", "ClientId": "web", "UseExistingClientSecret": True},
    }
    assert "UseExistingClientSecret" not in oidc["AuthenticateOidcConfig"]


def forward(groups: list[tuple[str, Any]], **sticky: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups]}
    if sticky:
        config["TargetGroupStickinessConfig"] = sticky
    return {"Type": "forward", "ForwardConfig": config}


GOOD = forward([("a", 1), ("b", 0)])


@pytest.mark.parametrize(
    ("actions", "fault"),
    [
        ([forward([("a", 1000)])], "whole number from 0 to 999"),
        ([forward([("a", -1), ("b", 2)])], "whole number from 0 to 999"),
        ([forward([("a", 0.5)])], "whole number from 0 to 999"),
        ([forward([("a", True)])], "whole number from 0 to 999"),
        ([forward([("a", 0), ("b", 0)])], "all weights are 0"),
        ([forward([("a", 1), ("a", 1)])], "named twice"),
        ([forward([(str(index), 1) for index in range(6)])], "1 to 5 target groups, not 6"),
        ([forward([])], "1 to 5 target groups, not 0"),
        ([forward([("a", 1)], Enabled=True)], "needs a duration"),
        ([forward([("a", 1)], Enabled=True, DurationSeconds=0)], "1 to 604800 seconds, not 0"),
        ([forward([("a", 1)], Enabled=True, DurationSeconds=604801)], "1 to 604800 seconds, not 604801"),
        ([GOOD, COGNITO], "must be the last"),
        ([{**COGNITO, "Order": 2}, {**GOOD, "Order": 1}], "must be the last"),
    ],
)
def test_a_list_that_elbv2_would_refuse_is_refused_here(actions: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(Rejected, match=fault):
        validate(actions)


def test_every_fault_of_a_list_is_told_at_once() -> None:
    with pytest.raises(Rejected) as refusal:
        validate([forward([("a", 1000), ("a", 1)], Enabled=True), COGNITO])
    for fault in ("named twice", "0 to 999", "needs a duration", "the last one"):
        assert fault in refusal.value.what


@pytest.mark.parametrize(
    "actions",
    [
        [GOOD],
        [COGNITO, {**GOOD, "Order": 2}],
        [forward([("a", 999), ("b", 1)], Enabled=True, DurationSeconds=604800)],
        [forward([("a", 1)], Enabled=False)],
        [forward([("a", 1)], Enabled=False, DurationSeconds=3600)],
    ],
)
def test_a_list_that_elbv2_takes_is_taken(actions: list[dict[str, Any]]) -> None:
    validate(actions)
    assert forward_of(actions).groups
