"""What must be true of every journal, whoever wrote it: read entry by entry, with an account of its own.

Used on random histories of the core, on the simulator's histories, and on the journals of real daemons. It does not
fold with the product's own tables: a bug there must be seen here. What is broken raises LawBroken with the law's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bluegreen.core import events as ev
from bluegreen.model import WHOLE, Cause, Kind, Weights
from tests.law import Law, LawBroken, broken, real
from tests.plan_laws import PlanLaws

__all__ = ["DAEMON", "JournalLaws", "Law", "LawBroken", "broken", "check_journal", "real"]

DAEMON = "daemon"
WORD_SECONDS = 900.0
"""How old the word for a failback may be, for another process to go on with it."""

PERSONS = (
    ev.Requested | ev.Paused | ev.Resumed | ev.Approved | ev.Promoted | ev.CheckAccepted | ev.Aborted | ev.FailedBack
    | ev.Superseded | ev.WarmReleased | ev.RestoreAsked | ev.DriftLeft
)  # fmt: skip
"""What only a person decides."""
REASONED = ev.CheckAccepted | ev.FailedBack | ev.RestoreAsked | ev.DriftLeft
FOUND = (Cause.CHECK_FAILED, Cause.GATE_FAILED, Cause.UNHEALTHY, Cause.PREFLIGHT_FAILED)
"""Halts by what a look has found: they say what that was."""


class JournalLaws:
    """Reads one service's entries in order."""

    def __init__(self) -> None:
        self.switch: str | None = None
        """The open switch; None where none is."""
        self.last: str | None = None
        """The switch that began last, open or not."""
        self.kind: Kind | None = None
        self.candidate = ""
        self.halted = False
        self.waiting = False
        """Paused, or an approval is awaited."""
        self.proven = False
        self.points: dict[str, Weights] = {}
        """Native weights on record."""
        self.intents: dict[str, Weights] = {}
        """Writes that have an intent and no outcome, with what they ask for."""
        self.aims: dict[str, str] = {}
        """Whom each of them gives more to."""
        self.open_write: str | None = None
        """The one of them that is under way."""
        self.ordered: dict[str, Weights] = {}
        """What an operator ordered to be restored, by point, on top of what."""
        self.restoring: dict[str, Weights] = {}
        """Restoring writes that have an intent and no outcome, with what they ask for."""
        self.unread: dict[str, Weights] = {}
        """Those that could not be looked up: there it waits, elsewhere it may go on."""
        self.deploying = False
        self.deploy_owed = False
        """A deployment was under way when its process was lost: nobody knows what became of it."""
        self.again = False
        self.plan_points: tuple[str, ...] = ()
        self.source = ""
        self.halt: str | None = None
        """The id of the present halt."""
        self.releases: dict[str, str | None] = {}
        """What was deployed to each environment, as far as this journal says."""
        self.version: str | None = None
        self.took_over = False
        """The last switch was ended by the one that begins next."""
        self.plan = PlanLaws()
        self.word_at: datetime | None = None
        """When a person last said: go on."""
        self.word_aged = False
        self.warm: dict[str, datetime] = {}
        """Until when each environment that was live before is protected."""

    def entry(self, record: ev.Record) -> None:
        """One entry further."""
        if not record.by:
            broken(Law.NAMED, f"{type(record.event).__name__} by nobody")
        if isinstance(record.event, PERSONS) and record.by == DAEMON:
            broken(Law.NAMED, f"{type(record.event).__name__} by the daemon: only a person decides that")
        if isinstance(record.event, REASONED) and not record.reason:
            broken(Law.NAMED, f"{type(record.event).__name__} by {record.by} has no reason")
        self._leaves_a_halt(record)
        self._words(record)
        self.plan.entry(record)
        match record.event:
            case ev.Requested():
                self._begins(record, record.event)
            case ev.Aborted() | ev.FailedBack() | ev.Superseded() | ev.KeptWarm():
                self._ends(record)
            case ev.Halted():
                self._halts(record)
            case ev.Paused() | ev.ApprovalAwaited():
                self.waiting = True
            case ev.Resumed() | ev.Promoted() | ev.Approved():
                self.proven &= not (self.halted or self.waiting)
                self.halted = self.waiting = False
                self.halt = None
            case ev.Restarted():
                self.proven, self.open_write = False, None
                self.deploy_owed |= self.deploying
                self.deploying = False
            case (
                ev.PreflightPassed(findings=found) | ev.SmokePassed(findings=found) | ev.WarmProven(findings=found)
            ) if bad := [one.check for one in found if not one.ok]:
                broken(Law.PROVEN, f"{type(record.event).__name__} of {self.switch} with {bad}")
            case ev.Adopted(weights=weights) if record.by == DAEMON and (known := weights.keys() & self.points.keys()):
                broken(Law.COMPARED, f"what is shown at {sorted(known)} is taken for the truth, and nobody said so")
            case _:
                self._restores(record.event)
                self._weights(record.event)
                self._holds(record.event)
                self._warms(record)

    def _restores(self, event: ev.Event) -> None:
        match event:
            case ev.RestoreAsked(shown=shown):
                self.ordered.update(shown)
            case ev.RestoreStarted(point=point, shown=shown, target=target):
                if point not in self.ordered or not self.ordered[point].same_split(shown):
                    broken(Law.COMPARED, f"{point} is restored from {shown}; ordered was {self.ordered.get(point)}")
                if not target.same_split(self.points[point]):
                    broken(Law.COMPARED, f"{point} is restored to {target}, on record is {self.points[point]}")
                if self.restoring or self.intents:
                    broken(Law.INTENT_FIRST, f"{point} is restored while an outcome is unknown")
                self.restoring[point] = target
            case ev.Restored(point=point, weights=weights):
                if not weights.same_split(self.restoring.get(point, weights)) or point not in self.restoring:
                    broken(Law.INTENT_FIRST, f"{point} is called restored to {weights}: {self.restoring}")
                self.points[point] = weights
                del self.restoring[point]
            case ev.RestoreRefused(point=point) | ev.RestoreUnmade(point=point):
                self.restoring.pop(point, None)
            case ev.RestoreUnread(point=point) if point in self.restoring:
                self.unread[point] = self.restoring.pop(point)
            case ev.RestoreLost(point=point) if point in self.unread:
                self.restoring[point] = self.unread.pop(point)
            case _:
                pass

    def _leaves_a_halt(self, record: ev.Record) -> None:
        leaves = ev.Resumed | ev.Promoted | ev.Aborted | ev.FailedBack | ev.Superseded | ev.KeptWarm | ev.CheckAccepted
        if self.halted and isinstance(record.event, leaves) and record.by == DAEMON:
            broken(Law.HALT_HOLDS, f"{type(record.event).__name__} by the daemon ends a halt of {self.switch}")
        if self.halted and isinstance(record.event, ev.StepStarted):
            broken(Law.HALT_HOLDS, f"{record.event.step} begins while {self.switch} is halted")

    def _begins(self, record: ev.Record, event: ev.Requested) -> None:
        if self.switch is not None:
            broken(Law.ONE_SWITCH, f"{record.switch} begins while {self.switch} is open")
        if event.switch_kind is Kind.FAILBACK and (record.by == DAEMON or not record.reason):
            broken(Law.NAMED, f"a failback by {record.by}, reason {record.reason!r}")
        if event.switch_kind is Kind.DEPLOYMENT:
            self._leaves_the_live_one(event)
        until = self.warm.get(event.candidate, record.at)
        if event.switch_kind is Kind.DEPLOYMENT:
            self.warm.pop(event.candidate, None)
        if event.switch_kind is Kind.DEPLOYMENT and record.at < until and not event.replace_warm:
            broken(Law.WARM_STAYS, f"{event.candidate} is deployed over and is protected until {until}")
        self.last = record.switch
        self.switch, self.kind, self.candidate = record.switch, event.switch_kind, event.candidate
        if event.switch_kind is Kind.FAILBACK and self.releases.get(event.candidate, event.version) != event.version:
            broken(Law.PROVEN, f"{event.candidate} holds {self.releases[event.candidate]}, not {event.version}")
        self.plan_points, self.again, self.source = event.plan.points, event.plan.deploy_again, event.source
        self.halt, self.version = None, event.version
        self.halted = self.waiting = self.proven = self.deploying = self.deploy_owed = False

    def _leaves_the_live_one(self, event: ev.Requested) -> None:
        """A deployment's way back leads to whoever has the traffic now; one that takes over from a halted switch keeps
        that one's."""
        if self.took_over:
            return
        names = {name for weights in self.points.values() for name in weights}
        sole = [name for name in names if all(weights.share(name) == WHOLE for weights in self.points.values())]
        if sole and sole != [event.source]:
            broken(Law.COMPARED, f"{sole[0]} has all of the traffic, and {event.source} is called live")

    def _ends(self, record: ev.Record) -> None:
        self.took_over = isinstance(record.event, ev.Superseded)
        if isinstance(record.event, ev.Aborted):
            for point, weights in self.points.items():
                if weights.get(self.candidate):
                    broken(
                        Law.ENDS, f"{self.switch} is aborted, and {self.candidate} has traffic at {point}: {weights}"
                    )
        if isinstance(record.event, ev.KeptWarm):
            for point in self.plan_points:
                if self.points[point].share(self.candidate) != WHOLE:
                    broken(Law.COMPARED, f"complete, and {point} shows {self.points[point]}")
            self._kept_warm(record, record.event)
        self.switch, self.kind, self.halted, self.open_write = None, None, False, None
        self.halt = None
        if isinstance(record.event, ev.Aborted):
            self._live_is_not_warm()

    def _kept_warm(self, record: ev.Record, event: ev.KeptWarm) -> None:
        if self.kind is not Kind.DEPLOYMENT or self.source not in self.warm:
            return
        least = record.at + timedelta(seconds=self.plan.plan.keep_warm_seconds if self.plan.plan else 0)
        if event.environment != self.source or event.protected_until is None or event.protected_until < least:
            broken(Law.WARM_STAYS, f"{self.source} is to be kept warm until {least}: {event}")
        self.warm[event.environment] = event.protected_until

    def _holds(self, event: ev.Event) -> None:
        """What each environment holds."""
        match event:
            case ev.StepStarted(step="deploy"):
                self.releases[self.candidate] = None
            case ev.Deployed():
                self.releases[self.candidate] = self.version
            case ev.CardTaken(versions=versions):
                self.releases |= versions
            case _:
                pass

    def _warms(self, record: ev.Record) -> None:
        """What was live is protected from the moment on that it is not; what is live is not warm."""
        match record.event:
            case ev.Shifted() if self.plan.plan is not None:
                self.warm.pop(self.candidate, None)
                if self.kind is Kind.DEPLOYMENT and self.source != self.candidate:
                    stays = self.plan.plan.bake_seconds + self.plan.plan.keep_warm_seconds
                    self.warm[self.source] = record.at + timedelta(seconds=stays)
            case ev.Adopted() | ev.Baseline() if self.switch is None:
                self._live_is_not_warm()
            case ev.CardTaken(warm=warm):
                self.warm = {warm: record.at}
            case _:
                pass

    def _live_is_not_warm(self) -> None:
        for name in [*self.warm]:
            if all(weights.share(name) == WHOLE for weights in self.points.values()):
                del self.warm[name]

    def _words(self, record: ev.Record) -> None:
        """How old the word is that a failback goes on by."""
        match record.event:
            case ev.Requested() | ev.Resumed() | ev.Approved() | ev.Promoted():
                self.word_at, self.word_aged = record.at, False
            case ev.Restarted() if self.word_at is not None:
                self.word_aged = (record.at - self.word_at).total_seconds() > WORD_SECONDS
            case ev.StepStarted(target=Weights()) if self.word_aged and self.kind is Kind.FAILBACK:
                broken(Law.NAMED, f"{self.switch} moves traffic back by a word of {self.word_at}")
            case _:
                pass

    def _halts(self, record: ev.Record) -> None:
        event = record.event
        assert isinstance(event, ev.Halted)
        if not event.summary.strip():
            broken(Law.REASONED, f"{event.halt} does not say why")
        if record.by == DAEMON and event.cause in FOUND and all(one.ok for one in event.findings):
            broken(Law.REASONED, f"{event.halt} by {event.cause} does not say what failed")
        self.halted, self.waiting, self.halt = True, False, event.halt
        if event.closes_step:
            self.deploying = self.deploy_owed = False
            self.intents.pop(self.open_write or "", None)  # a write that is refused has surely changed nothing
            self.open_write = None

    def _weights(self, event: ev.Event) -> None:
        match event:
            case ev.Baseline(weights=weights) | ev.Adopted(weights=weights):
                self.points |= weights
                for point in weights:
                    self.intents.pop(point, None)
                    self.restoring.pop(point, None)
            case ev.CardTaken(weights=weights):
                self.points = dict(weights)
                self.intents.clear()
                self.restoring.clear()
            case ev.StepStarted(point=str(point), target=Weights() as target):
                self._intends(point, target)
            case ev.StepStarted(step="deploy"):
                if self.deploy_owed and not self.again:
                    broken(Law.ONCE_ONLY, "a deployment with an unknown outcome runs again unasked")
                self.deploying = True
            case ev.Deployed() | ev.DeployNotMade():
                self.deploying = self.deploy_owed = False
            case ev.SmokePassed() | ev.WarmProven():
                self.proven = True
            case ev.WeightsSet(point=point, weights=weights):
                self._set(point, weights)
            case ev.WeightsUnchanged(point=point):
                self._outcome(point)
            case ev.OutcomeLost():
                self.open_write = None
            case ev.WarmReleased(environment=environment):
                self.warm.pop(environment, None)
            case ev.ClockMoved(seconds=seconds):
                self.warm = {name: until + timedelta(seconds=seconds) for name, until in self.warm.items()}
            case ev.PointForgotten(point=point):
                self.points.pop(point, None)
                self.intents.pop(point, None)
                self.restoring.pop(point, None)
            case _:
                pass

    def _intends(self, point: str, target: Weights) -> None:
        if self.intents:
            broken(Law.INTENT_FIRST, f"a write to {point} while the outcome at {sorted(self.intents)} is unknown")
        if not self.proven:
            broken(Law.PROVEN, f"{self.candidate} gets traffic and has not proven itself")
        self._rises(point, target)
        self.intents[point], self.aims[point], self.open_write = target, self.candidate, point

    def _rises(self, point: str, weights: Weights) -> None:
        if not weights.total:
            broken(Law.NEVER_ZERO, f"{point} would give nobody any traffic")
        known = self.points.get(point)
        if known is not None and real(weights, self.candidate) < real(known, self.candidate):
            broken(Law.NO_WAY_BACK, f"{point}: from {known} to {weights}, away from {self.candidate} of {self.switch}")

    def _set(self, point: str, weights: Weights) -> None:
        asked = self._outcome(point)
        if not weights.same_split(asked):
            broken(Law.COMPARED, f"{point}: {weights} is called the outcome of {asked}")
        self.points[point] = weights

    def _outcome(self, point: str) -> Weights:
        if point not in self.intents:
            broken(Law.INTENT_FIRST, f"{point} has an outcome and had no intent")
        self.open_write = None
        return self.intents.pop(point)


def check_journal(records: Iterable[ev.Record]) -> dict[str, JournalLaws]:
    """All laws over a whole journal, of one service or of many. Gives where each service stands at its end."""
    services: dict[str, JournalLaws] = {}
    for record in records:
        services.setdefault(record.service, JournalLaws()).entry(record)
    return services
