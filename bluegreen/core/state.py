"""What the journal adds up to: a service and its switch, as frozen values. Only `phases.apply` makes new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bluegreen.core.notes import Notes
from bluegreen.errors import BlueGreenError
from bluegreen.model import Cause, Condition, Finding, Kind, Phase, Plan, Release, Role, Warm, Weights


class IllegalTransition(BlueGreenError):
    """A bug, or a journal that no lawful run can have written: stop, leave the traffic alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of weights at one switch point: native before and after, and the split asked for in tenths."""

    expected: Weights
    target: Weights
    split: Weights


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step that has an intent on record and no outcome yet. `unknown`: the process that ran it is gone."""

    step: str
    since: datetime
    point: str | None = None
    change: Change | None = None
    unknown: bool = False

    @property
    def writes(self) -> Mapping[str, Change]:
        """The change of weights that is under way, by its switch point; empty for any other step."""
        return {self.point: self.change} if self.point is not None and self.change is not None else {}


@dataclass(frozen=True, slots=True)
class Halt:
    """Why everything stands still, and since when. `id` is what an answer must name."""

    id: str
    at: datetime
    by: str
    phase: Phase
    cause: Cause
    summary: str
    advice: str
    findings: tuple[Finding, ...]
    output: str
    looked: bool = False
    """What is unknown was looked up, and nothing could be told from it."""

    def failed(self) -> tuple[Finding, ...]:
        """The findings that were not good."""
        return tuple(finding for finding in self.findings if not finding.ok)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a switch did or tried: `outcome` is done, failed, not done or unknown. `since` is when it began,
    where that is on record; `point` and `split` (in tenths) belong to a change of weights."""

    step: str
    outcome: str
    at: datetime
    detail: str = ""
    since: datetime | None = None
    point: str | None = None
    split: Weights | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A switch point's weights on record: as the balancer shows them, and the split they stand for, in tenths."""

    native: Weights
    split: Weights


@dataclass(frozen=True, slots=True)
class Switch:
    """One run from request to end."""

    id: str
    kind: Kind
    service: str
    candidate: str
    source: str
    version: str | None
    artifact: str | None
    plan: Plan
    steps: tuple[int, ...]
    base: Mapping[str, Weights]
    config: str
    config_hash: str
    requested_by: str
    reason: str
    changes: str
    started_at: datetime
    word_at: datetime
    """When a person last said: go on."""
    phase: Phase = Phase.PREFLIGHT
    condition: Condition = Condition.RUNNING
    index: int = 0
    """The shift step that is being taken or waited for, from 0."""
    watched: float = 0.0
    """Seconds of the present wait or bake that were observed with every gate good."""
    approved: int = -1
    """The last shift step that a person approved."""
    awaiting_approval: bool = False
    paused_by: str = ""
    lost: int = 0
    """How many answers to writes were lost since the last write that was made, or the last halt."""
    lost_why: str = ""
    lost_advice: str = ""
    """Why the last one was lost, and what a person has to do before another write can go through; empty: nothing."""
    halts: int = 0
    halt: Halt | None = None
    accepted: frozenset[str] = frozenset()
    proven: bool = False
    """Law 5: the candidate has proven itself for exactly this release (or each failure was accepted by name). A
    restart, a pause and a halt end it: it is proven anew before the next share."""
    word_aged: bool = False
    """Another process has found a failback under way, and the operator's word for it too old to go on with."""
    clock_back: float = 0.0
    """By how many seconds another process has found the clock before the last entry: set back while nobody looked."""
    preflight_at: datetime | None = None
    """When the preflight passed that the deployment begins on."""
    preflight_aged: bool = False
    """It is too old for that: everything is tried again first."""
    open: OpenStep | None = None
    operations: tuple[Operation, ...] = ()
    changed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    exposed_at: datetime | None = None
    """When the candidate was first about to get real requests: the intent of the write that gave it its first share."""
    acknowledged: tuple[str, ...] = ()
    """A failback's: the lines of its report that the operator acknowledged by name."""

    def next_halt(self) -> str:
        """The id that the next halt of this switch gets."""
        return f"{self.id}-h{self.halts + 1}"


