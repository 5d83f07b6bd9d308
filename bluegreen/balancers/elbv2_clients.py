"""Whether ELBv2 holds clients to a side, and how many requests it has sent there. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bluegreen.balancers.elbv2_actions import forward_of
from bluegreen.balancers.elbv2_api import ElbV2Api
from bluegreen.core.failback_facts import Clients
from bluegreen.errors import BalancerError


async def clients(api: ElbV2Api, groups: Mapping[str, str], since: datetime | None, now: datetime) -> Clients:
    """`groups`: each environment's target group, as an ARN. Raises as reads do."""
    balancer = await api.load_balancer()
    if balancer.type == "network":
        attributes = [await api.group_attributes(arn) for arn in groups.values()]
        if any(one.get("stickiness.enabled") == "true" for one in attributes):
            return Clients(sticky=True, why="a Network Load Balancer remembers source addresses")
        return Clients(sticky=False)
    seconds = forward_of(await api.actions()).sticky_seconds
    requests = await _requests(api, balancer.arn, groups, since, now) if since is not None else None
    return Clients(seconds is not None, seconds, requests)


async def _requests(
    api: ElbV2Api, balancer: str, groups: Mapping[str, str], since: datetime, now: datetime
) -> dict[str, int] | None:
    """A group without a figure is left out: CloudWatch tells nothing both for none and for not yet."""
    try:
        told = {name: await api.request_counts(balancer, arn, since, now) for name, arn in groups.items()}
    except BalancerError:
        return None  # not permitted, as a rule: the report says that nobody has told it
    return {name: round(sum(counts)) for name, counts in told.items() if counts}
