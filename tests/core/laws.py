"""The laws of the design as an observer of a run. It keeps its own small account, and believes nobody's flags.

It is told of everything: each step that was asked for, each entry, each effect on the fake balancers. What breaks a law
raises LawBroken with the law's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.phases import sole_live
from bluegreen.core.state import ServiceState
from bluegreen.model import WHOLE, Condition, Weights
from tests.builders import DAEMON
from tests.invariants import JournalLaws, broken, real


def restores(step: st.Step | None) -> bool:
    """Whether the step belongs to an operator's order to restore."""
    if isinstance(step, st.Conclude):
        return isinstance(step.event, ev.RestoreRefused)
    return isinstance(step, st.Restore | st.LookUpRestore)


def finds_out(step: st.Step | None) -> bool:
    """Whether the step only looks at what is unknown: a person at a halt decides by facts."""
    return isinstance(step, st.LookUp | st.FindDeploy)


class Laws:
    """Watches one run of one service."""

    def __init__(self) -> None:
        self.owed: set[str] = set()
        """Points with a write whose outcome nobody knows."""
        self.meddled: set[str] = set()
        """Points that somebody else changed, and no entry says so yet."""
        self.journal = JournalLaws()
        self.ordered: dict[str, Weights] = {}
        """What an operator ordered to be restored, on top of what."""
        self.unread: set[str] = set()
        """Points with a restoring write that could not be looked up: there it waits, elsewhere it may go on."""
        self.in_vain = False
        """A look at a halt could tell nothing, and no person has ordered another one."""

    # --- what the core says is next ---

    def asked(self, state: ServiceState, step: st.Step | None) -> None:
        """`step` is what is next in `state`."""
        switch = state.open_switch
        if restores(step):
            self._restore(state, step)
            return
        if (step is None) != (switch is None):
            broken("totality", f"{step} with {switch}")
        if switch is None:
            return
        if switch.condition is Condition.HALTED and step != st.AwaitOperator() and not finds_out(step):
            broken("2", f"{step} while halted")
        if self.in_vain and finds_out(step):
            broken("2", f"{step} again and again, while a person is awaited")
        if self.owed - self.unread and not isinstance(step, st.AwaitOperator | st.LookUp):
            broken("3", f"{step} while the outcome at {self.owed} is unknown")
        match step:
            case st.SetWeights(point=point, split=split):
                self._split(state, point, split)
            case st.FindDeploy() if not self.journal.deploy_owed:
                broken("3", "a deployment is looked for, its outcome is known")
            case st.Deploy() if self.journal.deploy_owed:
                broken("once", "a deployment begins while the outcome of another one is unknown")
            case st.LookUp(point=point) if point not in self.owed:
                broken("3", f"{point} is looked up, its outcome is known")
            case _:
                pass

    def at_any_time(self, state: ServiceState, answers: Mapping[timedelta, st.Step | None]) -> None:
        """What is next at other instants: a halt waits for a person, whatever the time."""
        if state.open_switch is not None and state.open_switch.condition is Condition.HALTED:
            for later, step in answers.items():
                if step != st.AwaitOperator() and not restores(step) and not finds_out(step):
                    broken("2", f"{step} after {later} of a halt")
        for later, step in answers.items():
            if isinstance(step, st.Restore) and later >= timedelta(hours=1):
                broken("9", f"{step} by a word that is {later} old")

    def _restore(self, state: ServiceState, step: st.Step | None) -> None:
        """The one thing that may happen at a halt, or with no switch: what an operator ordered."""
        switch = state.open_switch
        if switch is not None and switch.condition is not Condition.HALTED:
            broken("6", f"{step} while {switch.id} is {switch.condition}")
        match step:
            case st.Restore(point=point, shown=shown, target=target):
                if point not in self.ordered or not self.ordered[point].same_split(shown):
                    broken("4", f"{point} is restored from {shown}; ordered was {self.ordered}")
                if self.owed - self.unread:
                    broken("3", f"{step} while the outcome at {self.owed} is unknown")
                if not target.same_split(state.points[point].native):
                    broken("4", f"{point} would be restored to {target}, on record is {state.points[point].native}")
                if point in state.drift and not state.drift[point].seen.same_split(shown):
                    broken("4", f"{point} shows {state.drift[point].seen}, and is restored from {shown}")
            case _:
                pass

    def _split(self, state: ServiceState, point: str, split: Weights) -> None:
        switch = state.open_switch
        assert switch is not None
        if split.total != WHOLE:
            broken("sum", f"{split} adds up to {split.total}")
        if split.share(switch.candidate) <= state.points[point].split.share(switch.candidate):
            broken("1", f"{point}: {split} does not raise {switch.candidate} above {state.points[point].split}")
        if not self.journal.proven:
            broken("5", f"{switch.candidate} gets traffic and has not proven itself")

    # --- what happens to the balancers ---

    def written(self, state: ServiceState, point: str, before: Weights, after: Weights) -> None:
        """The daemon's own write changed a point from `before` to `after` (native)."""
        switch = state.open_switch
        if switch is None or switch.open is None or switch.open.point != point or switch.open.change is None:
            broken("3", f"a write to {point} without an intent on record")
        if after.total == 0:
            broken("sum", f"{point} gives nobody any traffic")
        if real(after, switch.candidate) < real(before, switch.candidate):
            broken("1", f"{switch.kind}: {point} goes from {before} to {after}, away from {switch.candidate}")

    def restored(self, state: ServiceState, point: str, before: Weights, after: Weights) -> None:
        """The daemon's own write put a point back."""
        order = state.restore
        if order is None or order.writing is None or order.writing.point != point:
            broken("3", f"a restoring write to {point} without an intent on record")
        if not self.ordered[point].same_split(before):
            broken("4", f"{point} was {before}; ordered was on top of {self.ordered[point]}")
        if not after.same_split(state.points[point].native):
            broken("4", f"{point} was restored to {after}, on record is {state.points[point].native}")

    def lost(self, point: str) -> None:
        """The answer to a write is lost, or the process is gone in the middle of one."""
        self.owed.add(point)

    def changed_by_others(self, point: str) -> None:
        """Somebody else changed a point."""
        self.meddled.add(point)

    def agreeing(self, point: str) -> None:
        """Somebody else put a point back to what is on record."""
        self.meddled.discard(point)

    # --- what is on record ---

    def recorded(
        self, before: ServiceState, record: ev.Record, after: ServiceState, world: Mapping[str, Weights]
    ) -> None:
        """An entry took the state from `before` to `after`, while the balancers showed `world`."""
        self.journal.entry(record)
        self._halts(before, record, after)
        self._of_restore(record)
        settles = isinstance(record.event, ev.DriftGone | ev.Adopted | ev.Restored | ev.PointForgotten | ev.Baseline)
        if (forgotten := set(before.drift) - set(after.drift)) and not settles:
            broken("4", f"the drift at {forgotten} is forgotten by {type(record.event).__name__}")
        event = record.event
        match event:
            case ev.WeightsSet(point=point) | ev.WeightsUnchanged(point=point):
                self.owed.discard(point)
            case ev.Resumed() | ev.Promoted() if before.drift:
                broken("4", f"{type(event).__name__} while {before.drift} is on record")
            case ev.Halted(looked=looked):
                self.in_vain = looked
            case ev.Resumed() | ev.Promoted() | ev.Requested():
                self.in_vain = False
            case ev.Adopted(weights=weights):
                self.owed -= set(weights)
                self.unread -= set(weights)
                self.meddled -= set(weights)
            case _:
                pass
        if not set(after.in_doubt) >= self.owed & set(after.points):
            broken("3", f"what became of {self.owed} is forgotten by {type(event).__name__}")
        taken_over = isinstance(event, ev.FailedBack | ev.Superseded)  # the next entry of the same append begins anew
        if after.open_switch is None and not taken_over and sole_live(after.points) not in (None, after.live):
            broken("4", f"{sole_live(after.points)} has all of the traffic on record, {after.live} is called live")
        self._true_to(after, world)

    def _of_restore(self, record: ev.Record) -> None:
        match record.event:
            case ev.RestoreAsked(shown=shown):
                if record.by == DAEMON or not record.reason:
                    broken("9", f"a restore by {record.by}, reason {record.reason!r}")
                self.ordered.update(shown)
            case ev.Restored(point=point):
                self._settled(point)
                self.meddled.discard(point)
            case ev.RestoreUnmade(point=point) | ev.RestoreRefused(point=point):
                self._settled(point)
            case ev.RestoreLost(point=point):
                self.unread.discard(point)
            case ev.RestoreUnread(point=point):
                self.owed.add(point)
                self.unread.add(point)
            case _:
                pass

    def _settled(self, point: str) -> None:
        self.owed.discard(point)
        self.unread.discard(point)

    def _halts(self, before: ServiceState, record: ev.Record, after: ServiceState) -> None:
        was, now = before.open_switch, after.open_switch
        if was is None or was.condition is not Condition.HALTED:
            return
        left = now is None or now.id != was.id or now.condition is not Condition.HALTED or now.halt is None
        if left and record.by == DAEMON:
            broken("2", f"{type(record.event).__name__} by the daemon ends halt {was.halt and was.halt.id}")

    def _true_to(self, state: ServiceState, world: Mapping[str, Weights]) -> None:
        switch = state.open_switch
        in_flight = switch.open.point if switch is not None and switch.open is not None else None
        if state.restore is not None and state.restore.writing is not None:
            in_flight = state.restore.writing.point
        for point, known in state.points.items():
            if point in self.owed or point in self.meddled or point == in_flight:
                continue
            if not known.native.same_split(world[point]):
                broken("4", f"{point} shows {world[point]}, on record is {known.native}")