@dataclass(frozen=True, slots=True)
class Hand:
    """Who changed a balancer, what by, and when by the provider's clock. `who` is empty where nobody is named; `what`
    says why then."""

    who: str
    what: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """An operator's word on a drift."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Drift:
    """A switch point that shows other weights (native) than the journal says; `what` in place of weights.

    `id` is what an answer must name: a further change is another drift. `good_at` is the last look before it that
    showed what was expected. `left`: an operator leaves it as it is. `refused` is why the last restore wrote nothing.
    """

    point: str
    expected: Weights
    seen: Weights
    at: datetime
    id: str = ""
    what: str = ""
    good_at: datetime | None = None
    hands: tuple[Hand, ...] = ()
    left: Word | None = None
    refused: str = ""

    @property
    def shows(self) -> str:
        """What the switch point shows, in words."""
        if self.what:
            return self.what
        return f"shows {self.seen}" if self.seen.total else "shows no weight for anybody"

    def is_same(self, seen: Weights, what: str) -> bool:
        """Whether a look found nothing new."""
        return self.what == what and self.seen.same_split(seen)


@dataclass(frozen=True, slots=True)
class Writing:
    """A restoring write with an intent on record and no outcome. `lost` is why its answer was lost; it is empty where
    the process that made it has ended, or still waits for the answer."""

    point: str
    change: Change
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Restore:
    """An operator's order to put switch points back to what the journal says.

    `shown` are the points that are still to be put back, with the weights (native) that the order was given for.
    `unread` are writes that nobody could look up yet.
    """

    word: Word
    shown: Mapping[str, Weights]
    writing: Writing | None = None
    unread: Mapping[str, Change] = field(default_factory=dict)

    @property
    def in_doubt(self) -> Mapping[str, Change]:
        """Writes that may or may not have been made."""
        return {**self.unread, **({self.writing.point: self.writing.change} if self.writing is not None else {})}


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Everything that is known of a service from its journal. `version` is the number of its entries, `at` the time of
    the last one."""

    service: str
    version: int = 0
    at: datetime | None = None
    live: str | None = None
    points: Mapping[str, Point] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    warm: Mapping[str, Warm] = field(default_factory=dict)
    """In the order in which they ceased to be live: times may go back, the order of entries does not."""
    drift: Mapping[str, Drift] = field(default_factory=dict)
    restore: Restore | None = None
    """The operator's order that is being carried out, or that left something unknown."""
    unsettled: Mapping[str, Change] = field(default_factory=dict)
    """Writes whose outcome is unknown, by switch point: to be looked up before anything else."""
    distrust: str = ""
    """Why the journal itself is not to be believed; empty where it is."""
    receipts: frozenset[str] = frozenset()
    """Receipts of failbacks from a card that are in this journal."""
    switch: Switch | None = None
    """The open switch, or the last one that ended."""
    past: tuple[Switch, ...] = ()
    """Ended switches before that one, oldest first; the last PAST_MAX."""
    notes: Notes = field(default_factory=Notes)
    """What is on record beside the way of a switch."""
    keys: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """Idempotency-Key -> (digest of the request, the switch that it led to); the last KEYS_MAX."""

    @property
    def in_doubt(self) -> Mapping[str, Change]:
        """Writes that may or may not have been made: unsettled, or under way."""
        under_way = self.open_switch.open if self.open_switch is not None else None
        restoring = self.restore.in_doubt if self.restore is not None else {}
        return {**self.unsettled, **restoring, **(under_way.writes if under_way is not None else {})}

    @property
    def open_switch(self) -> Switch | None:
        """The switch that holds the service, if one does."""
        return self.switch if self.switch is not None and self.switch.condition.is_open else None

    def share(self, environment: str) -> int:
        """The environment's largest share over all switch points, in tenths of a percent."""
        return max((point.native.share(environment) for point in self.points.values()), default=0)

    def role(self, environment: str) -> Role:
        """What the environment is at present."""
        if environment == self.live:
            return Role.LIVE
        if (switch := self.open_switch) is not None and environment == switch.candidate:
            return Role.CANDIDATE
        return Role.WARM if environment in self.warm else Role.IDLE

    def may_touch(self, environment: str) -> bool:
        """Whether what runs there may be started again: what failed stays as it is until a person decides (law 7)."""
        switch = self.open_switch
        return not (switch and switch.condition is Condition.HALTED and switch.candidate == environment)

    def last_warm(self) -> Warm | None:
        """The environment that a failback would go to: the one that was live last."""
        return next(reversed(list(self.warm.values())), None)


PAST_MAX = 200
KEYS_MAX = 500
