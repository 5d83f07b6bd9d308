"""ELBv2: a listener of an Application or Network Load Balancer, or a rule of an Application Load Balancer.

One ModifyListener or ModifyRule changes all weights at once, so their sum is never 0 on the way. The API has no
conditional write: the whole action list is read, compared, replaced and read back. What the API then shows is the
control plane's word; the data plane follows within seconds, and connections that are open stay where they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from bluegreen.aws import Sessions
from bluegreen.balancers import UNDEMANDING, Demands
from bluegreen.balancers import elbv2_actions as actions_of
from bluegreen.balancers.elbv2_api import ElbV2Api
from bluegreen.balancers.elbv2_clients import clients
from bluegreen.balancers.elbv2_examine import examine
from bluegreen.balancers.elbv2_trail import hands_of
from bluegreen.config.schema import ElbV2Point
from bluegreen.core.failback_facts import Clients
from bluegreen.core.state import Hand
from bluegreen.errors import BalancerError, Drifted, OutcomeUnknown, Rejected, Throttled, Unreachable
from bluegreen.model import WHOLE, Finding, Target, TargetState, Weights

_STATES = {
    "healthy": TargetState.HEALTHY,
    "unhealthy": TargetState.UNHEALTHY,
    "unhealthy.draining": TargetState.DRAINING,
    "initial": TargetState.INITIAL,
    "draining": TargetState.DRAINING,
    "unused": TargetState.UNUSED,
}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0


class ElbV2Balancer:
    """One switch point of ELBv2. Weights are whole numbers, 0 to 999; every call keeps to the point's `timeout`."""

    kind = "elbv2"

    def __init__(
        self,
        point: ElbV2Point,
        name: str,
        environments: tuple[str, ...],
        sessions: Sessions,
        demands: Demands = UNDEMANDING,
    ) -> None:
        self.point = name
        self._environments = environments
        self._configured = {environment: point.target_groups[environment] for environment in environments}
        self.settle = point.settle
        self._trail = point.trail
        self._api, self._demands = ElbV2Api(point, sessions), demands
        self._resolved: dict[str, str] | None = None

    def native(self, split: Weights) -> Weights:
        """Percent where all shares are whole percents, else tenths of a percent."""
        unknown = sorted(set(split) - set(self._environments))
        if unknown or split.total != WHOLE:
            raise Rejected(f"{self.point}: {dict(split)} is not a split of {WHOLE} between {self._environments}")
        scale = 10 if all(share % 10 == 0 for share in split.values()) else 1
        return Weights.of({environment: split.get(environment, 0) // scale for environment in self._environments})

    async def read(self) -> Weights:
        """The weights of the forward action; 0 for an environment whose target group is not attached."""
        return self._weights(await self._api.actions(), await self._groups())

    async def write(self, expected: Weights, target: Weights) -> None:
        """Replace the forward action's weights in one call, then wait until reads show them, twice the same."""
        groups = await self._groups()
        actions = await self._api.actions()
        seen = self._weights(actions, groups)
        if not seen.same_split(expected):
            raise Drifted(f"{self.point}: expected {expected}; the balancer shows {seen}", expected, seen)
        weights = {groups[environment]: target.get(environment, 0) for environment in self._environments}
        await self._api.modify(actions_of.with_weights(actions, weights))
        await self._shown(target)

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """The targets of every environment's target group."""
        found = {}
        for environment, arn in (await self._groups()).items():
            found[environment] = tuple(_target(each) for each in await self._api.health(arn))
        return found

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Balancer; what there is to know is listed in `elbv2_examine`."""
        return await examine(self._api, self.point, self._groups, self._demands)

    async def trace(self, since: datetime) -> tuple[Hand, ...] | None:
        """See ports.Balancer: by CloudTrail, which tells minutes later. None with `trail: false`."""
        return hands_of(await self._api.trail(since), since) if self._trail else None

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        """See ports.Balancer: the forward action's stickiness; requests by CloudWatch, which tells minutes later."""
        return await clients(self._api, await self._groups(), since, now)

    async def served(self) -> None:
        """See ports.Balancer. CloudWatch counts by periods: see `clients`."""

    async def close(self) -> None:
        """Nothing of its own: connections belong to `Sessions`."""

    # --- below ---

    async def _groups(self) -> dict[str, str]:
        """Every environment's target group as an ARN; names are looked up once."""
        if self._resolved is None:
            names = {value for value in self._configured.values() if not value.startswith("arn:")}
            by_name = await self._api.groups_by_name(sorted(names)) if names else {}
            missing = sorted(names - set(by_name))
            if missing:
                raise Rejected(f"{self.point}: no such target group: {', '.join(missing)}")
            resolved = {environment: by_name.get(value, value) for environment, value in self._configured.items()}
            if len(set(resolved.values())) < len(resolved):
                raise Rejected(f"{self.point}: two environments have the same target group", "give each its own")
            self._resolved = resolved
        return self._resolved

    def _weights(self, actions: list[actions_of.Action], groups: Mapping[str, str]) -> Weights:
        try:
            return Weights.of(actions_of.weights_of(actions, groups))
        except Rejected:
            self._resolved = None  # a group may have been made anew under its name: look it up next time
            raise

    async def _shown(self, target: Weights) -> None:
        """Wait, at most `settle` seconds, until two reads in a row show `target`. Raises OutcomeUnknown."""
        give_up = asyncio.get_running_loop().time() + self.settle
        pause, in_a_row, last = _FIRST_PAUSE, 0, "nothing"
        while True:
            try:
                seen = await self.read()
                in_a_row, last = (in_a_row + 1 if seen.same_split(target) else 0), str(seen)
            except (Unreachable, Throttled) as error:
                in_a_row, last = 0, str(error)
            except BalancerError as error:
                raise OutcomeUnknown(f"{self.point}: acknowledged, and then not readable: {error.what}") from error
            if in_a_row == 2:
                return
            if asyncio.get_running_loop().time() + pause > give_up and not in_a_row:
                raise OutcomeUnknown(
                    f"{self.point}: {target} was acknowledged; {self.settle:g} s later the balancer shows {last}",
                    "look at the balancer: it may lag behind, or somebody else may have changed it",
                )
            await asyncio.sleep(pause)
            pause = _FIRST_PAUSE if in_a_row else min(pause * 1.5, _LONGEST_PAUSE)


def _target(described: Mapping[str, Mapping[str, object]]) -> Target:
    target, health = described["Target"], described.get("TargetHealth", {})
    reason = str(health.get("Reason", ""))
    if reason == "Target.NotInUse":
        reason += ": attach the target group at weight 0, so that its targets are checked"
    port = target.get("Port")
    name = f"{target['Id']}:{port}" if port else str(target["Id"])
    return Target(name, _STATES.get(str(health.get("State", "")), TargetState.UNKNOWN), reason)
