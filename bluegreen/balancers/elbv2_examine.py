"""What a preflight must know of an ELBv2 switch point. Changes nothing; every doubt is a finding, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bluegreen.balancers.elbv2_actions import Action, Forward, forward_of, weights_of, with_weights
from bluegreen.balancers.elbv2_api import ElbV2Api, LoadBalancer
from bluegreen.errors import BalancerError
from bluegreen.model import Finding, Weights

_PROTOCOLS = {
    "application": ("HTTP", "HTTPS"),
    "network": ("TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"),
}
Groups = Callable[[], Awaitable[Mapping[str, str]]]


async def examine(api: ElbV2Api, point: str, groups: Groups) -> tuple[Finding, ...]:
    """Look at everything; one thing that cannot be looked at does not hide the others."""
    look = _Look(api, groups)
    found: list[Finding] = []
    for name, probe in (
        ("actions", look.actions),
        ("load balancer", look.load_balancer),
        ("target groups", look.target_groups),
        ("rules before it", look.rules_before),
        ("stickiness", look.stickiness),
        ("permission", look.permission),
        ("credentials", look.credentials),
    ):
        try:
            ok, summary, advice = await probe()
        except BalancerError as error:
            ok, summary, advice = False, error.what, error.advice
        acceptable = name in ("stickiness", "permission", "credentials")  # a wrong guess is refused by AWS at the write
        found.append(Finding(f"{point}: {name}", ok, summary, advice, acceptable))
    return tuple(found)


Seen = tuple[bool, str, str]
"""ok, summary, advice."""


class _Look:
    """Each thing is asked for once: reads are rationed by AWS for the whole account."""

    def __init__(self, api: ElbV2Api, groups: Groups) -> None:
        self._api = api
        self._groups = groups
        self._read: list[Action] | None = None
        self._balancer: LoadBalancer | None = None

    async def actions(self) -> Seen:
        """Reachable, there, and dividing traffic between our groups only; the list that we would write is valid."""
        actions = await self._all()
        groups = await self._groups()
        weights = weights_of(actions, groups)
        heaviest = max(weights, key=lambda environment: weights[environment])
        with_weights(actions, {arn: int(environment == heaviest) for environment, arn in groups.items()})
        noun = "rule" if self._api.is_rule else "listener"
        return True, f"the {noun} forwards: {Weights.of(weights)}", ""

    async def load_balancer(self) -> Seen:
        found = await self._its_balancer()
        if found.type not in _PROTOCOLS:
            return False, f"a load balancer of type {found.type} cannot divide traffic", "use an ALB or an NLB"
        if found.type == "network" and self._api.is_rule:
            return False, "this rule belongs to a Network Load Balancer", "name its listener instead of the rule"
        return True, f"type {found.type}", ""

    async def target_groups(self) -> Seen:
        groups, balancer = await self._groups(), await self._its_balancer()
        described = {str(group["TargetGroupArn"]): group for group in await self._api.groups(groups.values())}
        wrong = [_misfit(environment, described[arn], balancer) for environment, arn in groups.items()]
        faults = [fault for fault in wrong if fault]
        if faults:
            return False, "; ".join(faults), f"use target groups of {' or '.join(_PROTOCOLS[balancer.type])}"
        elsewhere = [environment for environment, arn in groups.items() if _elsewhere(described[arn], balancer)]
        advice = f"{', '.join(elsewhere)} may belong to another load balancer; ELBv2 allows one" if elsewhere else ""
        return True, f"{len(groups)} target groups are there", advice

    async def rules_before(self) -> Seen:
        """Rules that are asked before this switch point: what they match is not divided here."""
        if (await self._its_balancer()).type != "application":
            return True, "a network load balancer has no rules", ""
        ours = set((await self._groups()).values())
        rules = await self._api.rules()
        own = next((rule for rule in rules if rule["RuleArn"] == self._api.arn), None)
        before = [rule for rule in rules if not rule.get("IsDefault") and _is_before(rule, own)]
        taking = [rule for rule in before if ours & set(_forwards(rule))]
        if taking:
            names = ", ".join(f"priority {rule['Priority']}" for rule in taking)
            what = f"rules before this switch point forward to its target groups: {names}"
            return True, what, "they divide their traffic by themselves, unless they are switch points of their own"
        told = f"{len(before)} rules are asked before it: what they match is not divided here" if before else ""
        return True, told or "no rule is asked before it", ""

    async def stickiness(self) -> Seen:
        forward = forward_of(await self._all())
        if forward.sticky_seconds is not None:
            stay = f"clients stay with their environment for up to {forward.sticky_seconds} s, whatever its weight"
            return True, "the target groups are sticky", f"{stay}: keep the old one until then"
        return await self._sticky_targets(forward)

    async def _sticky_targets(self, forward: Forward) -> Seen:
        groups = await self._groups()
        if (await self._its_balancer()).type != "application":
            return True, "the forward action is not sticky", "connections that are open stay where they are"
        sticky = []
        for environment, arn in groups.items():
            if (await self._api.group_attributes(arn)).get("stickiness.enabled") == "true":
                sticky.append(environment)
        if sticky:
            return (
                False,
                f"the targets of {', '.join(sticky)} are sticky, and the forward action over "
                f"{max(len(forward.groups), len(groups))} target groups is not",
                "enable target group stickiness on the forward action, or take it from the target groups",
            )
        return True, "nothing is sticky", ""

    async def permission(self) -> Seen:
        """IAM's own simulation of the write. Where it cannot be asked, nothing is proven, and that is said."""
        action = f"elasticloadbalancing:{'ModifyRule' if self._api.is_rule else 'ModifyListener'}"
        try:
            principal = principal_of(await self._api.identity())
            result = await self._api.simulate(principal, action)
        except BalancerError as error:
            return True, f"{action} is not proven: {error.what}", "allow iam:SimulatePrincipalPolicy to have it proven"
        return _judged(result, action, principal)

    async def credentials(self) -> Seen:
        """How long they are good for: what ends in mid-shift ends the way back, too."""
        life = await self._api.life()
        if life.until is None:
            return True, "no end is told of the credentials", ""
        if not life.lasts:
            what = f"the credentials end at {life.until:%Y-%m-%d %H:%M:%S} UTC, and nothing has renewed them"
            return False, what, "renew them where the daemon gets them from"
        return True, f"the credentials are good until {life.until:%Y-%m-%d %H:%M:%S} UTC", ""

    async def _all(self) -> list[Action]:
        if self._read is None:
            self._read = await self._api.actions()
        return self._read

    async def _its_balancer(self) -> LoadBalancer:
        if self._balancer is None:
            self._balancer = await self._api.load_balancer()
        return self._balancer


