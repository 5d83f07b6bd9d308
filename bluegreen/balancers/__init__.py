"""Balancers, one file a provider. A kind that is not in KINDS is refused; there is no default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluegreen.config import schema
from bluegreen.errors import BlueGreenError
from bluegreen.ports import Balancer, Enough

if TYPE_CHECKING:
    from bluegreen.aws import Sessions


@dataclass(frozen=True, slots=True)
class Demands:
    """What a switch takes of a balancer: how many seconds the longest one lasts, the way back and a margin included,
    and how many of them are the way back's (`back`); how many healthy targets an environment is called healthy with;
    for how many seconds more the way back is kept afterwards (`kept`); and whether it waits for a person's approval,
    which has no end (`endless`)."""

    seconds: float = 0.0
    healthy: Enough = field(default_factory=Enough)
    kept: float = 0.0
    endless: bool = False
    back: float = 0.0


UNDEMANDING = Demands()


@dataclass(frozen=True, slots=True)
class Context:
    """What a balancer may need beside its own configuration."""

    state_directory: Path
    service: str
    environments: tuple[str, ...]
    aws: Sessions
    demands: Demands = UNDEMANDING


def open_balancer(point: schema.SwitchPoint, context: Context) -> Balancer:
    """The balancer of a switch point; nothing is contacted yet."""
    if point.kind not in KINDS:
        raise BlueGreenError(f"unknown balancer kind {point.kind!r}", f"known: {', '.join(KINDS)}")
    return KINDS[point.kind](point, schema.point_name(point), context)


def _memory(point: schema.MemoryPoint, name: str, context: Context) -> Balancer:
    from bluegreen.balancers.memory import MemoryBalancer

    file = context.state_directory / f"memory-{context.service}-{name}.json"
    return MemoryBalancer(name, context.environments, file, point.weights)


def _haproxy(point: schema.HAProxyPoint, name: str, context: Context) -> Balancer:
    from bluegreen.balancers.haproxy import HAProxyBalancer

    return HAProxyBalancer(point, name, context.environments)


def _elbv2(point: schema.ElbV2Point, name: str, context: Context) -> Balancer:
    from bluegreen.balancers.elbv2 import ElbV2Balancer  # boto3 is heavy: only who uses it pays for it

    return ElbV2Balancer(point, name, context.environments, context.aws, context.demands)


KINDS: dict[str, Callable[[Any, str, Context], Balancer]] = {"memory": _memory, "haproxy": _haproxy, "elbv2": _elbv2}
