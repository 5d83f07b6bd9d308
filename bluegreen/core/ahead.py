"""Where the traffic will be: for each way on or back, the split at each switch point now, and where it ends. Pure.

What is said here is what the engine does when all goes well; a test takes every way at every halt and compares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bluegreen.core import unknown
from bluegreen.core.decide import divided, target_split
from bluegreen.core.service import as_split
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import WHOLE, Kind, Phase, Plan, Weights, percent

ORDER = (Phase.PREFLIGHT, Phase.DEPLOY, Phase.WAIT_HEALTHY, Phase.SMOKE, Phase.SHIFT, Phase.BAKE, Phase.KEEP_WARM)
"""The phases of a deployment, in their order."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One switch point's split, in tenths: `now` None where it is not known, `after` where a way ends."""

    point: str
    now: Weights | None
    after: Weights | None

    @property
    def moves(self) -> bool:
        """Whether anything is another one afterwards; unknown is never taken for the same."""
        return self.after is not None and (self.now is None or not self.now.same_split(self.after))


@dataclass(frozen=True, slots=True)
class Onward:
    """What a switch still does when it goes on: the steps by name, the shares that the candidate still goes to (in
    tenths), the planned waits in seconds, and whether it ends at a person's approval."""

    steps: tuple[str, ...]
    shares: tuple[int, ...]
    waits: float
    approval: bool


# --- where each switch point goes ---


def still(state: ServiceState) -> tuple[Moved, ...]:
    """Nothing moves."""
    return tuple(Moved(name, now, now) for name, now in _now(state).items())


def all_to(state: ServiceState, environment: str) -> tuple[Moved, ...]:
    """The environment gets everything."""
    return tuple(
        Moved(name, now, Weights.of({one: WHOLE * int(one == environment) for one in _names(state, name, environment)}))
        for name, now in _now(state).items()
    )


def along(state: ServiceState, switch: Switch, shares: Sequence[int]) -> tuple[Moved, ...]:
    """The candidate rises to the last of `shares`; nothing moves where there is none."""
    if not shares:
        return still(state)
    return tuple(
        Moved(name, now, target_split(switch, name, state.points[name].split, shares[-1]))
        if name in switch.base
        else Moved(name, now, now)
        for name, now in _now(state).items()
    )


def begun(state: ServiceState, candidate: str, source: str, shares: Sequence[int]) -> tuple[Moved, ...]:
    """A new switch to the candidate, up to the last of `shares`."""
    return tuple(
        Moved(name, now, divided(as_split(state.points[name].native), shares[-1], candidate, source))
        for name, now in _now(state).items()
    )


def put_back(state: ServiceState, points: Collection[str]) -> tuple[Moved, ...]:
    """What the journal says is written to these switch points."""
    return tuple(
        Moved(name, now, as_split(state.points[name].native) if name in points else now)
        for name, now in _now(state).items()
    )


def _now(state: ServiceState) -> Mapping[str, Weights | None]:
    """What each switch point shows: as on record, or as another hand has set it."""
    shown: dict[str, Weights | None] = {}
    for name, point in state.points.items():
        drift = state.drift.get(name)
        seen = drift.seen if drift is not None else point.native
        shown[name] = None if name in state.in_doubt or not seen.total else as_split(seen)
    return shown


def _names(state: ServiceState, point: str, environment: str) -> list[str]:
    return sorted({*state.points[point].native, environment})


# --- what is still to be done ---


def onward(state: ServiceState, switch: Switch, steps: Sequence[int] | None = None) -> Onward:
    """What the open switch still does when a person lets it go on; with `steps` in place of its own."""
    switch = switch if steps is None else replace(switch, steps=tuple(steps))
    least = min((point.split.share(switch.candidate) for point in state.points.values()), default=0)
    taken, approval = _until_approval(switch)
    shares = tuple(share for share in taken if share > least)
    forward, at = switch.kind is Kind.DEPLOYMENT, ORDER.index(switch.phase)
    steps_ahead = _looks(switch, at, again=bool(shares))
    steps_ahead += ["set_weights"] * sum(_writes(state, switch, share) for share in taken)
    waits = 0.0
    if at <= ORDER.index(Phase.SHIFT):
        waits += (switch.plan.wait_seconds or 0.0) * sum(
            not _was_there(switch, one) for one in switch.steps[switch.index : -1]
        )
    if not approval and forward and at <= ORDER.index(Phase.BAKE):
        waits += switch.plan.bake_seconds
    return Onward(tuple(steps_ahead), shares, max(waits - switch.watched, 0.0), approval)


