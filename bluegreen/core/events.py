"""What happened: the entries of the journal. The journal is the state; everything else is folded from these.

An event's `kind` and its fields are on disk in users' journals: they are only ever added to. SCHEMA counts the changes
that an older program would misread; a journal with a higher number is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bluegreen.core.drift_events import DriftLeft as DriftLeft
from bluegreen.core.drift_events import DriftTraced as DriftTraced
from bluegreen.core.drift_events import OfDrift as OfDrift
from bluegreen.core.drift_events import RestoreAsked as RestoreAsked
from bluegreen.core.drift_events import Restored as Restored
from bluegreen.core.drift_events import RestoreLost as RestoreLost
from bluegreen.core.drift_events import RestoreRefused as RestoreRefused
from bluegreen.core.drift_events import RestoreStarted as RestoreStarted
from bluegreen.core.drift_events import RestoreUnmade as RestoreUnmade
from bluegreen.core.drift_events import RestoreUnread as RestoreUnread
from bluegreen.core.event import Event as Event
from bluegreen.model import Cause, Finding, Kind, Phase, Plan, Weights

SCHEMA = 1


# --- the service ---


@dataclass(frozen=True, slots=True)
class Baseline(Event):
    """What the balancers show is taken as the truth: at first sight, or because an operator adopted it.

    `live` is the one environment with all traffic on every switch point.
    """

    live: str
    weights: Mapping[str, Weights]


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    """An operator takes what these switch points show for the truth; or a switch point is new in the configuration
    and agrees with the rest."""

    weights: Mapping[str, Weights]


@dataclass(frozen=True, slots=True)
class DriftSeen(Event):
    """A switch point shows other weights (native) than the journal says.

    `what` is what the balancer says in place of weights (the listener is gone, a foreign target group has traffic);
    `seen` is empty then. `good_at` is the last look that showed what was expected, where this process made one.
    """

    point: str
    expected: Weights
    seen: Weights
    what: str = ""
    good_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftGone(Event):
    """The switch point shows again what the journal says; nobody here had a hand in it."""

    point: str


@dataclass(frozen=True, slots=True)
class PointForgotten(Event):
    """The switch point is no longer in the service's configuration."""

    point: str


@dataclass(frozen=True, slots=True)
class WarmReleased(Event):
    """An operator let a warm environment go."""

    environment: str


@dataclass(frozen=True, slots=True)
class CardTaken(Event):
    """An operator took a card for the truth, because the journal could not be had: `live` is about to be left, `warm`
    is to get the traffic; the balancers show `weights` (native), which the card allows. `card` is its digest."""

    receipt: str
    card: str
    live: str
    warm: str
    weights: Mapping[str, Weights]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Distrusted(Event):
    """The journal is older than the service's card: entries are missing. An operator has to look and to adopt."""

    why: str


@dataclass(frozen=True, slots=True)
class ClockMoved(Event):
    """The wall clock was moved by so many seconds against the time that passed: it was set, or the host slept.

    Entries before it are by the old time. What is protected stays protected for as long as it would have been.
    """

    seconds: float


# --- a switch: asked for ---


@dataclass(frozen=True, slots=True)
class Requested(Event):
    """A switch begins. `base` are the weights on record at that moment; `config` is the service's configuration as
    JSON with its secrets as references: a running switch keeps the one it started with.

    `source` is the environment that the traffic leaves. `version` is None for a failback to an environment whose
    version was never recorded.
    """

    switch_kind: Kind
    candidate: str
    source: str
    version: str | None
    artifact: str | None
    plan: Plan
    base: Mapping[str, Weights]
    config: str
    config_hash: str
    replace_warm: bool = False
    changes: str = ""
    """The change manifest that came with the release, as JSON; empty where none was given."""
    acknowledged: tuple[str, ...] = ()
    """A failback's: the lines of its report that the operator acknowledged by name."""


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """An operator asked for a planned wait."""


@dataclass(frozen=True, slots=True)
class ApprovalAwaited(Event):
    """The plan wants a person's word before the next shift step."""


@dataclass(frozen=True, slots=True)
class Approved(Event):
    """The person's word."""


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """An operator lets the switch go on; a failed step really runs again."""


