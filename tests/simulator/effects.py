"""What must be true of everything that the daemon does to the world: told by the fakes as it happens.

It believes neither the engine nor its state: it has the journal as it was written (read by the laws of every journal),
what the balancers really showed and were told, and what the deployers and checks really answered.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from bluegreen.core import events as ev
from bluegreen.model import Kind, Weights
from tests.invariants import JournalLaws, Law, broken, real

FRESH_SECONDS = 30.0
"""How old the health and the gates may be that a write is made on; most of it is for a write that is tried again."""
CROSSED_SECONDS = 0.5
"""A look that was bad so shortly before a write may have crossed it."""
SMOKE_SECONDS = 90.0
"""How old a good smoke check may be that a failback is proven by: a minute, and the looks that are made with it."""
TOLD_SECONDS = 60.0
"""Within this a readable balancer that shows something else than the journal says is told of as drift, or halts."""

ROOM_SECONDS = 180.0
"""What was decided while there was room may take so long to come about: a last look, with checks that hang."""

DECIDES = (
    ev.WeightsSet | ev.WeightsUnchanged | ev.Watched | ev.StepReached | ev.SmokePassed | ev.WarmProven | ev.Shifted
)


@dataclass
class Proofs:
    """What the candidate has shown since it last had to prove itself."""

    smoke: set[str] = field(default_factory=set)
    healthy: dict[str, float] = field(default_factory=dict)
    ill: dict[str, float] = field(default_factory=dict)
    gates: dict[str, float] = field(default_factory=dict)


class EffectLaws:
    """Watches one history. `now` gives the seconds since it began."""

    def __init__(
        self, smoke: frozenset[str], unversioned: frozenset[str], gates: frozenset[str], now: Callable[[], float]
    ) -> None:
        self.journal, self.now = JournalLaws(), now
        self.smoke_checks, self.unversioned, self.gate_checks = smoke, unversioned, gates
        self.proofs = Proofs()
        self.accepted: set[str] = set()
        self.shown: defaultdict[str, list[Weights]] = defaultdict(list)
        """What each point's reads gave since the intent, or since the answer was lost."""
        self.sent: set[str] = set()
        """Points with a write that reached its balancer, since the last intent."""
        self.lost = False
        """The answer to it was lost, or the process was."""
        self.holds: dict[str, str | None] = {}
        """What was really deployed, by environment."""
        self.running: set[str] = set()
        self.begun = False
        """Whether the deployment that was last intended really began."""
        self.version: str | None = None
        self.decided = 0.0
        """When the last thing happened that a next step is decided by."""
        self.good: dict[tuple[str, str], tuple[float, str | None]] = {}
        """When a check was last good in an environment, and not bad since; and the version that it asked for."""
        self.card: dict[str, list[Weights]] = {}
        """What each point may show, by the card."""
        self.answers: dict[str, tuple[str | None, str | None]] = {}
        """The switch and the halt that whoever sent the request with this key had seen."""
        self.unlooked: set[str] = set()
        """The points that the present process has not looked at yet."""
        self.full_since: float | None = None
        """Since when the journal has no room but what is kept for a failback."""
        self.keys: set[str | None] = set()
        """Of the requests that are on record."""
        self.key: str | None = None
        """Of the last entry: what one request led to stands together."""

    # --- the journal ---

    def entry(self, record: ev.Record) -> None:
        """An entry became durable."""
        if record.key is not None and record.key in self.keys and record.key != self.key:
            broken(Law.ONE_SWITCH, f"{record.key} was asked for once, and comes true again: {record.event}")
        self.key = record.key
        if record.key in self.answers and record.key not in self.keys:
            self._is_answered(record.key, *self.answers[record.key])
        self._outcome_was_seen(record.event)
        self._was_read(record.event)
        if isinstance(record.event, DECIDES | ev.StepStarted | ev.RestoreStarted) and self.unlooked:
            broken(Law.COMPARED, f"{record.event} before {sorted(self.unlooked)} was looked at by this process")
        self._has_room(record.event)
        self.journal.entry(record)
        if isinstance(record.event, DECIDES):
            self.decided = self.now()
        self.keys.add(record.key)
        match record.event:
            case ev.Requested(version=version):
                self.version = version
                self.proofs, self.accepted = Proofs(), set()
            case ev.Restarted() | ev.Resumed() | ev.Approved():
                self.proofs = Proofs()
                if isinstance(record.event, ev.Restarted):
                    self.lost = True
                    self.shown.clear()
            case ev.CheckAccepted(check=check):
                self.accepted.add(check)
            case ev.StepStarted(step="deploy"):
                self.begun = False
            case ev.DeployNotMade(reason=reason) if self.begun and not self.journal.again:
                broken(Law.ONCE_ONLY, f"a deployment that did begin is called not made: {reason}")
            case ev.Watched():
                self._watched()
            case ev.WarmProven() if not any(real(one, self.journal.candidate) for one in self.journal.points.values()):
                self._warm_was_smoked()
            case ev.StepStarted(step="set_weights", point=str(point)):
                self._looked_last(point)
                self.sent.clear()
                self.lost = False
                self.shown.clear()
            case ev.RestoreStarted():
                self.sent.clear()
                self.lost = False
                self.shown.clear()
            case ev.OutcomeLost(point=point) | ev.RestoreLost(point=point):
                self.lost = True
                self.shown[point].clear()
            case _:
                pass

    def room(self, there: bool) -> None:
        """The disk filled up, or there is room again."""
        self.full_since = None if there else self.now()

    def _has_room(self, event: ev.Event) -> None:
        """A deployment takes no step on the room that is left for a failback. A look begins as it is decided on."""
        if self.full_since is None or self.journal.kind is not Kind.DEPLOYMENT:
            return
        begins = isinstance(event, ev.StepStarted) and event.step in ("preflight", "wait_healthy", "smoke")
        late = isinstance(event, ev.StepStarted | ev.Watched) and self.now() - self.full_since > ROOM_SECONDS
        if late or (begins and self.full_since < self.now()):
            broken(Law.ROOM, f"{event} of {self.journal.switch}: the disk is full since {self.full_since:.0f}")

    def _outcome_was_seen(self, event: ev.Event) -> None:
        match event:
            case (
                ev.WeightsSet(point=point, weights=weights, recovered=recovered)
                | ev.Restored(point=point, weights=weights, recovered=recovered)
            ):
                seen = self.shown[point]  # since the intent; an outcome that was owed comes later than its reading
                if not any(weights.same_split(one) for one in seen):
                    broken(Law.COMPARED, f"{point}: {weights} is on record, the balancer showed {seen}")
                if recovered and not _twice(seen):
                    broken(Law.INTENT_FIRST, f"{point}: an unknown outcome is believed after {len(seen)} reads")
            case ev.WeightsUnchanged(point=point) | ev.RestoreUnmade(point=point) if point in self.sent or self.lost:
                if not _twice(self.shown[point]):
                    broken(Law.INTENT_FIRST, f"{point}: called unchanged after {self.shown[point][-2:]}")
            case _:
                pass

    def _is_answered(self, key: str, switch: str | None, halt: str | None) -> None:
        """What a person asked for by what they saw comes true while it is still so. That a bake has ended meanwhile
        changes nothing of a plan to fail back."""
        journal = self.journal
        if (journal.last, journal.halt) != (switch, halt):
            broken(Law.SHOWN, f"{key} answered {switch}, {halt}; it is {journal.last}, {journal.halt} now")

    def _was_read(self, event: ev.Event) -> None:
        """What is said of a balancer is what it showed at the last look."""
        match event:
            case ev.DriftSeen(point=point, seen=seen, what=""):
                said = {point: seen}
            case ev.DriftGone(point=point):
                said = {point: self.journal.points[point]}
            case ev.Adopted(weights=weights) | ev.Baseline(weights=weights):
                said = dict(weights)
            case _:
                return
        for name, one in said.items():
            if not any(one.same_split(shown) for shown in self.shown[name][-1:]):
                broken(Law.COMPARED, f"{type(event).__name__}: {name} showed {self.shown[name][-1:]}, not {one}")
        if isinstance(event, ev.Baseline) and any(real(one, event.live) < 1 for one in event.weights.values()):
            broken(Law.COMPARED, f"{event.live} is called live, shown is {event.weights}")

    def _looked_last(self, point: str) -> None:
        """Between the decision to write and its intent, health and gates were looked at once more."""
        journal, proofs = self.journal, self.proofs
        old = [one for one in journal.plan_points if proofs.healthy.get(one, -1.0) < self.decided]
        carries = any(real(weights, journal.candidate) for weights in journal.points.values())
        if journal.kind is Kind.DEPLOYMENT and carries:
            asked = self.gate_checks - self.accepted
            old += [name for name in asked if proofs.gates.get(name, -1.0) < self.decided]
        if old:
            broken(Law.PROVEN, f"{point} is about to be written, the last look at {old} was before that was decided")

    def _watched(self) -> None:
        """A time that counts as watched had looks in it, all of them good."""
        journal, proofs, since = self.journal, self.proofs, self.now() - FRESH_SECONDS
        old = [one for one in journal.plan_points if proofs.healthy.get(one, -1.0) < since]
        if journal.kind is Kind.DEPLOYMENT:
            old += [name for name in self.gate_checks - self.accepted if proofs.gates.get(name, -1.0) < since]
        if old:
            broken(Law.PROVEN, f"{journal.switch} is called watched, and nobody saw {old} good")

    def _warm_was_smoked(self) -> None:
        """An environment without traffic is failed back to after good smoke checks of what is on record there."""
        candidate, since = self.journal.candidate, self.now() - SMOKE_SECONDS
        for name in self.smoke_checks - self.accepted:
            at, version = self.good.get((candidate, name), (-1e9, None))
            if (self.version is not None or name in self.unversioned) and (at < since or version != self.version):
                broken(Law.PROVEN, f"{candidate} is called proven without a good {name} of {self.version}: {at:.0f}")

    # --- the balancers ---

    def begins(self, points: Collection[str]) -> None:
        """A process begins: it knows nothing of the balancers."""
        self.unlooked = set(points)

    def looked(self, point: str) -> None:
        """It has asked a balancer, whether that told anything or not."""
        self.unlooked.discard(point)

    def read(self, point: str, weights: Weights) -> None:
        """A balancer told its weights."""
        self.shown[point].append(weights)

    def kept(self, present: Mapping[str, list[Weights]]) -> None:
        """The card was written: what each point may show now."""
        self.card = dict(present)

    def health(self, point: str, healthy: Mapping[str, float]) -> None:
        """A balancer told which part of each environment's targets is healthy."""
        wanted = 0.5 if self.journal.kind is Kind.FAILBACK else 1.0
        if healthy.get(self.journal.candidate, 0.0) >= wanted:
            self.proofs.healthy[point] = self.now()
        else:
            self.proofs.ill[point] = self.now()

    def asked(self, point: str, expected: Weights, target: Weights) -> None:
        """The daemon sends a write."""
        journal = self.journal
        if point in journal.restoring:
            self._restores(point, expected, target)
            return
        if journal.halted:
            broken(Law.HALT_HOLDS, f"{target} is sent to {point} while {journal.switch} is halted")
        if journal.switch is None:
            broken(Law.INTENT_FIRST, f"{point} is written and no switch is open")
        if point not in journal.intents or not journal.intents[point].same_split(target):
            broken(Law.INTENT_FIRST, f"{target} is sent to {point}, the intent is {journal.intents.get(point)}")
        if not expected.same_split(journal.points[point]):
            broken(
                Law.COMPARED, f"{point}: {target} is sent on top of {expected}, on record is {journal.points[point]}"
            )
        self._proven(point)

    def _restores(self, point: str, expected: Weights, target: Weights) -> None:
        """The one write that is made without a switch, or beside one that is halted: as an operator ordered."""
        if not target.same_split(self.journal.restoring[point]):
            broken(Law.INTENT_FIRST, f"{target} is sent to {point}, the order is {self.journal.restoring[point]}")
        if not expected.same_split(self.journal.ordered[point]):
            broken(Law.COMPARED, f"{point} is restored on top of {expected}, shown was {self.journal.ordered[point]}")

    def reached(self, point: str) -> None:
        """A write has reached its balancer: it surely was sent."""
        if point in self.sent:
            broken(Law.INTENT_FIRST, f"{point} is written twice on one intent")
        self.sent.add(point)
        asked = self.journal.intents.get(point) or self.journal.restoring.get(point)
        if asked is not None and not any(asked.same_split(one) for one in self.card.get(point, [])):
            broken(Law.CARD, f"{point} is about to show {asked}, the card allows {self.card.get(point)}")

    def _proven(self, point: str) -> None:
        journal, proofs = self.journal, self.proofs
        if missing := {point for point in journal.plan_points if not self._well(point)}:
            broken(
                Law.PROVEN, f"{journal.candidate} gets traffic at {point}, its health at {missing} was not seen good"
            )
        carries = any(real(weights, journal.candidate) > 0 for weights in journal.points.values())
        if journal.kind is Kind.FAILBACK:
            return
        if self.holds.get(journal.candidate) != self.version:
            broken(Law.PROVEN, f"{journal.candidate} holds {self.holds.get(journal.candidate)}, not {self.version}")
        if unproven := self.smoke_checks - proofs.smoke - self.accepted:
            broken(Law.PROVEN, f"{journal.candidate} gets traffic without a good {sorted(unproven)}")
        looked = {name for name, at in proofs.gates.items() if self.now() - at < FRESH_SECONDS} | self.accepted
        if carries and (unseen := self.gate_checks - looked):
            broken(Law.PROVEN, f"{journal.candidate} gets more traffic, {sorted(unseen)} not seen good")

    def _well(self, point: str) -> bool:
        """Seen good just now, and not ill since; a bad look of somebody else may have crossed the write."""
        good, ill = self.proofs.healthy.get(point), self.proofs.ill.get(point, -1e9)
        return (
            good is not None
            and self.now() - good < FRESH_SECONDS
            and (ill < good or self.now() - ill < CROSSED_SECONDS)
        )

    def written(self, point: str, before: Weights, after: Weights) -> None:
        """The daemon's write took effect."""
        if not after.total:
            broken(Law.NEVER_ZERO, f"{point} gives nobody any traffic")
        if point in self.journal.intents and self.journal.intents[point].same_split(after):
            candidate = self.journal.aims[point]
            if real(after, candidate) < real(before, candidate):
                broken(Law.NO_WAY_BACK, f"{point} goes from {before} to {after}, away from {candidate}")

    # --- deployers and checks ---

    def deploy_begins(self, environment: str, version: str | None, carrying: bool) -> None:
        """A deploy command starts."""
        journal = self.journal
        if journal.halted:
            broken(Law.FAILED_STAYS, f"{version} is deployed to {environment} while {journal.switch} is halted")
        if not journal.deploying or environment != journal.candidate:
            broken(Law.INTENT_FIRST, f"{version} is deployed to {environment} without an intent")
        if carrying or any(weights.share(environment) for weights in journal.points.values()):
            broken(Law.NO_WAY_BACK, f"{environment} has traffic and is deployed over")
        if self.running:
            broken(Law.ONCE_ONLY, f"a deploy command starts while one runs in {sorted(self.running)}")
        self.running.add(environment)
        self.begun = True
        self.holds[environment] = None
        self.proofs = Proofs()

    def runs(self, run: str, *, known: bool) -> None:
        """By this name the command is found after a crash."""
        if known:
            broken(Law.ONCE_ONLY, f"{run} is begun a second time: what is found of it may be the first one's")

    def deploy_ends(self, environment: str, version: str | None, ok: bool) -> None:
        """It ended, or was ended."""
        self.running.discard(environment)
        self.holds[environment] = version if ok else None

    def checked(self, name: str, environment: str, version: str | None, ok: bool) -> None:
        """A check answered."""
        self.good.pop((environment, name), None)
        if ok:
            self.good[environment, name] = (self.now(), version)
        if environment != self.journal.candidate or (version is not None and version != self.version):
            return
        if name in self.smoke_checks:
            (self.proofs.smoke.add if ok else self.proofs.smoke.discard)(name)
        elif ok:
            self.proofs.gates[name] = self.now()
        else:
            self.proofs.gates.pop(name, None)


def _twice(seen: list[Weights]) -> bool:
    """Whether two readings one after the other were the same."""
    return any(one.same_split(other) for one, other in itertools.pairwise(seen))