def planned(state: ServiceState, plan: Plan, candidate: str, *, forward: bool) -> Onward:
    """What a switch to the candidate does that is begun now."""
    least = min((point.native.share(candidate) for point in state.points.values()), default=0)
    rising = tuple(share for share in plan.steps if share > least)
    approval = plan.wait_seconds is None and len(rising) > 1
    shares = rising[:1] if approval else rising
    looks = ["preflight", "deploy", "wait_healthy", "smoke"] if forward else ["preflight"]
    waits = (plan.wait_seconds or 0.0) * max(len(rising) - 1, 0) + (plan.bake_seconds if not approval else 0.0)
    return Onward((*looks, *["set_weights"] * (len(shares) * len(plan.points))), shares, waits, approval)


def _until_approval(switch: Switch) -> tuple[tuple[int, ...], bool]:
    """The shift steps up to the next one after which a person's word is awaited; whether there is one."""
    if ORDER.index(switch.phase) > ORDER.index(Phase.SHIFT):
        return (WHOLE,), False
    taken: list[int] = []
    for index, share in enumerate(switch.steps[switch.index :], switch.index):
        taken.append(share)
        free = _was_there(switch, share) or switch.plan.wait_seconds is not None or switch.approved == index
        if index < len(switch.steps) - 1 and not free:
            return tuple(taken), True
    return tuple(taken), False


def _was_there(switch: Switch, share: int) -> bool:
    """Whether the candidate had that share before the switch began: nothing moves, and nothing is waited for."""
    return all(base.share(switch.candidate) >= share for base in switch.base.values())


def _looks(switch: Switch, at: int, *, again: bool) -> list[str]:
    """The steps before the next share; `again`: what was good before a halt or a pause is asked again."""
    if switch.kind is Kind.FAILBACK:
        return ["preflight"] if again or at == 0 else []
    if at >= ORDER.index(Phase.SHIFT):
        return ["smoke"] if again else []
    return [phase.value for phase in ORDER[at : ORDER.index(Phase.SHIFT)]]


def _writes(state: ServiceState, switch: Switch, share: int) -> int:
    return sum(state.points[name].split.share(switch.candidate) < share for name in switch.plan.points)


# --- in words ---


def told(rows: Sequence[Moved]) -> str:
    """`blue 75% -> 50%, green 25% -> 50%`; by switch point where they differ."""
    each = {row.point: _row(row) for row in rows}
    if len(set(each.values())) <= 1:
        return next(iter(each.values()), "nothing is on record of any switch point")
    return "; ".join(f"{name}: {text}" for name, text in each.items())


def goes(candidate: str, ahead: Onward) -> str:
    """`green goes to 5%, 25%, 100%`; empty where it stays."""
    if not ahead.shares:
        return ""
    until = ", then waits for an approval" if ahead.approval else ""
    return f"{candidate} goes to {', '.join(percent(share) for share in ahead.shares)}{until}"


def again(state: ServiceState, switch: Switch, ahead: Onward) -> str:
    """What runs first when a halted switch goes on, and where it leads."""
    first = f"none at first: {switch.phase.value.replace('_', ' ')} runs again"
    if all_done(switch, ahead) and not unknown.awaited(state):
        return f"none: {switch.candidate} has all of the traffic; the {switch.kind} is put on record as done"
    if unknown.awaited(state):
        first = f"none until that is known: {unknown.what(state)}"
    then = goes(switch.candidate, ahead)
    return f"{first}; " + (f"then {then}" if then else f"{switch.candidate} stays where it is")


def all_done(switch: Switch, ahead: Onward) -> bool:
    """Whether nothing is left but to say that it is over."""
    return switch.phase is Phase.KEEP_WARM and not ahead.shares


def _row(row: Moved) -> str:
    names = sorted({*(row.now or ()), *(row.after or ())})
    if not names:
        return "not known -> not known"
    return ", ".join(f"{name} {_share(row.now, name)} -> {_share(row.after, name)}" for name in names)


def _share(split: Weights | None, name: str) -> str:
    return "?" if split is None else percent(split.share(name))