def _is_before(rule: Mapping[str, Any], own: Mapping[str, Any] | None) -> bool:
    """Whether the rule is asked before our own; a listener's default action (`own` None) comes last."""
    return own is None or (rule["RuleArn"] != own["RuleArn"] and int(rule["Priority"]) < int(own["Priority"]))


def _forwards(rule: Mapping[str, Any]) -> list[str]:
    """The target groups that a rule sends traffic to."""
    found = []
    for action in rule.get("Actions", []):
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        found += [str(group["TargetGroupArn"]) for group in groups]
        found += [str(action["TargetGroupArn"])] if "TargetGroupArn" in action else []
    return found


def principal_of(identity: str) -> str:
    """The ARN whose policies decide: an assumed role's session stands for its role (one without a path)."""
    parts = identity.split(":", 5)
    if len(parts) == 6 and parts[2] == "sts" and parts[5].startswith("assumed-role/"):
        role = parts[5].split("/")[1]
        return ":".join([*parts[:2], "iam", "", parts[4], f"role/{role}"])
    return identity


def _judged(result: Mapping[str, Any], action: str, principal: str) -> Seen:
    decision = result.get("EvalDecision", "")
    if decision == "allowed":
        return True, f"{principal} may {action}", ""
    if decision == "explicitDeny" or (decision == "implicitDeny" and not result.get("MissingContextValues")):
        return False, f"{principal} may not {action}: {decision}", "grant it on this ARN"
    return True, f"{action} is not proven: {decision or 'no answer'}", "its policy depends on conditions"


def _misfit(environment: str, group: Mapping[str, Any], balancer: LoadBalancer) -> str:
    protocol = group.get("Protocol")  # a group of functions has none
    if protocol is None or balancer.type not in _PROTOCOLS or protocol in _PROTOCOLS[balancer.type]:
        return ""
    return f"the target group of {environment} speaks {protocol}, which does not fit a load balancer of {balancer.type}"


def _elsewhere(group: Mapping[str, Any], balancer: LoadBalancer) -> bool:
    attached = group.get("LoadBalancerArns") or []
    return bool(attached) and balancer.arn not in attached
