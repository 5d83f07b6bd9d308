"""The few calls of ELBv2 that a switch point needs, each live and within the point's time-out. No judgement here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bluegreen import iam
from bluegreen.aws import Life, Sessions, Where
from bluegreen.balancers.elbv2_actions import Action
from bluegreen.config.schema import ElbV2Point
from bluegreen.errors import Rejected

_POINTS_MAX = 1440
"""GetMetricStatistics gives no more at once."""


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`type` is `application`, `network` or `gateway`."""

    arn: str
    type: str


class ElbV2Api:
    """The calls of one switch point. All raise as `Sessions.call` does."""

    def __init__(self, point: ElbV2Point, sessions: Sessions) -> None:
        self.where = Where(point.region, point.role, point.profile, point.endpoint_url)
        self.is_rule = point.rule is not None
        self.arn = point.rule or point.listener or ""
        self._timeout = point.timeout
        self._sessions = sessions

    async def actions(self) -> list[Action]:
        """The whole action list of the listener or rule. Raises Rejected for a listener's default rule."""
        if not self.is_rule:
            listener = await self._one("DescribeListeners", "Listeners", ListenerArns=[self.arn])
            return list(listener.get("DefaultActions", []))
        rule = await self._one("DescribeRules", "Rules", RuleArns=[self.arn])
        if rule.get("IsDefault"):
            raise Rejected(f"{self.arn} is the default rule of its listener", "name the listener instead of this rule")
        return list(rule.get("Actions", []))

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule of the listener that the switch point belongs to, its default one among them."""
        answer = await self._call("DescribeRules", ListenerArn=self._listener_arn())
        return list(answer["Rules"])

    async def modify(self, actions: Sequence[Action]) -> None:
        """Replace the whole action list. Sent once."""
        if self.is_rule:
            await self._call("ModifyRule", write=True, RuleArn=self.arn, Actions=list(actions))
        else:
            await self._call("ModifyListener", write=True, ListenerArn=self.arn, DefaultActions=list(actions))

    async def load_balancer(self) -> LoadBalancer:
        """The load balancer that the listener or rule belongs to."""
        listener = await self._one("DescribeListeners", "Listeners", ListenerArns=[self._listener_arn()])
        arn = str(listener["LoadBalancerArn"])
        found = await self._one("DescribeLoadBalancers", "LoadBalancers", LoadBalancerArns=[arn])
        return LoadBalancer(arn, str(found["Type"]))

    async def groups_by_name(self, names: Iterable[str]) -> dict[str, str]:
        """Each name's ARN."""
        answer = await self._call("DescribeTargetGroups", Names=list(names))
        return {str(group["TargetGroupName"]): str(group["TargetGroupArn"]) for group in answer["TargetGroups"]}

    async def groups(self, arns: Iterable[str]) -> list[dict[str, Any]]:
        """The target groups as ELBv2 describes them."""
        return list((await self._call("DescribeTargetGroups", TargetGroupArns=list(arns)))["TargetGroups"])

    async def group_attributes(self, arn: str) -> dict[str, str]:
        """A target group's attributes."""
        answer = await self._call("DescribeTargetGroupAttributes", TargetGroupArn=arn)
        return {str(pair["Key"]): str(pair["Value"]) for pair in answer["Attributes"]}

    async def health(self, arn: str) -> list[dict[str, Any]]:
        """The TargetHealthDescriptions of a target group."""
        return list((await self._call("DescribeTargetHealth", TargetGroupArn=arn))["TargetHealthDescriptions"])

    async def identity(self) -> str:
        """The ARN that AWS knows the daemon by at this point."""
        return await self._sessions.identity(self.where, self._timeout)

    async def life(self) -> Life:
        """How long the daemon's credentials at this point are good for."""
        return await self._sessions.life(self.where, self._timeout)

    def now(self) -> datetime:
        """This host's time."""
        return self._sessions.now()

    def ahead(self) -> float | None:
        """See Sessions.ahead."""
        return self._sessions.ahead(self.where)

    async def limits(self) -> dict[str, int]:
        """The account's limits in this region, by their names."""
        answer = await self._call("DescribeAccountLimits")
        return {str(limit["Name"]): int(limit["Max"]) for limit in answer.get("Limits", [])}

    async def simulate(self, principal: str, action: str) -> dict[str, Any]:
        """IAM's opinion on whether `principal` may do `action` here: an EvaluationResult."""
        return await iam.simulate(self._sessions, self.where, principal, action, self.arn, self._timeout)

    async def trail(self, since: datetime) -> list[dict[str, Any]]:
        """What CloudTrail has on the listener or rule since then: the newest 50 events of LookupEvents."""
        answer = await self._sessions.call(
            self.where,
            "cloudtrail",
            "LookupEvents",
            self._timeout,
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": self.arn}],
            StartTime=since,
            MaxResults=50,
        )
        return list(answer.get("Events", []))

    async def request_counts(self, balancer: str, group: str, since: datetime, until: datetime) -> list[float]:
        """What CloudWatch has counted of a target group's requests: a number for each period that had any. Both are
        named by their ARNs."""
        period = max(60, -(-int((until - since).total_seconds()) // (_POINTS_MAX * 60)) * 60)
        answer = await self._sessions.call(
            self.where,
            "cloudwatch",
            "GetMetricStatistics",
            self._timeout,
            Namespace="AWS/ApplicationELB",
            MetricName="RequestCount",
            Dimensions=[
                {"Name": "LoadBalancer", "Value": balancer.partition("loadbalancer/")[2]},
                {"Name": "TargetGroup", "Value": group.rsplit(":", 1)[-1]},
            ],
            StartTime=since,
            EndTime=until,
            Period=period,
            Statistics=["Sum"],
        )
        return [float(point["Sum"]) for point in answer.get("Datapoints", [])]

    def _listener_arn(self) -> str:
        """A rule's ARN is its listener's with another noun and one more part; DescribeRules does not name it."""
        if not self.is_rule:
            return self.arn
        return self.arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]

    async def _one(self, operation: str, noun: str, **parameters: Any) -> dict[str, Any]:
        found = (await self._call(operation, **parameters)).get(noun, [])
        if len(found) != 1:
            raise Rejected(f"{operation} in {self.where.region} found {len(found)} for {parameters}, wanted one")
        return dict(found[0])

    async def _call(self, operation: str, *, write: bool = False, **parameters: Any) -> dict[str, Any]:
        return await self._sessions.call(self.where, "elbv2", operation, self._timeout, write=write, **parameters)
