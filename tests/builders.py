"""The core's nouns as plain functions with defaults, and histories written as words. No doubles, no I/O, no clock.

A history is a line such as `"requested preflight deployed healthy smoke set:50 reached:0"`: one word an event, after
a first sight of the balancers that gives blue everything. WORDS has them all. The service is `web`, its environments
are blue and green, its switch point is `lb`, unless a plan says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core.decide import target_split
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import WHOLE, Cause, Finding, Plan, Weights

SERVICE = "web"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPERATOR = "uid:1000(ann)"
DAEMON = "daemon"

Word = Callable[[ServiceState, str], Sequence[ev.Event]]


def at(seconds: float) -> datetime:
    """An instant, so many seconds after the first one."""
    return START + timedelta(seconds=seconds)


def weights(**native: int) -> Weights:
    """`weights(blue=95, green=5)`."""
    return Weights.of(native)


def make_plan(
    points: tuple[str, ...] = ("lb",),
    steps: tuple[int, ...] = (50, 500, WHOLE),
    wait: float | None = 60.0,
    bake: float = 30.0,
    keep_warm: float = 3600.0,
    *,
    deploy_again: bool = False,
) -> Plan:
    """A plan: 5 %, 50 %, 100 % at one switch point, a minute between them."""
    return Plan(points, steps, wait, bake, keep_warm, deploy_again)


def pinned(plan: Plan | None = None, environments: tuple[str, ...] = ("blue", "green")) -> ad.Pinned:
    """What a new switch starts with."""
    return ad.Pinned(plan or make_plan(), environments, '{"service": "web"}', "c0ffee")


def deploy(
    switch: str = "s1", version: str = "2", *, replace_warm: bool = False, reason: str = "", **rest: object
) -> ad.Deploy:
    """A request for a deployment; `rest` goes to `pinned`."""
    made = pinned(**rest)  # type: ignore[arg-type]
    return ad.Deploy(switch=switch, version=version, pinned=made, replace_warm=replace_warm, reason=reason)


def failback(switch: str = "s2", reason: str = "errors", plan: Plan | None = None) -> ad.Failback:
    """A request for a failback."""
    return ad.Failback(switch=switch, pinned=pinned(plan or make_plan(steps=(WHOLE,), bake=0)), reason=reason)


def finding(check: str = "errors", *, ok: bool = False, acceptable: bool = True) -> Finding:
    """What a check found: failed, and acceptable, unless told otherwise."""
    return Finding(check, ok, f"{check} is {'good' if ok else 'bad'}", "look at it", acceptable)


def halted(switch: Switch, cause: Cause = Cause.CHECK_FAILED, *found: Finding, closes_step: bool = True) -> ev.Halted:
    """The halt of a switch by its daemon, with what was found."""
    return ev.Halted(switch.next_halt(), switch.phase, cause, f"{cause}", "look", found, "", closes_step)


def record(
    event: ev.Event, switch: str | None = "s1", by: str = DAEMON, reason: str = "", seconds: float = 0.0
) -> ev.Record:
    """A record of the service `web`."""
    return ev.Record(f"r-{seconds}", at(seconds), SERVICE, switch, by, event, reason)


def records_of(
    state: ServiceState, events: Sequence[ev.Event], started: str = "s1", by: str = DAEMON, reason: str = ""
) -> Iterator[ev.Record]:
    """The records of events that follow each other, each with the switch it belongs to."""
    for event in events:
        open_switch = state.open_switch
        switch = started if isinstance(event, ev.Requested) else (open_switch.id if open_switch else None)
        made = record(event, switch, by, reason, float(state.version))
        yield made
        state = apply(state, made)


def journal_of(
    script: str, plan: Plan | None = None, environments: tuple[str, ...] = ("blue", "green")
) -> list[ev.Record]:
    """The records of a history in words. What an operator does is by an operator."""
    plan = plan or make_plan()
    whole = Weights.of({name: 100 * int(name == "blue") for name in environments})
    made = list(records_of(ServiceState(SERVICE), [ev.Baseline("blue", dict.fromkeys(plan.points, whole))]))
    state = apply(ServiceState(SERVICE), made[0])
    for number, spoken in enumerate(script.split()):
        word, _, argument = spoken.partition(":")
        operators = word in ASKED
        events = (
            ad.admit(ASKED[word](number, plan, environments), state, at(float(argument or 0) + state.version))
            if operators
            else WORDS[word](state, argument)
        )
        by, reason = (OPERATOR, "because") if operators or word in OPERATORS_WORDS else (DAEMON, "")
        for one in records_of(state, events, f"s{number + 1}", by, reason):
            made.append(one)
            state = apply(state, one)
    return made


def state_after(
    script: str, plan: Plan | None = None, environments: tuple[str, ...] = ("blue", "green")
) -> ServiceState:
    """The state that a history in words leads to."""
    state = ServiceState(SERVICE)
    for one in journal_of(script, plan, environments):
        state = apply(state, one)
    return state


def the_switch(state: ServiceState) -> Switch:
    """The switch, which must be there."""
    assert state.switch is not None
    return state.switch


def intent(state: ServiceState, point: str, share: int) -> ev.StepStarted:
    """The intent to give the candidate `share` tenths at a point."""
    switch, known = the_switch(state), state.points[point]
    split = target_split(switch, point, known.split, share)
    return ev.StepStarted("set_weights", point, known.native, split, split)


# --- the words ---


def _set(state: ServiceState, share: str) -> Sequence[ev.Event]:
    events: list[ev.Event] = []
    for point in the_switch(state).plan.points:
        started = intent(state, point, int(share))
        assert started.split is not None
        events += [started, ev.WeightsSet(point, started.split, started.split)]
    return events


def _shown(state: ServiceState, share: str) -> dict[str, Weights]:
    rest = [name for name in next(iter(state.points.values())).native if name not in ("blue", "green")]
    split = Weights.of({"blue": WHOLE - int(share), "green": int(share), **dict.fromkeys(rest, 0)})
    return dict.fromkeys(state.points, split)


def _first(state: ServiceState) -> str:
    return next(iter(state.points))


WORDS: dict[str, Word] = {
    "preflight": lambda s, _: [ev.StepStarted("preflight"), ev.PreflightPassed((finding("a", ok=True),))],
    "proven": lambda s, _: [ev.StepStarted("preflight"), ev.WarmProven()],
    "deploying": lambda s, _: [ev.StepStarted("deploy")],
    "deployed": lambda s, _: [ev.StepStarted("deploy"), ev.Deployed("done", "output")],
    "undeployed": lambda s, _: [ev.DeployNotMade("it was never started")],
    "healthy": lambda s, _: [ev.StepStarted("wait_healthy"), ev.BecameHealthy("3 of 3")],
    "smoking": lambda s, _: [ev.StepStarted("smoke")],
    "smoke": lambda s, _: [ev.StepStarted("smoke"), ev.SmokePassed()],
    "writing": lambda s, share: [intent(s, _first(s), int(share))],
    "set": _set,
    "lost": lambda s, _: [ev.OutcomeLost(_first(s), "no answer")],
    "unchanged": lambda s, _: [ev.WeightsUnchanged(_first(s))],
    "found": lambda s, _: [ev.WeightsSet(p, c.target, c.split, recovered=True) for p, c in s.unsettled.items()],
    "watched": lambda s, seconds: [ev.Watched(float(seconds))],
    "awaited": lambda s, _: [ev.ApprovalAwaited()],
    "reached": lambda s, index: [ev.StepReached(int(index))],
    "shifted": lambda s, _: [ev.Shifted()],
    "baked": lambda s, _: [ev.Baked()],
    "kept": lambda s, _: [ev.KeptWarm(the_switch(s).source, at(s.version + 3600.0))],
    "completed": lambda s, _: [ev.KeptWarm(None, None)],
    "halted": lambda s, check: [halted(the_switch(s), Cause.CHECK_FAILED, finding(check or "errors"))],
    "broken": lambda s, _: [halted(the_switch(s), Cause.UNHEALTHY, finding("healthy", acceptable=False))],
    "vain": lambda s, _: [
        replace(halted(the_switch(s), Cause.OUTCOME_UNKNOWN, closes_step=False), looked=True)
    ],
    "drifted": lambda s, _: [halted(the_switch(s), Cause.DRIFT)],
    "restarted": lambda s, _: [ev.Restarted(4711)],
    "drift": lambda s, share: [
        ev.DriftSeen(p, s.points[p].native, shown) for p, shown in _shown(s, share).items()
    ],
    "ordered": lambda s, _: [ev.RestoreAsked({p: drift.seen for p, drift in s.drift.items()})],
    "left": lambda s, _: [ev.DriftLeft({p: drift.seen for p, drift in s.drift.items()})],
    "traced": lambda s, who: [ev.DriftTraced(_first(s), who, "ModifyListener", at(0))],
    "restoring": lambda s, _: [ev.RestoreStarted(_first(s), s.drift[_first(s)].seen, s.points[_first(s)].native)],
    "restored": lambda s, _: [ev.Restored(_first(s), s.points[_first(s)].native)],
    "strayed": lambda s, _: [ev.RestoreLost(_first(s), "no answer")],
    "unmade": lambda s, _: [ev.RestoreUnmade(_first(s))],
    "unread": lambda s, _: [ev.RestoreUnread(_first(s), "no answer")],
    "refused": lambda s, _: [ev.RestoreRefused(_first(s), "nobody is healthy")],
    "adopted": lambda s, share: [ev.Adopted(_shown(s, share))],
}  # fmt: skip
"""What the daemon does, and `adopted:SHARE`: green has SHARE tenths at every switch point."""

OPERATORS_WORDS = ("adopted", "ordered", "left")

ASKED: dict[str, Callable[[int, Plan, tuple[str, ...]], ad.AnyRequest]] = {
    "requested": lambda n, plan, names: ad.Deploy(switch=f"s{n + 1}", version="2", pinned=pinned(plan, names)),
    "failback": lambda n, plan, names: ad.Failback(switch=f"s{n + 1}", pinned=pinned(plan, names), reason="because"),
    "approved": lambda *_: ad.Approve(),
    "paused": lambda *_: ad.Pause(),
    "resumed": lambda *_: ad.Resume(),
    "promoted": lambda *_: ad.Promote(),
    "aborted": lambda *_: ad.Abort(),
    "accepted": lambda *_: ad.Accept(check="errors", reason="known"),
    "stopped": lambda *_: ad.Stop(reason="odd"),
    "released": lambda *_: ad.Release(),
}
"""What an operator asks for: through `admit`, so that no history in words is unlawful."""

SHIFTING = "requested preflight deployed healthy smoke"
"""Up to the first shift step."""
DEPLOYED = f"{SHIFTING} set:50 watched:60 reached:0 set:500 watched:60 reached:1 set:1000 shifted watched:30 baked kept"
"""A whole deployment: green is live, blue is warm."""
