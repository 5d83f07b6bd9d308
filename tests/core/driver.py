"""Random lawful histories: the engine's loop without its hands, on balancers that live in a dict.

A history is a list of moves: go on (well, badly, with a lost answer, with a crash), look at the balancers, somebody
else changes them, an operator asks for something at any moment. What the core decides, the driver carries out; the
laws look on. The rules (`next_step`, `apply`) are parameters, so that broken ones can be put to the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType

from hypothesis import strategies as some

from bluegreen.core import admit as ad
from bluegreen.core import decide, phases
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.admit_drift import answered
from bluegreen.core.drift import judge
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Cause, Condition, Plan, Weights
from tests.builders import DAEMON, OPERATOR, SERVICE, START, finding, halted, pinned
from tests.core.laws import Laws


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens; `number` decides the details."""

    word: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a history plays."""

    environments: tuple[str, ...]
    plan: Plan
    back: Plan
    replace_warm: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The core, or a broken one."""

    next_step: Callable[[ServiceState, datetime], st.Step | None] = decide.next_step
    apply: Callable[[ServiceState, ev.Record], ServiceState] = phases.apply
    admit: Callable[[ad.AnyRequest, ServiceState, datetime], Sequence[ev.Event]] = ad.admit


LATER = (timedelta(0), timedelta(hours=1), timedelta(days=4000), timedelta(days=-1))

ODDS = {
    "good": 40, "bad": 3, "lose": 4, "crash": 4, "look": 4, "meddle": 2, "repair": 3,
    "deploy": 6, "failback": 3, "approve": 4, "pause": 1, "resume": 8, "promote": 2, "abort": 1, "accept": 2,
    "stop": 1, "release": 1, "adopt": 3, "restore": 3, "leave": 1,
}  # fmt: skip
_WORDS = [word for word, odds in ODDS.items() for _ in range(odds)]

moves = some.lists(some.builds(Move, some.sampled_from(_WORDS), some.integers(0, 999)), min_size=20, max_size=120)
"""Histories of moves, as Hypothesis finds and shrinks them."""


MEDDLED = {**ODDS, "meddle": 25, "look": 30, "restore": 30, "lose": 15, "crash": 12, "leave": 5}
"""Where another hand is at it all the time."""


def random_moves(seed: int, length: int = 150, odds: Mapping[str, int] = MappingProxyType(ODDS)) -> list[Move]:
    """The same kind of history from a seed."""
    dice = Random(seed)
    words = dice.choices(list(odds), list(odds.values()), k=length)
    return [Move(word, dice.randrange(1000)) for word in words]


def _plan(points: int, steps: list[int], wait: float | None, bake: float, again: bool) -> Plan:
    return Plan(tuple(f"lb{n}" for n in range(points)), (*sorted(steps), WHOLE), wait, bake, 600.0, again)


def _settings(names: int, points: int, steps: list[int], wait: float | None, bake: float, again: bool) -> Setting:
    plan = _plan(points, steps, wait, bake, again)
    back = _plan(points, steps[:1], 0.0, 0.0, again)
    return Setting(("blue", "green", "red")[:names], plan, back, replace_warm=again)


settings = some.builds(
    _settings,
    some.integers(2, 3),
    some.integers(1, 3),
    some.lists(some.integers(1, WHOLE - 1), unique=True, max_size=3),
    some.sampled_from([None, 0.0, 7.5, 40.0]),
    some.sampled_from([0.0, 20.0]),
    some.booleans(),
)
"""Two or three environments, one to three switch points, any plan."""


