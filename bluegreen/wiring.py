"""From configuration to ports: which class serves which kind. The only room that knows both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.aws import Sessions
from bluegreen.balancers import Context, Demands, open_balancer
from bluegreen.balancers.counted import Called, CountedBalancer
from bluegreen.checks import Sources, needs_version, open_check
from bluegreen.checks.digest import DigestCheck
from bluegreen.config import guards, schema
from bluegreen.config.checks import AT_AWS
from bluegreen.config.load import config_hash, service_from_json, service_json
from bluegreen.config.notify import Notifier
from bluegreen.config.secrets import remember, remember_environment
from bluegreen.config.units import tenths
from bluegreen.deployers import open_deployer
from bluegreen.flags import Sources as FlagSources
from bluegreen.flags import open_flags
from bluegreen.model import Plan, Target
from bluegreen.needs import ServiceNeeds
from bluegreen.ports import Balancer, Check, Enough, Environment, Ports, Setup


def setup_of(service: schema.Service) -> Setup:
    """What the core needs of a service's configuration, and the text that restores all of it."""
    text = service_json(service)
    points = service.point_names()
    again = not isinstance(service.deploy, schema.CommandDeploy) or service.deploy.idempotent
    return Setup(
        service=service.service,
        environments=tuple(service.environments),
        deployment=Plan(
            points=points,
            steps=tuple(service.shift.steps),
            wait_seconds=service.shift.wait,
            bake_seconds=service.bake,
            keep_warm_seconds=service.keep_warm,
            deploy_again=again,
            deploy_reversible=service.deploy.reversible,
            deploy_undo=service.deploy.undo,
        ),
        failback=Plan(points=points, steps=tuple(service.failback.steps), wait_seconds=service.failback.wait),
        config=text,
        config_hash=config_hash(text),
        depends_on=tuple(service.depends_on),
    )


def nobody() -> Sequence[Notifier]:
    """Where no daemon runs, nobody is told."""
    return ()


@dataclass(frozen=True, slots=True)
class Bench:
    """ports.Workshop over real parts. `called` counts the calls to balancers; `notifiers` are the daemon's, as
    configured now."""

    state_directory: Path
    aws: Sessions
    called: Called
    notifiers: Callable[[], Sequence[Notifier]] = nobody

    def restore(self, config: str) -> Setup:
        """See ports.Workshop."""
        return setup_of(service_from_json(config))

    def open(self, setup: Setup) -> Ports:
        """See ports.Workshop."""
        service = service_from_json(setup.config)
        remember(setup.config)
        remember_environment()
        context = Context(self.state_directory, service.service, setup.environments, self.aws, demands(service))
        opened = [CountedBalancer(open_balancer(point, context), self.called) for point in service.switch_points]
        balancers: dict[str, Balancer] = {balancer.point: balancer for balancer in opened}
        sources = Sources(targets=lambda: _all_targets(balancers), aws=self.aws)

        def checks(configured: list[schema.Check]) -> tuple[Check, ...]:
            return tuple(open_check(_placed(check, service), sources) for check in configured)

        gates = checks(service.gates)
        elsewhere = [gate for gate, one in zip(gates, service.gates, strict=True) if one.kind in _ELSEWHERE]
        return Ports(
            service=service.service,
            environments=tuple(Environment(name, values) for name, values in service.environments.items()),
            balancers=balancers,
            deployer=open_deployer(service.deploy, service.service, self.state_directory),
            smoke=checks(service.smoke),
            smoke_unversioned=frozenset(check.name for check in service.smoke if not needs_version(check)),
            gates=gates,
            guards=checks(service.guards),
            open_guard=lambda check: open_check(_placed(guards.read(check), service), sources),
            health=enough(service.health.minimum),
            health_timeout=service.health.timeout,
            health_every=service.health.every,
            failback_health=enough(service.failback.minimum),
            flags=open_flags(service.flags, FlagSources(service.service, self.aws)) if service.flags else None,
            needs=ServiceNeeds(service, self.notifiers, self.state_directory, elsewhere),
            digest=DigestCheck(service.digest, sources.targets) if service.digest else None,
            warm_every=service.warm.every,
            rights_every=service.warm.rights or service.warm.every,
        )


_ELSEWHERE = ("cloudwatch_alarm", "prometheus")
"""Kinds of gates that answer before the candidate runs: they ask who looks at it."""

MARGIN_SECONDS = 900.0
"""What comes on top of the longest switch: the time in which a person finds out and goes back."""


def demands(service: schema.Service) -> Demands:
    """What a switch of this service takes of its balancers, there and back."""
    waits = (len(service.shift.steps) - 1) * (service.shift.wait or 0.0)
    back = (len(service.failback.steps) - 1) * service.failback.wait + MARGIN_SECONDS
    deploy = service.deploy.timeout if isinstance(service.deploy, schema.CommandDeploy) else service.deploy.ready
    smoke = sum(check.attempts * (check.timeout + check.every) for check in service.smoke)
    longest = deploy + service.health.timeout + smoke + waits + service.bake + back
    approved = service.shift.wait is None and len(service.shift.steps) > 1
    return Demands(longest, enough(service.health.minimum), kept=service.keep_warm, endless=approved, back=back)


def enough(minimum: int | str) -> Enough:
    """`2` or `50%` -> Enough."""
    return Enough(count=minimum) if isinstance(minimum, int) else Enough(share=tenths(minimum))


def _placed(check: schema.Check, service: schema.Service) -> schema.Check:
    """What asks AWS and names no region asks where the service's first elbv2 switch point is."""
    first = next((point for point in service.switch_points if isinstance(point, schema.ElbV2Point)), None)
    if check.kind not in AT_AWS or check.region is not None or first is None:
        return check
    inherited = {"region": first.region, "role": first.role, "profile": first.profile}
    own = {"role": check.role, "profile": check.profile, "endpoint_url": check.endpoint_url}
    inherited["endpoint_url"] = first.endpoint_url
    return check.model_copy(update=inherited | {key: value for key, value in own.items() if value is not None})


async def _all_targets(balancers: Mapping[str, Balancer]) -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
    return {name: await balancer.targets() for name, balancer in balancers.items()}
