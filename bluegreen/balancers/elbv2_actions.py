"""ELBv2's action lists, as pure functions: find the forward action, read it, check it, make the next one.

ELBv2 replaces a list of actions as a whole, so whatever is not ours (authentication before the forward action,
stickiness, foreign target groups at weight 0) is sent again as it was read. The limits are those of the ELBv2 API
reference (ForwardActionConfig, TargetGroupTuple, TargetGroupStickinessConfig).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.errors import Rejected

WEIGHT_MAX = 999
GROUPS_MAX = 5
STICKY_SECONDS_MAX = 604800

Action = dict[str, Any]
"""One action as ELBv2 gives and takes it."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward action, whichever of its three shapes it came in: `(ARN, weight)` in the list's order.

    `sticky_seconds` is how long a client stays with the target group that it was first sent to; None: it does not.
    """

    groups: tuple[tuple[str, int], ...]
    sticky_seconds: int | None = None


def forward_of(actions: Sequence[Action]) -> Forward:
    """The forward action of a list. Raises Rejected where there is none to divide the traffic with."""
    action = actions[_forward_index(actions)]
    config = action.get("ForwardConfig") or {}
    groups = tuple((str(group["TargetGroupArn"]), int(group.get("Weight", 1))) for group in _groups(action))
    sticky = config.get("TargetGroupStickinessConfig") or {}
    return Forward(groups, int(sticky.get("DurationSeconds", 0)) if sticky.get("Enabled") else None)


def weights_of(actions: Sequence[Action], ours: Mapping[str, str]) -> dict[str, int]:
    """Every environment's weight; `ours` maps environments to ARNs. A group that is not attached has weight 0.

    Raises Rejected where a target group that is not ours has a weight.
    """
    forward = forward_of(actions)
    foreign = [arn for arn, weight in forward.groups if weight > 0 and arn not in ours.values()]
    if foreign:
        raise Rejected(
            f"the traffic is divided with a target group that is not this service's: {', '.join(foreign)}",
            "name it under `target_groups`, or take its weight away",
        )
    weights = dict(forward.groups)
    return {environment: weights.get(arn, 0) for environment, arn in ours.items()}


def with_weights(actions: Sequence[Action], weights: Mapping[str, int]) -> list[Action]:
    """The list with new weights by ARN and all else as it was; groups that were not attached are added at the end.

    Raises Rejected where there is no forward action, or where ELBv2 would not take the new list.
    """
    changed = [copy.deepcopy(action) for action in actions]
    action = changed[_forward_index(changed)]
    groups = [
        {**group, "Weight": weights.get(group["TargetGroupArn"], group.get("Weight", 1))} for group in _groups(action)
    ]
    attached = {group["TargetGroupArn"] for group in groups}
    groups += [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items() if arn not in attached]
    action["ForwardConfig"] = {**(action.get("ForwardConfig") or {}), "TargetGroups": groups}
    action.pop("TargetGroupArn", None)  # the short form names one group only, and contradicts the list
    for other in changed:
        _keep_client_secret(other)
    validate(changed)
    return changed


def validate(actions: Sequence[Action]) -> None:
    """Raises Rejected, with every fault, where ELBv2 would refuse the list or where it sends traffic nowhere."""
    index = _forward_index(actions)
    action = actions[index]
    faults = [*_faults_of_groups(_groups(action)), *_faults_of_stickiness(action)]
    orders = [int(each["Order"]) for each in actions if "Order" in each]
    if index != len(actions) - 1 or ("Order" in action and int(action["Order"]) < max(orders)):
        faults.append("the forward action must be the last one")
    if faults:
        raise Rejected(f"these actions are not valid: {'; '.join(faults)}")


def _forward_index(actions: Sequence[Action]) -> int:
    found = [index for index, action in enumerate(actions) if action.get("Type") == "forward"]
    if len(found) == 1:
        return found[0]
    types = ", ".join(str(action.get("Type")) for action in actions) or "none"
    raise Rejected(
        f"wanted exactly one forward action; the actions are: {types}", "name a listener or a rule that forwards"
    )


def _groups(action: Action) -> list[dict[str, Any]]:
    """`TargetGroupArn` only, `ForwardConfig` only, or both: the same list of groups."""
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    if not groups and action.get("TargetGroupArn"):
        return [{"TargetGroupArn": action["TargetGroupArn"]}]
    return list(groups)


def _keep_client_secret(action: Action) -> None:
    """ELBv2 does not show the secret of an OIDC action; it keeps the one it has only when told so."""
    config = action.get("AuthenticateOidcConfig")
    if config is not None and "ClientSecret" not in config:
        config["UseExistingClientSecret"] = True


def _faults_of_groups(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    faults = []
    arns = [group["TargetGroupArn"] for group in groups]
    if not 1 <= len(arns) <= GROUPS_MAX:
        faults.append(f"an action takes 1 to {GROUPS_MAX} target groups, not {len(arns)}")
    if len(set(arns)) < len(arns):
        faults.append("a target group is named twice")
    weights = [group.get("Weight", 1) for group in groups]
    if not all(type(weight) is int and 0 <= weight <= WEIGHT_MAX for weight in weights):
        faults.append(f"a weight is a whole number from 0 to {WEIGHT_MAX}: {weights}")
    elif sum(weights) == 0:
        faults.append("all weights are 0: no environment would get traffic")
    return faults


def _faults_of_stickiness(action: Action) -> list[str]:
    sticky = (action.get("ForwardConfig") or {}).get("TargetGroupStickinessConfig") or {}
    duration = sticky.get("DurationSeconds")
    if sticky.get("Enabled") and duration is None:
        return ["stickiness needs a duration"]
    if duration is not None and not (type(duration) is int and 1 <= duration <= STICKY_SECONDS_MAX):
        return [f"stickiness lasts 1 to {STICKY_SECONDS_MAX} seconds, not {duration}"]
    return []
