"""The shape of the configuration: what may stand in `bluegreen.yaml` and in a service's file.

Types only: reading files and saying where a fault is lives in `load`. Unknown keys are faults. Every default is
printed by `bluegreen schema`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from bluegreen.config.checks import Check as Check
from bluegreen.config.checks import Expect as Expect
from bluegreen.config.checks import Prometheus as Prometheus
from bluegreen.config.evidence import EvidenceCommand as EvidenceCommand
from bluegreen.config.flags import DigestProbe as DigestProbe
from bluegreen.config.flags import FlagSource as FlagSource
from bluegreen.config.freeze import FreezeWindow
from bluegreen.config.model import Model as Model
from bluegreen.config.notify import Notifier as Notifier
from bluegreen.config.units import DURATION, Command, Duration, Minimum, Name, Share, Text, Wait
from bluegreen.config.warm import Warm as Warm
from bluegreen.model import WHOLE, Answer

BLOCKED_SECONDS = 20.0
BLOCKED_SECONDS_MIN = 5.0
"""Less than this is no proof: a busy host, or a slow disk under a page of code, may hold a loop up for seconds."""

# --- switch points ---


class MemoryPoint(Model):
    """A balancer that moves nothing: for tests, for trying a configuration, for dry runs.

    Its weights are mirrored to a small file in the state directory, so that a restart does not look like drift.
    """

    kind: Literal["memory"]
    name: Name | None = None
    weights: dict[Name, Annotated[int, Field(ge=0)]] | None = Field(
        None, description="where it starts; the first environment has everything unless this says otherwise"
    )


class HAProxyPoint(Model):
    """A backend of HAProxy (2.4 or later), over its Runtime API."""

    kind: Literal["haproxy"]
    name: Name | None = None
    socket: str = Field(description="the admin socket: a path, or HOST:PORT")
    backend: str = Field(description="the backend's name in HAProxy's configuration")
    servers: dict[Name, Annotated[list[str], Field(min_length=1)]] = Field(
        description="the names of the backend's servers, by environment"
    )
    state_file: str | None = Field(
        None,
        description="HAProxy's server-state-file: weights are written through to it, since a reload forgets them",
    )
    timeout: Duration = 5.0


class ElbV2Point(Model):
    """A listener's default action, or a rule, of an Application or Network Load Balancer."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["listener"]}, {"required": ["rule"]}]})

    kind: Literal["elbv2"]
    name: Name | None = None
    region: str = Field(description="the region of the load balancer, as in its ARNs: eu-west-1")
    listener: str | None = Field(None, description="a listener's ARN: its default action is the switch point")
    rule: str | None = Field(None, description="a rule's ARN: its action is the switch point")
    target_groups: dict[Name, str] = Field(description="names or ARNs")
    endpoint_url: str | None = None
    role: str | None = Field(None, description="the ARN of a role to assume for this switch point")
    profile: str | None = Field(None, description="a profile of the AWS configuration")
    timeout: Duration = 5.0
    settle: Duration = Field(30.0, description="how long a read may lag behind a write before that is a halt")
    trail: bool = Field(True, description="ask CloudTrail who changed the weights, where that is permitted")

    @model_validator(mode="after")
    def _one_place(self) -> ElbV2Point:
        if (self.listener is None) == (self.rule is None):
            found = "neither `listener` nor `rule`" if self.rule is None else "both `listener` and `rule`"
            raise ValueError(f"found {found}; wanted one of them: a listener's default action, or a rule")
        return self


SwitchPoint = Annotated[MemoryPoint | HAProxyPoint | ElbV2Point, Field(discriminator="kind")]


# --- deployers ---


class Undoable(Model):
    """What the owner of a deploy command says of taking back what it does."""

    reversible: Answer = Field(
        Answer.UNKNOWN, description="whether what it changes beside the environment can be undone"
    )
    undo: Text = Field("", description="how to undo it, in a sentence for the person who has to decide at a halt")


