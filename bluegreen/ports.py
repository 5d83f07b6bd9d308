"""The Protocols that the shell plugs in. The engine and its steps know these and nothing behind them.

Contracts hold for every implementation and are tested by one suite for each Protocol:
* every call ends within its own deadline;
* reads are live, never cached;
* a write is sent once; what cannot be known is raised as OutcomeUnknown, never guessed;
* only the errors named here leave a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from bluegreen.core.events import Entry, Record
from bluegreen.core.failback_facts import Clients
from bluegreen.core.readiness import Readiness
from bluegreen.core.state import Hand
from bluegreen.errors import BlueGreenError
from bluegreen.model import Finding, Plan, Target, Weights


class Clock(Protocol):
    """Wall time for records, and sleeping. Deadlines are the event loop's (monotonic) time."""

    def now(self) -> datetime:
        """The time, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on monotonic time."""
        ...


class Balancer(Protocol):
    """One switch point. Weights are the balancer's own numbers; only their ratio has a meaning to the caller."""

    @property
    def point(self) -> str:
        """The switch point's name, unique in its service."""
        ...

    @property
    def kind(self) -> str:
        """The kind of the balancer, as in the configuration."""
        ...

    @property
    def settle(self) -> float:
        """Seconds that a read may lag behind a write: before they are over, an old value proves nothing."""
        ...

    def native(self, split: Weights) -> Weights:
        """The numbers that this balancer will show for a split in tenths of a percent. Pure.

        Raises Rejected where the balancer cannot express the split (never by giving 0 to a share above 0).
        """
        ...

    async def read(self) -> Weights:
        """The weights as they are now, for every configured environment. Raises Unreachable, AccessDenied, Rejected."""
        ...

    async def write(self, expected: Weights, target: Weights) -> None:
        """Change the weights from `expected` to `target`, both native; raise before lowering; sent once.

        Reads first and raises Drifted, writing nothing, when the balancer does not show the split of `expected`.
        Returns when the balancer has acknowledged. Raises Unreachable, Throttled, AccessDenied, Rejected (all:
        surely nothing changed) or OutcomeUnknown.
        """
        ...

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """Every environment's targets with their health as the balancer sees it. Raises as `read` does."""
        ...

    async def examine(self) -> tuple[Finding, ...]:
        """What a preflight must know: reachable, permitted, well configured. Never raises BalancerError."""
        ...

    async def trace(self, since: datetime) -> tuple[Hand, ...] | None:
        """Who changed the weights since then, oldest first, as far as is told yet; None where the provider tells
        nothing. Raises as `read` does."""
        ...

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        """Whether clients stay with the side that served them, and how many requests each environment got from then
        to `now` (None: never mind). What the balancer does not tell is None in it. Raises as `read` does."""
        ...

    async def served(self) -> Mapping[str, int] | None:
        """How many requests (connections, where it balances those) each environment was given since a time of the
        balancer's own; None where it counts none so. Raises as `read` does."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """The values that placeholders stand for: `{service} {environment} {version} {artifact} {url}` and the
    environment's own keys."""

    service: str
    environment: str
    version: str | None
    artifact: str | None
    values: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> dict[str, str]:
        """Every placeholder with its value. `version` is missing where it is not known, `artifact` is empty then."""
        known = {**self.values, "service": self.service, "environment": self.environment}
        if self.version is not None:
            known["version"] = self.version
        known["artifact"] = self.artifact or ""
        return known


@dataclass(frozen=True, slots=True)
class DeployOutcome:
    """What a deployer says. `output` is the bounded end of what the command printed; `detail` are named facts."""

    ok: bool
    summary: str
    output: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


NOT_ENDED: Mapping[str, str] = MappingProxyType({"ended": "no"})
"""The detail of a deployment that was cancelled, and of which something may still run."""


def not_ended(why: str) -> DeployOutcome:
    """Its outcome."""
    return DeployOutcome(False, why, detail=NOT_ENDED)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a deployment that another process began. `started` False: surely nothing was ever started;
    `outcome` None though it was started: lost, and nothing of it runs any more."""

    outcome: DeployOutcome | None
    started: bool


class Needs(Protocol):
    """What a switch needs beside its balancers, its deployer and its checks: of the host, of the people to be told."""

    async def look(self, scenes: Sequence[Scene]) -> tuple[Finding, ...]:
        """Look at all of it, for all of these environments. Changes nothing."""
        ...


Alive = Callable[[str], None]
"""Told about once a second while the deployment's process lives: "process 4711 runs for 12 s"."""


class Deployer(Protocol):
    """Brings a release into an environment that has no traffic."""

    async def deploy(self, scene: Scene, run: str, alive: Alive) -> DeployOutcome:
        """Bring `scene.version` into `scene.environment`. Ends within its own deadline. `run` names this one attempt.

        When cancelled, ends everything it has started before it lets go, unless `leave` was called; where something
        could not be ended it returns that as a failure, cancelled or not. Never raises for an expected failure.
        """
        ...

    async def find(self, scene: Scene, run: str, alive: Alive) -> Found:
        """What became of that attempt: waits, within its deadline, for one that still runs. Starts nothing.

        When cancelled, as `deploy`.
        """
        ...

    def leave(self) -> None:
        """From here on being cancelled ends nothing that `find` can find again: this process ends, its work goes on."""
        ...

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """What a preflight must know: the command exists, may be run, and so on. Changes nothing."""
        ...

    async def keep(self, may_touch: Callable[[str], bool]) -> None:
        """Keep what was deployed running, until cancelled; returns at once where there is nothing to keep.

        `may_touch` says of an environment whether it may be started again now: a halted candidate may not (law 7).
        """
        ...

    async def close(self) -> None:
        """Let go. Idempotent."""
        ...