@dataclass(frozen=True, slots=True)
class Promoted(Event):
    """An operator skips the remaining shift steps: everything now."""


@dataclass(frozen=True, slots=True)
class CheckAccepted(Event):
    """An operator goes past one named failed check; the reason is on the entry."""

    check: str


@dataclass(frozen=True, slots=True)
class Aborted(Event):
    """An operator ended the switch while its candidate had no traffic."""


@dataclass(frozen=True, slots=True)
class FailedBack(Event):
    """An operator's failback takes over from this switch."""

    by_switch: str


@dataclass(frozen=True, slots=True)
class Superseded(Event):
    """A newer deployment takes over from this halted switch."""

    by_switch: str


# --- a switch: done ---


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """The intent before an effect or a look. The rest belongs to a change of weights: `expected` and `target` are
    native, `split` is what is asked for, in tenths of a percent."""

    step: str
    point: str | None = None
    expected: Weights | None = None
    target: Weights | None = None
    split: Weights | None = None


@dataclass(frozen=True, slots=True)
class PreflightPassed(Event):
    """Everything that the way forward needs was tried."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmProven(Event):
    """A failback's preflight: the receiving environment can take the traffic."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployed(Event):
    """The deployer says that the release is in the candidate environment."""

    summary: str
    output: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeployNotMade(Event):
    """A deployment whose process was lost was looked for: it was never started, or may be made again. It is, then."""

    reason: str


@dataclass(frozen=True, slots=True)
class BecameHealthy(Event):
    """Enough of the candidate's targets are healthy on every switch point."""

    summary: str


@dataclass(frozen=True, slots=True)
class SmokePassed(Event):
    """Every smoke check passed against the candidate, or was accepted by name."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightsSet(Event):
    """The balancer was read back and shows `weights` (native) for `split`. `recovered`: found so by looking it up."""

    point: str
    weights: Weights
    split: Weights
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class WeightsUnchanged(Event):
    """A write whose outcome was unknown was looked up: it was not made."""

    point: str


@dataclass(frozen=True, slots=True)
class OutcomeLost(Event):
    """A write was sent and its answer was lost: unknown until it is looked up. `advice` is set where a person has to
    do something before another one can go through."""

    point: str
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Watched(Event):
    """The wait after a shift step, or the bake, was observed for so many more seconds, with every gate good."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StepReached(Event):
    """A shift step is done: all switch points show it and its wait is over. `index` counts from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Shifted(Event):
    """The candidate has all of the traffic on every switch point."""


@dataclass(frozen=True, slots=True)
class Baked(Event):
    """The bake was observed to its end."""


@dataclass(frozen=True, slots=True)
class KeptWarm(Event):
    """The deployment is complete; the previous environment is warm and protected until then."""

    environment: str | None
    protected_until: datetime | None


# --- a switch: stopped ---


@dataclass(frozen=True, slots=True)
class Halted(Event):
    """Something is wrong or unknown, or an operator stopped the line: everything stays where it is.

    `closes_step`: the step that was under way has ended, in failure; without it, the step's outcome is still to
    come, or unknown. `error` is the class of what failed where no check has a name for it: `exit_3`, `access_denied`.
    `looked`: what is unknown was looked up just now, and nothing could be told from it.
    """

    halt: str
    phase: Phase
    cause: Cause
    summary: str
    advice: str = ""
    findings: tuple[Finding, ...] = ()
    output: str = ""
    closes_step: bool = False
    error: str = ""
    looked: bool = False


@dataclass(frozen=True, slots=True)
class Restarted(Event):
    """A new process took over the journal while the switch was open. A step that was under way has no outcome yet."""

    pid: int


# --- the envelope ---


@dataclass(frozen=True, slots=True)
class Record:
    """An event with who, what, when and why, before it is appended. `id` is unique; `key` is the client's
    Idempotency-Key with the request's digest, where one was given."""

    id: str
    at: datetime
    service: str
    switch: str | None
    by: str
    event: Event
    reason: str = ""
    key: str | None = None
    key_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A durable record: `seq` counts all entries, `version` those of the service; `hash` chains them."""

    seq: int
    version: int
    record: Record
    hash: str

    @property
    def event(self) -> Event:
        return self.record.event
