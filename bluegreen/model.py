"""The nouns: frozen values that every other room speaks in. No behaviour beyond their own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

WHOLE = 1000
"""All of the traffic, in tenths of a percent: the finest step that a balancer offers is 0.1 %."""


def percent(tenths: int) -> str:
    """`55` -> `5.5%`; `1000` -> `100%`."""
    return f"{Decimal(tenths) / 10:f}%".replace(".0%", "%")


class Kind(StrEnum):
    """What a switch is for. Values are in journals and metrics: they never change."""

    DEPLOYMENT = "deployment"
    FAILBACK = "failback"


class Phase(StrEnum):
    """Where in its way a switch stands. Values are in journals and metrics: they never change."""

    PREFLIGHT = "preflight"
    DEPLOY = "deploy"
    WAIT_HEALTHY = "wait_healthy"
    SMOKE = "smoke"
    SHIFT = "shift"
    BAKE = "bake"
    KEEP_WARM = "keep_warm"
    ENDED = "ended"


class Condition(StrEnum):
    """How a switch fares. The first three are open; the others are ends."""

    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    COMPLETED = "completed"
    ABORTED = "aborted"
    FAILED_BACK = "failed_back"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether the switch still holds its service."""
        return self in (Condition.RUNNING, Condition.PAUSED, Condition.HALTED)


class Role(StrEnum):
    """What an environment is at present."""

    LIVE = "live"
    IDLE = "idle"
    CANDIDATE = "candidate"
    WARM = "warm"


class Answer(StrEnum):
    """What somebody says of a thing that nobody can see. Values are in journals and files: they never change."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a switch was halted. Values are in journals and metrics: they never change."""

    CHECK_FAILED = "check_failed"
    GATE_FAILED = "gate_failed"
    UNHEALTHY = "unhealthy"
    DEPLOY_FAILED = "deploy_failed"
    PREFLIGHT_FAILED = "preflight_failed"
    DRIFT = "drift"
    BALANCER_REFUSED = "balancer_refused"
    BALANCER_UNREACHABLE = "balancer_unreachable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERRUPTED = "interrupted"
    OPERATOR = "operator"
    BUG = "bug"
    CARD = "card"
    DISK_FULL = "disk_full"
    WRONG_ARTIFACT = "wrong_artifact"
    WITHOUT_DAEMON = "without_daemon"


CAUSE_CLASSES = (
    "credentials", "dependency", "artifact", "migration", "configuration", "capacity", "network", "balancer",
    "check_itself", "human", "unknown",
)  # fmt: skip
"""What a halt may have come from, as the person says who has looked. In journals: only ever added to."""


@dataclass(frozen=True, slots=True)
class Weights(Mapping[str, int]):
    """Weights of one switch point by environment, in whatever whole numbers the balancer counts.

    Only ratios matter: `{blue: 1, green: 0}` is the same split as `{blue: 100, green: 0}`. A split asked for is
    given in tenths of a percent and adds up to `WHOLE`.
    """

    items_: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, weights: Mapping[str, int]) -> Weights:
        """Build from a mapping. Raises ValueError for a negative weight."""
        if any(weight < 0 for weight in weights.values()):
            raise ValueError(f"a weight is never negative: {dict(weights)}")
        return cls(tuple(sorted(weights.items())))

    @property
    def total(self) -> int:
        """The sum; 0 means that no environment gets traffic."""
        return sum(weight for _, weight in self.items_)

    def share(self, environment: str) -> int:
        """The environment's part in tenths of a percent, rounded; never rounded to none or to all."""
        weight, total = self.get(environment, 0), self.total
        if weight == 0 or total == 0:
            return 0
        if weight == total:
            return WHOLE
        exact = (Decimal(weight) * WHOLE / total).quantize(Decimal(1), ROUND_HALF_EVEN)
        return min(max(int(exact), 1), WHOLE - 1)

    def same_split(self, other: Weights) -> bool:
        """Whether both divide the traffic alike, whatever their scale."""
        if self.items_ == other.items_:
            return True
        total, others = self.total, other.total
        if not total or not others:
            return total == others
        return all(self.get(n, 0) * others == other.get(n, 0) * total for n in {*self, *other})

    def __getitem__(self, environment: str) -> int:
        for name, weight in self.items_:
            if name == environment:
                return weight
        raise KeyError(environment)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items_)

    def __len__(self) -> int:
        return len(self.items_)

    def __str__(self) -> str:
        return " ".join(f"{name} {percent(self.share(name))}" for name, _ in self.items_)


class TargetState(StrEnum):
    """A target's health as its balancer sees it. Only `healthy` is healthy: no data is not good."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INITIAL = "initial"
    DRAINING = "draining"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """One server behind a switch point. `in_flight` is the number of requests or sessions now, where it is told."""

    id: str
    state: TargetState
    reason: str = ""
    in_flight: int | None = None


UNPROVEN = "unproven"
"""In the detail of a finding that nothing speaks against, but that nobody could ask either. It holds nothing up, and no
report calls it safe."""

FOR_A_FAILBACK = "for a failback"
"""In the detail of a failed finding that keeps only what goes forward from beginning: what it says of a failback."""

UNANSWERED = "unanswered"
"""In the detail of a check's finding: what it asks gave no answer, so that it says nothing of any environment."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at one thing gave: a check, a gate, a guard, or one line of the preflight.

    `acceptable` says whether an operator may go past it by name, with a reason. What keeps traffic safe by itself
    (weights, health, drift) is not acceptable.
    """

    check: str
    ok: bool
    summary: str
    advice: str = ""
    acceptable: bool = False
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> bool:
        """Whether it is known to be good; not, where it only counts as good (see UNPROVEN)."""
        return self.ok and UNPROVEN not in self.detail


@dataclass(frozen=True, slots=True)
class Release:
    """What runs in an environment. `version` is None where nobody told the daemon."""

    version: str | None
    artifact: str | None = None
    since: datetime | None = None
    switch: str | None = None


@dataclass(frozen=True, slots=True)
class Warm:
    """An environment that was live before and is kept running, so that an operator can fail back to it."""

    environment: str
    since: datetime
    protected_until: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What a switch will do: the part of the configuration that the core decides by. Pinned when the switch starts.

    `steps` are the candidate's shares in tenths of a percent, rising, ending at WHOLE. `wait_seconds` is the time
    after each step but the last; None means a person's approval. Times are in seconds. `deploy_again`: the deploy
    command may be run again when its outcome is lost. `deploy_reversible` and `deploy_undo`: what the deploy command's
    owner says of taking it back.
    """

    points: tuple[str, ...]
    steps: tuple[int, ...]
    wait_seconds: float | None = 0.0
    bake_seconds: float = 0.0
    keep_warm_seconds: float = 0.0
    deploy_again: bool = False
    deploy_reversible: Answer = Answer.UNKNOWN
    deploy_undo: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `uid:0(root)`, `token:ci`, `daemon`. Every entry of the journal carries one."""

    name: str

    def __str__(self) -> str:
        return self.name


DAEMON = Actor("daemon")