class Driver:
    """Runs one service through a history."""

    def __init__(self, setting: Setting, rules: Rules | None = None) -> None:
        self.setting, self.rules, self.laws = setting, rules or Rules(), Laws()
        self.now = START
        whole = Weights.of({name: 1 if name == "blue" else 0 for name in setting.environments})
        self.world: dict[str, Weights] = dict.fromkeys(setting.plan.points, whole)
        self.state = ServiceState(SERVICE)
        self.records: list[ev.Record] = []
        self.states: list[ServiceState] = []
        self.flight: st.Step | None = None
        """The step that is under way: its intent is on record, its outcome is not."""
        self._record(judge(self.state, self.world))

    def run(self, history: Sequence[Move]) -> Driver:
        """Play a whole history."""
        for move in history:
            self.play(move)
        return self

    def play(self, move: Move) -> None:
        """Play one move."""
        self.now += timedelta(seconds=move.number % 50)
        match move.word:
            case "good" | "bad" | "lose":
                self._go_on(move)
            case "crash":
                self._crash(move)
            case "look":
                self._look()
            case "meddle" if self._nobody_writes():
                self._meddle(move)
            case "repair" if self._nobody_writes():
                self._repair()
            case "meddle" | "repair":
                pass
            case _:
                self.ask(move)

    # --- the loop ---

    def next(self) -> st.Step | None:
        """What the core says is next; the laws look on."""
        step = self.rules.next_step(self.state, self.now)
        self.laws.asked(self.state, step)
        self.laws.at_any_time(self.state, {t: self.rules.next_step(self.state, self.now + t) for t in LATER})
        return step

    def _go_on(self, move: Move) -> None:
        if self.flight is None:
            self.flight = self._begin(self.next())
            if move.number % 5 == 0:
                return  # the next move finds it under way
        if self.flight is not None:
            step, self.flight = self.flight, None
            self._end(step, move)

    def _begin(self, step: st.Step | None) -> st.Step | None:
        match step:
            case None | st.AwaitOperator():
                return None
            case st.Conclude(event=event):
                self._record([event])
                return None
            case st.SetWeights(point=point, expected=expected, split=split):
                self._record([ev.StepStarted("set_weights", point, expected, split, split)])
            case st.Restore(point=point, shown=shown, target=target):
                self._record([ev.RestoreStarted(point, shown, target)])
            case st.Deploy() | st.Preflight() | st.ProveWarm() | st.WaitHealthy() | st.Smoke():
                self._record([ev.StepStarted(self.switch().phase.value)])
        return step

    def _end(self, step: st.Step, move: Move) -> None:
        match step:
            case st.SetWeights():
                self._record([self._write(step, move)])
            case st.LookUp():
                self._record([self._look_up(step, move)])
            case st.Restore():
                self._record([self._restore(step, move)])
            case st.LookUpRestore():
                self._record([self._look_up_restore(step, move)])
            case st.FindDeploy() if move.word != "bad":
                self._record([self._found(move)])
            case st.Watch(seconds=None) if move.word != "bad":
                return  # it watches on
            case _ if move.word == "bad":
                self._record([self._failed(move)])
            case st.Preflight() | st.ProveWarm() if not self._undisturbed():
                self._record([halted(self.switch(), Cause.DRIFT, finding("lb: weights", acceptable=False))])
            case _:
                self._record([self._passed(step)])

    def _passed(self, step: st.Step) -> ev.Event:
        match step:
            case st.Preflight():
                return ev.PreflightPassed()
            case st.ProveWarm():
                return ev.WarmProven((finding("smoke", ok=True),))
            case st.Deploy():
                return ev.Deployed("done", "output", {"took": "1 s"})
            case st.WaitHealthy():
                return ev.BecameHealthy("all")
            case st.Smoke():
                return ev.SmokePassed((finding("smoke", ok=True),))
            case st.Watch(seconds=float(seconds)):
                return ev.Watched(seconds)
        raise AssertionError(f"no outcome of {step}")

    def _found(self, move: Move) -> ev.Event:
        if move.number % 3 == 0:
            return ev.DeployNotMade("it was never started")
        if move.word != "lose":
            return ev.Deployed("done", "output")
        if self.switch().plan.deploy_again:
            return ev.DeployNotMade("its outcome is lost")
        return halted(self.switch(), Cause.INTERRUPTED)

    def _failed(self, move: Move) -> ev.Halted:
        found = [finding("errors", acceptable=move.number % 2 == 0), finding("fine", ok=True)]
        found += [finding("latency")] if move.number % 3 == 0 else []
        return halted(self.switch(), Cause.CHECK_FAILED, *found)

    def _write(self, step: st.SetWeights, move: Move) -> ev.Event:
        before = self.world[step.point]
        if move.word == "bad":
            return halted(self.switch(), Cause.BALANCER_REFUSED)
        if not before.same_split(step.expected):
            return halted(self.switch(), Cause.DRIFT)
        if move.word != "lose" or move.number % 2:
            self._apply_write(step)
        if move.word == "lose":
            self.laws.lost(step.point)
            return ev.OutcomeLost(step.point, "no answer")
        return ev.WeightsSet(step.point, self.world[step.point], step.split)

    def _apply_write(self, step: st.SetWeights) -> None:
        before = self.world[step.point]
        if before.same_split(step.expected):
            self.world[step.point] = step.split
            self.laws.written(self.state, step.point, before, step.split)

    def _look_up(self, step: st.LookUp, move: Move) -> ev.Event:
        shown = self.world[step.point]
        if move.word == "bad":
            return replace(halted(self.switch(), Cause.OUTCOME_UNKNOWN, closes_step=False), looked=True)
        if shown.same_split(step.target):
            return ev.WeightsSet(step.point, shown, step.split, recovered=True)
        if shown.same_split(step.expected):
            return ev.WeightsUnchanged(step.point)
        return replace(halted(self.switch(), Cause.DRIFT, closes_step=False), looked=True)

    def _restore(self, step: st.Restore, move: Move) -> ev.Event:
        if move.word == "bad" or not self.world[step.point].same_split(step.shown):
            return ev.RestoreRefused(step.point, "not now")
        if move.word != "lose" or move.number % 2:
            self._apply_restore(step)
        if move.word == "lose":
            self.laws.lost(step.point)
            return ev.RestoreLost(step.point, "no answer")
        return ev.Restored(step.point, self.world[step.point])

    def _apply_restore(self, step: st.Restore) -> None:
        before = self.world[step.point]
        if before.same_split(step.shown):
            self.world[step.point] = step.target
            self.laws.restored(self.state, step.point, before, step.target)

    def _look_up_restore(self, step: st.LookUpRestore, move: Move) -> ev.Event:
        shown = self.world[step.point]
        if move.word == "bad":
            return ev.RestoreUnread(step.point, "no answer")
        if shown.same_split(step.target):
            return ev.Restored(step.point, shown, recovered=True)
        if shown.same_split(step.shown):
            return ev.RestoreUnmade(step.point)
        return ev.RestoreRefused(step.point, "neither")

    def _crash(self, move: Move) -> None:
        """The process is gone, and another one takes over; a write under way was made, or not."""
        self._drop_flight(move)
        if self.state.open_switch is not None:
            self._record([ev.Restarted(move.number)])

    def _drop_flight(self, move: Move) -> None:
        step, self.flight = self.flight, None
        if isinstance(step, st.SetWeights):
            if move.number % 2:
                self._apply_write(step)
            self.laws.lost(step.point)
        if isinstance(step, st.Restore):
            if move.number % 2:
                self._apply_restore(step)
            self.laws.lost(step.point)

    # --- the world ---

    def _nobody_writes(self) -> bool:
        return not isinstance(self.flight, st.SetWeights | st.Restore)

    def _undisturbed(self) -> bool:
        return all(point.native.same_split(self.world[name]) for name, point in self.state.points.items())

    def _look(self) -> None:
        if self._nobody_writes() and not isinstance(self.flight, st.LookUp):
            self._heard(judge(self.state, self.world))

    def _meddle(self, move: Move) -> None:
        dice = Random(move.number)
        point = dice.choice(list(self.world))
        native = {name: dice.choice([0, 0, 1, 2, 85, 256, 999]) for name in self.setting.environments}
        self.world[point] = Weights.of({**native, dice.choice(self.setting.environments): 100})
        self.laws.changed_by_others(point)

    def _repair(self) -> None:
        for name, point in self.state.points.items():
            if name not in self.state.in_doubt:
                self.world[name] = point.native
                self.laws.agreeing(name)

    # --- people ---

    def request(self, verb: str, number: int = 0) -> ad.AnyRequest:
        """What an operator would send for a verb, as things are."""
        new, setting = f"s{len(self.records)}", self.setting
        switch = self.state.open_switch
        failed = switch.halt.failed() if switch is not None and switch.halt is not None else ()
        known: dict[str, ad.AnyRequest] = {
            "deploy": ad.Deploy(
                switch=new,
                version=str(number),
                pinned=pinned(setting.plan, setting.environments),
                replace_warm=setting.replace_warm,
                reason="no room",
            ),
            "failback": ad.Failback(switch=new, pinned=pinned(setting.back, setting.environments), reason="errors"),
            "approve": ad.Approve(),
            "pause": ad.Pause(),
            "resume": ad.Resume(),
            "promote": ad.Promote(),
            "abort": ad.Abort(),
            "accept": ad.Accept(check=failed[number % len(failed)].check if failed else "errors", reason="known"),
            "stop": ad.Stop(reason="odd"),
            "halt": ad.Stop(reason="odd"),
            "release": ad.Release(),
            "adopt": ad.Adopt(seen=dict(self.world)),
            "restore": ad.Restore(drift=answered(self.state.drift), reason="odd"),
            "leave": ad.Leave(drift=answered(self.state.drift), reason="known"),
        }
        return known[verb]

    def ask(self, move: Move) -> bool:
        """An operator asks; False when that is refused, and then nothing has changed."""
        if move.word == "adopt" and not self._nobody_writes():
            return False  # it waits for the write's answer: the balancers are read under the same lock
        request, before = self.request(move.word, move.number), self.state
        try:
            events = self.rules.admit(request, self.state, self.now)
        except Refused:
            assert self.state is before
            return False
        under_way = self.switch().id if self.state.open_switch else None
        if self.flight is not None and any(isinstance(one, ev.FailedBack) for one in events):
            self._drop_flight(move)
        self._heard(events, OPERATOR, getattr(request, "reason", ""), getattr(request, "switch", None))
        if self.state.open_switch is None or self.state.open_switch.id != under_way:
            self._drop_flight(move)
        return True

    def _heard(self, events: Sequence[ev.Event], by: str = DAEMON, reason: str = "", new: str | None = None) -> None:
        """Steps that only look are cut short, and begin anew."""
        if events and isinstance(self.flight, st.INTERRUPTIBLE):
            self.flight = None
        self._record(events, by, reason, new)

    # --- writing down ---

    def switch(self) -> Switch:
        """The open switch, which must be there."""
        assert self.state.open_switch is not None
        return self.state.open_switch

    def halted(self) -> bool:
        """Whether a halt is open."""
        return self.state.open_switch is not None and self.state.open_switch.condition is Condition.HALTED

    def _record(self, events: Sequence[ev.Event], by: str = DAEMON, reason: str = "", new: str | None = None) -> None:
        for event in events:
            open_switch = self.state.open_switch
            switch = new if isinstance(event, ev.Requested) else (open_switch.id if open_switch else None)
            record = ev.Record(f"r{len(self.records)}", self.now, SERVICE, switch, by, event, reason)
            before, self.state = self.state, self.rules.apply(self.state, record)
            self.records.append(record)
            self.states.append(self.state)
            self.laws.recorded(before, record, self.state, self.world)
            self.next()
