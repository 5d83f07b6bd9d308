"""What a preflight must know of an ELBv2 switch point. Changes nothing; every doubt is a finding, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from bluegreen import iam
from bluegreen.balancers import Demands
from bluegreen.balancers.elbv2_actions import Action, Forward, forward_of, weights_of, with_weights
from bluegreen.balancers.elbv2_api import ElbV2Api, LoadBalancer
from bluegreen.core.verdicts import span
from bluegreen.errors import BalancerError
from bluegreen.model import FOR_A_FAILBACK, UNPROVEN, Finding, Weights
from bluegreen.ports import Enough

_PROTOCOLS = {
    "application": ("HTTP", "HTTPS"),
    "network": ("TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"),
}
Groups = Callable[[], Awaitable[Mapping[str, str]]]


CLOCK_SECONDS = 60.0
"""AWS refuses what is signed by a clock that is 5 minutes off; one that has come so far goes on."""
_ACCEPTABLE = ("stickiness", "fail-open", "quota", "identity", "permission", "credentials", "clock")
"""What is refused by AWS at the write, if it comes to the worst; a person may know better."""


async def examine(api: ElbV2Api, point: str, groups: Groups, demands: Demands) -> tuple[Finding, ...]:
    """Look at everything; one thing that cannot be looked at does not hide the others."""
    look = _Look(api, groups, demands)
    found: list[Finding] = []
    for name, probe in (
        ("actions", look.actions),
        ("load balancer", look.load_balancer),
        ("target groups", look.target_groups),
        ("rules before it", look.rules_before),
        ("stickiness", look.stickiness),
        ("fail-open", look.fail_open),
        ("quota", look.quota),
        ("identity", look.identity),
        ("permission", look.permission),
        ("credentials", look.credentials),
        ("clock", look.clock),
    ):
        try:
            ok, summary, advice = await probe()
        except BalancerError as error:
            ok, summary, advice = False, error.what, error.advice
        detail = {UNPROVEN: "yes"} if ok is None else {}
        if name == "credentials" and ok is False and look.back:
            detail = {FOR_A_FAILBACK: look.back}
        found.append(Finding(f"{point}: {name}", ok is not False, summary, advice, name in _ACCEPTABLE, detail))
    return tuple(found)


Seen = tuple[bool | None, str, str]
"""ok, summary, advice. None: nothing speaks against it, and nobody could be asked."""


class _Look:
    """Each thing is asked for once: reads are rationed by AWS for the whole account."""

    def __init__(self, api: ElbV2Api, groups: Groups, demands: Demands) -> None:
        self._api = api
        self._groups = groups
        self._demands = demands
        self.back = ""
        """What is to be said of a failback, where the credentials last long enough for one and for no deployment."""
        self._attributes: dict[str, dict[str, str]] = {}
        self._identity = ""
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
            if (await self._of_group(arn)).get("stickiness.enabled") == "true":
                sticky.append(environment)
        if sticky:
            return (
                False,
                f"the targets of {', '.join(sticky)} are sticky, and the forward action over "
                f"{max(len(forward.groups), len(groups))} target groups is not",
                "enable target group stickiness on the forward action, or take it from the target groups",
            )
        return True, "nothing is sticky", ""

    async def fail_open(self) -> Seen:
        """Below how many healthy targets the balancer sends traffic to the ill ones too: an environment that counts as
        healthy must have more."""
        wrong, told = [], []
        for environment, arn in (await self._groups()).items():
            below = _fails_open_below(await self._of_group(arn))
            told.append(f"{environment}: below {_told(below)}")
            if _is_above(below, self._demands.healthy):
                wrong.append(f"{environment} gets traffic on ill targets below {_told(below)} healthy ones")
        if wrong:
            what = f"{'; '.join(wrong)}, and `health.minimum` calls it healthy with {_told(self._demands.healthy)}"
            return False, what, "raise `health.minimum`, or lower the target group's unhealthy_state_routing"
        return True, f"with too few healthy targets the ill ones get traffic too ({', '.join(told)})", ""

    async def quota(self) -> Seen:
        """Whether the forward action may have all of its target groups."""
        forward, groups, kind = forward_of(await self._all()), await self._groups(), (await self._its_balancer()).type
        wanted = len({arn for arn, _ in forward.groups} | set(groups.values()))
        name = f"target-groups-per-action-on-{kind}-load-balancer"
        try:
            limit = (await self._api.limits()).get(name)
        except BalancerError as error:
            advice = "allow elasticloadbalancing:DescribeAccountLimits to have it proven"
            return None, f"the account's limits are not told: {error.what}", advice
        if limit is None:
            return None, f"{wanted} target groups in the action; AWS tells no limit of them", ""
        told = f"{wanted} of {limit} target groups that an action may have"
        return wanted <= limit, told, "" if wanted <= limit else "take target groups that nobody needs from the action"

    async def identity(self) -> Seen:
        """Who AWS takes the daemon for."""
        self._identity = await self._api.identity()
        return True, f"acts as {self._identity}", ""

    async def permission(self) -> Seen:
        """IAM's own simulation of the write. Where it cannot be asked, nothing is proven, and that is said. Every read
        has just been made."""
        action = f"elasticloadbalancing:{'ModifyRule' if self._api.is_rule else 'ModifyListener'}"
        if not self._identity:
            return None, f"{action} is not proven: AWS does not say whom it takes the daemon for", ""
        try:
            principal = iam.principal_of(self._identity)
            result = await self._api.simulate(principal, action)
        except BalancerError as error:
            return None, f"{action} is not proven: {error.what}", "allow iam:SimulatePrincipalPolicy to have it proven"
        return _judged(result, action, principal)

    async def credentials(self) -> Seen:
        """How long they are good for: what ends in mid-shift ends the way back, too."""
        life = await self._api.life()
        if life.until is None:
            told = "they are temporary, and nobody tells their end" if life.temporary else "they have no end"
            if life.temporary:
                return None, told, "give the daemon credentials that are renewed, such as a role"
            return True, told, ""
        until = f"{life.until:%Y-%m-%d %H:%M:%S} UTC"
        if not life.lasts:
            what = f"the credentials end at {until}, and nothing has renewed them"
            return False, what, "renew them where the daemon gets them from"
        if life.renews:
            return True, f"good until {until}, and renewed by then", ""
        return self._outlasting(self._seconds_left(life.until), until)

    def _outlasting(self, left: float, until: str) -> Seen:
        """A switch that they surely do not outlast is none to begin. Whether they outlast what has no end, or the time
        for which the old side is kept, is a person's to know: that is told, and holds nothing up."""
        what, demands = f"the credentials end at {until}, nothing renews them", self._demands
        if left < demands.seconds:
            if left >= demands.back:
                self.back = f"good until {until}: a failback takes {span(demands.back)} at the most, a deployment more"
            what = f"{what}, and a switch with its way back may take {span(demands.seconds)}"
            return False, what, "renew them before, and start the daemon anew"
        unsure = ["a switch waits for an approval, which has no end"] if demands.endless else []
        if left < demands.seconds + demands.kept:
            unsure.append(f"the way back is kept for {span(demands.kept)} after it")
        if not unsure:
            return True, f"good until {until}", ""
        advice = "give the daemon credentials that are renewed, such as a role; or renew them in time"
        return None, f"{what}: that they outlast it is not proven, since {' and '.join(unsure)}", advice

    async def clock(self) -> Seen:
        """This host's clock against the Date of what has just been answered."""
        ahead = self._api.ahead()
        if ahead is None:
            return None, "no answer from AWS told the time", ""
        if abs(ahead) < CLOCK_SECONDS:
            return True, f"this host's clock is within {max(1.0, abs(ahead)):.0f} s of AWS's", ""
        what = f"this host's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS's"
        return False, f"{what}, which takes no call from 300 s on", "set it: `chronyc tracking`, `timedatectl`"

    def _seconds_left(self, until: datetime) -> float:
        return (until - self._api.now()).total_seconds()

    async def _of_group(self, arn: str) -> dict[str, str]:
        if arn not in self._attributes:
            self._attributes[arn] = await self._api.group_attributes(arn)
        return self._attributes[arn]

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


_ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"


def _fails_open_below(attributes: Mapping[str, str]) -> Enough:
    """Both limits hold; the percentage is `off` unless somebody has set it."""
    share = attributes.get(f"{_ROUTING}.percentage", "off")
    return Enough(count=int(attributes.get(f"{_ROUTING}.count", "1")), share=10 * int(share) if share.isdigit() else 0)


def _is_above(below: Enough, healthy: Enough) -> bool:
    """Whether an environment may count as healthy where the balancer has begun to send traffic to ill targets. A count
    and a share say nothing about each other."""
    return below.share > healthy.share if healthy.share else below.count > healthy.count


def _told(enough: Enough) -> str:
    return f"{enough.share / 10:g}%" if enough.share else str(enough.count)


def _judged(result: Mapping[str, Any], action: str, principal: str) -> Seen:
    decision = result.get("EvalDecision", "")
    if decision == iam.ALLOWED:
        return True, f"{principal} may {action}", ""
    if decision == "explicitDeny" or (decision == "implicitDeny" and not result.get("MissingContextValues")):
        return False, f"{principal} may not {action}: {decision}", "grant it on this ARN"
    return None, f"{action} is not proven: {decision or 'no answer'}", "its policy depends on conditions"


def _misfit(environment: str, group: Mapping[str, Any], balancer: LoadBalancer) -> str:
    protocol = group.get("Protocol")  # a group of functions has none
    if protocol is None or balancer.type not in _PROTOCOLS or protocol in _PROTOCOLS[balancer.type]:
        return ""
    return f"the target group of {environment} speaks {protocol}, which does not fit a load balancer of {balancer.type}"


def _elsewhere(group: Mapping[str, Any], balancer: LoadBalancer) -> bool:
    attached = group.get("LoadBalancerArns") or []
    return bool(attached) and balancer.arn not in attached