class CommandDeploy(Undoable):
    """A command that brings `{version}` into `{environment}` and exits with 0."""

    kind: Literal["command"]
    run: Command
    timeout: Duration = 600.0
    directory: str | None = Field(None, description="where it runs; the service file's own directory unless given")
    variables: dict[str, str] = Field(default_factory=dict, description="environment variables, secrets by reference")
    idempotent: bool = Field(False, description="may be run again when its outcome is lost")


class ProcessDeploy(Undoable):
    """The daemon starts the environment's processes itself and keeps them running."""

    kind: Literal["process"]
    run: Command
    directory: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    ready: Duration = Field(10.0, description="a process that ends before this is a failed deployment")
    stop_timeout: Duration = 10.0


Deploy = Annotated[CommandDeploy | ProcessDeploy, Field(discriminator="kind")]


# --- a service ---


def _rising(steps: list[int]) -> list[int]:
    if any(step == 0 for step in steps) or any(a >= b for a, b in itertools.pairwise(steps)):
        raise ValueError("steps rise: each must be above the one before, and the first above 0%")
    if steps[-1] != WHOLE:
        raise ValueError("the last step is 100%: a switch ends with all of the traffic on one side")
    return steps


Steps = Annotated[list[Share], Field(min_length=1), AfterValidator(_rising)]


class Shift(Model):
    """How the traffic moves forward."""

    steps: Steps = Field(
        default_factory=lambda: [WHOLE],
        description="shares of the receiving environment, rising to 100%",
        json_schema_extra={"default": ["100%"]},
    )
    wait: Wait = Field(
        0.0,
        description="after each step but the last: a duration, or `approve` for a person's word",
        json_schema_extra={"anyOf": [DURATION, {"const": "approve"}]},
    )


class Failback(Model):
    """How the traffic moves back when an operator says so."""

    steps: Steps = Field(
        default_factory=lambda: [WHOLE],
        description="shares of the receiving environment, rising to 100%",
        json_schema_extra={"default": ["100%"]},
    )
    wait: Duration = 0.0
    minimum: Minimum = Field("50%", description="healthy targets that the receiving environment needs")


class Health(Model):
    """What "healthy" takes, by the balancer's own checks."""

    minimum: Minimum = Field("100%", description="healthy targets that an environment needs to be given traffic")
    timeout: Duration = Field(300.0, description="how long a new release may take to become healthy")
    every: Duration = 2.0


class Service(Model):
    """One service: what stands in `services/NAME.yaml`."""

    service: Name = Field(description="what users deploy; the name in every command")
    environments: Annotated[dict[Name, dict[str, Text]], Field(min_length=2)] = Field(
        description="two or more; each key of theirs can be used as {key} in deploy, smoke, gates and guards"
    )
    switch_points: Annotated[list[SwitchPoint], Field(min_length=1)] = Field(
        description="every place in a load balancer where the service's traffic is divided"
    )
    deploy: Deploy = Field(description="how a release gets into an environment that has no traffic")
    smoke: list[Check] = Field(default_factory=list, description="must pass before the candidate gets traffic")
    shift: Shift = Field(default_factory=Shift)
    gates: list[Check] = Field(default_factory=list, description="looked at all through shift and bake")
    bake: Duration = Field(0.0, description="how long the gates are looked at after the last step")
    keep_warm: Duration = Field(14400.0, description="protected time of the previous environment")
    warm: Warm = Field(default_factory=Warm)
    failback: Failback = Field(default_factory=Failback)
    health: Health = Field(default_factory=Health)
    evidence: list[EvidenceCommand] = Field(
        default_factory=list, description="commands whose output is kept at a halt, beside all that is kept anyway"
    )
    guards: list[Check] = Field(
        default_factory=list, description="extra preflight checks; the built-in ones always run"
    )
    flags: FlagSource | None = Field(None, description="feature flags: a smaller way out than a failback")
    digest: DigestProbe | None = Field(
        None, description="which artifact runs there: asked after deploy, at each shift step and on the warm side"
    )
    freeze: list[FreezeWindow] = Field(
        default_factory=list, description="times in which no new risk is begun, beside the daemon's own"
    )
    depends_on: list[Name] = Field(
        default_factory=list,
        description="services that this one calls: what was deployed of them is in the report on a failback",
    )

    def point_names(self) -> tuple[str, ...]:
        """Every switch point's name, in the file's order: its own, or one made of its kind and place."""
        return tuple(point_name(point) for point in self.switch_points)