class Check(Protocol):
    """A smoke check, a gate or a guard: looks at one thing and says what it saw."""

    @property
    def name(self) -> str:
        """The name that an operator accepts it by."""
        ...

    @property
    def every(self) -> float:
        """Seconds between looks, where the check is looked at again and again (a gate)."""
        ...

    async def look(self, scene: Scene) -> Finding:
        """Look once, all attempts included. Never raises for an expected failure; "no data" is not ok."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class Flags(Protocol):
    """Where a service's feature flags are. Values are short texts: `on`, `off`, or the flag's value."""

    @property
    def place(self) -> str:
        """Where people set them, in words, without secrets."""
        ...

    @property
    def writable(self) -> bool:
        """Whether `write` can set them at all."""
        ...

    @property
    def settle(self) -> float:
        """Seconds that a write whose answer was lost may still take effect: before, an old value proves nothing."""
        ...

    @property
    def every(self) -> float:
        """Seconds between readings, where they are read again and again."""
        ...

    async def read(self) -> Mapping[str, str]:
        """Every flag as it is served now. Raises Unreachable, Throttled, AccessDenied, Rejected."""
        ...

    async def write(self, name: str, value: str, expected: str) -> None:
        """Set a flag, once, where it shows `expected`.

        Raises Rejected where it shows something else, and Unreachable, Throttled, AccessDenied (all: surely nothing
        changed), or OutcomeUnknown.
        """
        ...

    async def examine(self) -> tuple[Finding, ...]:
        """Whether they can be read now. Never raises BalancerError."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class Store(Protocol):
    """The journal: append-only streams, one a service, in one hash chain."""

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        """Append all of `records` or none, durably, on top of version `expected` of the service's stream.

        Raises VersionConflict (nothing written), NotWritten (surely not written; it may be tried again),
        AppendUnknown (end the process, open again, read).
        """
        ...

    async def read(self, service: str | None = None, after: int = 0, limit: int | None = None) -> tuple[Entry, ...]:
        """Entries with a sequence number above `after`, oldest first, of one service or of all."""
        ...

    @property
    def trouble(self) -> Finding | None:
        """What ails the journal, as of the last append or look: while it is there, nothing but a failback goes on.
        None where all is well."""
        ...

    async def writable(self) -> Finding:
        """Look whether an append would be taken now, and a deployment may start. Writes no entry."""
        ...

    async def close(self) -> None:
        """Close; the lock is let go of. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """One of a service's environments, with its file's values."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Enough:
    """How many healthy targets are enough: a count, or a share of those registered in tenths of a percent."""

    count: int = 1
    share: int = 0

    def of(self, registered: int) -> int:
        """The number wanted of so many; at least one."""
        return max(self.count, -(-registered * self.share // 1000), 1)


def opens_no_guard(check: str) -> Check:
    """Where guards on record cannot be opened: that is said, never passed over."""
    raise BlueGreenError("guards on record cannot be opened here")


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the steps of one service reach the world by, opened from one configuration."""

    service: str
    environments: tuple[Environment, ...]
    balancers: Mapping[str, Balancer]
    deployer: Deployer
    smoke: tuple[Check, ...]
    smoke_unversioned: frozenset[str]
    """Names of the smoke checks that need no version: what can be asked of an environment whose release is unknown."""
    gates: tuple[Check, ...]
    guards: tuple[Check, ...]
    health: Enough
    health_timeout: float
    health_every: float
    failback_health: Enough
    open_guard: Callable[[str], Check] = opens_no_guard
    """Opens a guard that is on record, from its configuration as JSON. Raises BlueGreenError."""
    flags: Flags | None = None
    needs: Needs | None = None
    digest: Check | None = None
    """Asks an environment which artifact it runs; its finding's detail is `checks.digest`'s."""
    warm_every: float = 30.0
    """Seconds between the looks at an environment that a failback would go to."""
    rights_every: float = 30.0
    """Seconds between the looks at the right to write weights there."""
    readiness: Mapping[str, Readiness] = field(default_factory=dict)
    """What was proven of it last, by environment; nothing where nobody does so."""

    def scene(self, environment: str, version: str | None, artifact: str | None) -> Scene:
        """What placeholders stand for in that environment."""
        values = next(one.values for one in self.environments if one.name == environment)
        return Scene(self.service, environment, version, artifact, values)

    async def close(self) -> None:
        """Let go of everything."""
        for balancer in self.balancers.values():
            await balancer.close()
        for check in (*self.smoke, *self.gates, *self.guards):
            await check.close()
        for port in (self.deployer, self.flags, self.digest):
            if port is not None:
                await port.close()


@dataclass(frozen=True, slots=True)
class Setup:
    """One service as configured at one moment: what the core needs of it, and the text that restores all of it."""

    service: str
    environments: tuple[str, ...]
    deployment: Plan
    failback: Plan
    config: str
    config_hash: str
    depends_on: tuple[str, ...] = ()


class Workshop(Protocol):
    """Turns configuration into ports. `restore` gives back the setup that a running switch started with."""

    def restore(self, config: str) -> Setup:
        """The setup that the text was written down from. Raises ConfigError."""
        ...

    def open(self, setup: Setup) -> Ports:
        """Ports for it; nothing is contacted yet. Raises ConfigError."""
        ...


Publish = Callable[[Entry], None]
"""What the engine calls with each entry once it is durable and applied: log line, metrics, live streams."""
