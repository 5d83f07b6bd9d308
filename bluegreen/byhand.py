"""The providers' own commands, for a person without bluegreen: to look at a switch point, and to move it. Pure.

They raise before they lower, as the drivers do.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Mapping
from typing import assert_never

from bluegreen.config.load import service_from_json
from bluegreen.config.schema import ElbV2Point, HAProxyPoint, MemoryPoint, SwitchPoint
from bluegreen.model import WHOLE, Weights


def commands(config: str, point: str, everything: Weights | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(to move it, to look at it). `everything`: who is to have all of the traffic; None: nothing is to be moved."""
    configured = _points(config).get(point)
    match configured:
        case HAProxyPoint():
            return _haproxy(configured, everything)
        case ElbV2Point():
            return _elbv2(configured, everything)
        case MemoryPoint() | None:
            return (), ()
    assert_never(configured)


@functools.lru_cache(8)
def _points(config: str) -> Mapping[str, SwitchPoint]:
    service = service_from_json(config)
    return dict(zip(service.point_names(), service.switch_points, strict=True))


def _haproxy(point: HAProxyPoint, everything: Weights | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    where = point.socket if "/" in point.socket else f"tcp:{point.socket}"

    def said(command: str) -> str:
        return f"echo {shlex.quote(command)} | socat stdio {shlex.quote(where)}"

    look = (said(f"show servers state {point.backend}"),)
    if everything is None:
        return (), look
    shares = sorted(point.servers, key=lambda name: -everything.get(name, 0))
    moves = [
        said(f"set server {point.backend}/{server} weight {100 if everything.get(name, 0) == WHOLE else 0}")
        for name in shares
        for server in point.servers[name]
    ]
    return tuple(moves), look


def _elbv2(point: ElbV2Point, everything: Weights | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    place = f"--rule-arns {point.rule}" if point.rule else f"--listener-arns {point.listener}"
    what = "rules" if point.rule else "listeners"
    region = f"--region {point.region}"
    look = (f"aws elbv2 describe-{what} {region} {place}",)
    if everything is None:
        return (), look
    groups = [
        {"TargetGroupArn": _arn(group), "Weight": 100 if everything.get(name, 0) == WHOLE else 0}
        for name, group in point.target_groups.items()
    ]
    actions = json.dumps([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    modify = (
        f"modify-rule {region} --rule-arn {point.rule} --actions"
        if point.rule
        else (f"modify-listener {region} --listener-arn {point.listener} --default-actions")
    )
    names = [group for group in point.target_groups.values() if not group.startswith("arn:")]
    arns = (f"aws elbv2 describe-target-groups {region} --names {' '.join(names)}",) if names else ()
    return (*arns, f"aws elbv2 {modify} {shlex.quote(actions)}"), look


def _arn(group: str) -> str:
    return group if group.startswith("arn:") else f"ARN OF {group}"