def point_name(point: MemoryPoint | HAProxyPoint | ElbV2Point) -> str:
    """A stable name for a switch point that was given none."""
    if point.name:
        return point.name
    match point:
        case HAProxyPoint():
            return f"haproxy-{point.backend}"
        case ElbV2Point():
            arn = point.listener or point.rule or ""
            return f"elbv2-{point.region}-{arn.rsplit('/', 1)[-1]}"
        case MemoryPoint():
            return "memory"


# --- the daemon ---


class State(Model):
    """Where the journal, its lock, the cards and the evidence are kept."""

    directory: str = Field("/var/lib/bluegreen", description="one daemon a directory: it is locked")


class Control(Model):
    """The doors of the control endpoint."""

    socket: str = Field("/run/bluegreen/control.sock", description="the unix socket; who asks is the peer's uid")
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field("0660", description="of the socket, in octal")
    http: Annotated[str, Field(pattern=r"^.+:\d{1,5}$")] | None = Field(
        None, description="loopback HOST:PORT; absent: the unix socket only"
    )
    tokens: dict[Name, str] = Field(
        default_factory=dict,
        description="who may come in by TCP, beside those made by `bluegreen token make`: a name, and a reference",
    )


class Observe(Model):
    """How often the balancers are read between switches."""

    every: Duration = Field(15.0, description="how often each switch point is read")


class Log(Model):
    """Log lines go to standard error."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


def _enough_to_tell(seconds: float) -> float:
    if seconds < BLOCKED_SECONDS_MIN:
        raise ValueError(
            f"wanted {BLOCKED_SECONDS_MIN:g}s at least: a busy host may hold up a sound daemon for seconds"
        )
    return seconds


def _later_and_later(ages: list[float]) -> list[float]:
    if any(a >= b for a, b in itertools.pairwise([0.0, *ages])):
        raise ValueError("ages rise: each must be above the one before, and the first above 0s")
    return ages


class Daemon(Model):
    """What stands in `bluegreen.yaml`."""

    state: State = Field(default_factory=State)
    control: Control = Field(default_factory=Control)
    services: str = Field("services/*.yaml", description="one file a service, relative to this file")
    observe: Observe = Field(default_factory=Observe)
    watchdog: Annotated[Duration, AfterValidator(_enough_to_tell)] = Field(
        BLOCKED_SECONDS, description="blocked for so long, the daemon ends itself, to be started anew; 5s at least"
    )
    log: Log = Field(default_factory=Log)
    notify: list[Notifier] = Field(default_factory=list, description="who is told when a person is awaited")
    escalate: Annotated[list[Duration], Field(min_length=1), AfterValidator(_later_and_later)] = Field(
        default_factory=lambda: [900.0, 3600.0, 14400.0],
        description="ages at which a halt that nobody has claimed is told again, each time to one level more",
        json_schema_extra={"default": ["15m", "1h", "4h"]},
    )
    claim_reminder: Duration = Field(14400.0, description="how often whoever has claimed a halt is reminded")
    freeze: list[FreezeWindow] = Field(
        default_factory=list, description="times in which no new risk is begun, for every service"
    )


class Config(Model):
    """Everything, as read at one moment. `sources` maps a service to its file."""

    file: str
    daemon: Daemon
    services: Mapping[str, Service]
    sources: Mapping[str, str]
