"""Which ways on and back are lawful now, and what each does to the traffic. Pure.

One list serves the HTTP document, the command line, the page and the notices. It is made by asking `admit` itself: what
it calls lawful is taken, and what it does not is refused in these very words. The lawful ways come first, the safest
before the others.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from bluegreen.core import admit as ad
from bluegreen.core import ahead, flag_ways, risks, unknown
from bluegreen.core.admit_drift import answered
from bluegreen.core.ahead import Moved
from bluegreen.core.durations import AT_ONCE, OPEN_ENDED, Expected, expected
from bluegreen.core.readiness import Readiness
from bluegreen.core.requests import Frozen
from bluegreen.core.state import Halt, ServiceState, Switch
from bluegreen.core.ways import ORDER, Option, Scene, Way
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Cause, Condition, Finding, Kind, Phase, Plan, Weights


def options(
    state: ServiceState,
    environments: Sequence[str],
    now: datetime,
    deployment: Plan | None = None,
    failback: Plan | None = None,
    frozen: tuple[Frozen, ...] = (),
    readiness: Mapping[str, Readiness] = MappingProxyType({}),
) -> tuple[Option, ...]:
    """Every verb of an operator with what it does, or why it is not lawful now. `deployment` and `failback` are the
    plans as configured now; without them a switch goes to everything at once. `frozen`: the freezes in force;
    `readiness`: what is proven of each environment that a failback may go to."""
    at_once = Plan(tuple(state.points), (WHOLE,))
    scene = Scene(state, tuple(environments), deployment or at_once, failback or at_once, now, frozen, readiness)
    made = [*(_option(scene, way) for way in _ways(scene)), *_flags(state)]
    return tuple(sorted(made, key=lambda option: (not option.lawful, ORDER.index(option.verb))))


def advised(halt: Halt, state: ServiceState) -> str:
    """What to do first. What another hand has changed since comes before all else: nothing goes on or back before it
    is answered. Where all that failed fails on the live side too, nothing that this switch can do mends it."""
    said = halt.advice
    if halt.failed() and len(state.notes.evidence.shared(halt.id)) >= len(halt.failed()):
        said = (
            "it fails on the live side too: mend what both sides share, or the check itself, then `resume`; "
            "to move traffic mends nothing"
        )
    if not state.drift or halt.cause is Cause.DRIFT:
        return said
    first = f"first answer what another hand has changed: bluegreen restore {state.service}, or adopt"
    return f"{first}; then: {said}" if said else first


def _flags(state: ServiceState) -> Iterator[Option]:
    """A smaller way out than a failback: it moves no traffic."""
    for one in flag_ways.ways(state):
        effect = "" if one.why_not else one.effect
        stays = () if one.why_not else ahead.still(state)
        yield Option(
            "flag", not one.why_not, effect, one.command, one.why_not, f"flag {one.name}", one.name, stays,
            duration="at once", risk="whoever needs the flag has to do without it",
        )  # fmt: skip


def _option(scene: Scene, way: Way) -> Option:
    label = way.label or way.verb
    try:
        if way.request is not None:
            scene.admit(way.request)
    except Refused as refusal:
        return Option(
            way.verb, False, "", way.command, refusal.what, label, way.subject, instead=refusal.advice
        )  # fmt: skip
    moves = any(row.moves for row in way.traffic)
    effect = f"{way.effect}: {ahead.told(way.traffic)}" if way.traffic else way.effect
    return Option(
        way.verb, True, effect, way.command, "", label, way.subject, way.traffic, moves, way.takes.seconds,
        way.takes.words, way.risk,
    )  # fmt: skip


def _ways(scene: Scene) -> Iterator[Way]:
    state, service = scene.state, scene.state.service
    stays = ahead.still(state)
    if (switch := state.open_switch) is not None and switch.condition is Condition.HALTED:
        yield Way("hold", None, f"bluegreen claim {service}", "none", stays, OPEN_ENDED, risks.staying(state))
    yield Way("pause", ad.Pause(), f"bluegreen pause {service}", "none", stays, AT_ONCE, risks.staying(state))
    yield Way("halt", ad.Stop(reason="."), f'bluegreen halt {service} --reason "…"', "none", stays, AT_ONCE,
              risks.staying(state))  # fmt: skip
    yield from _drifted(scene)
    yield from _onward(scene)
    yield _forward(scene)
    yield _promoted(scene)
    yield Way("abort", ad.Abort(), f"bluegreen abort {service}", "none", stays, AT_ONCE,
              risks.leaving_off(switch) if switch else risks.NONE)  # fmt: skip
    yield _back(scene)
    yield from _releases(scene)


# --- on ---


def _onward(scene: Scene) -> Iterator[Way]:
    """Going on: after a pause, an awaited approval, a halt; and past each failed check that may be accepted."""
    state, switch = scene.state, scene.state.open_switch
    approve, resume = f"bluegreen approve {state.service}", f"bluegreen resume {state.service}"
    if switch is None:
        yield Way("approve", ad.Approve(), approve, "none", ())
        yield Way("resume", ad.Resume(), resume, "none", ())
        return
    yield _approved(scene, switch, approve)
    going, halted = ahead.onward(state, switch), switch.halt is not None
    effect = ahead.again(state, switch, going) if halted else ahead.goes(switch.candidate, going) or "none"
    takes = expected(state, switch.kind, going.steps, going.waits, approval=going.approval)
    takes = AT_ONCE if ahead.all_done(switch, going) and not state.in_doubt else takes
    traffic = ahead.along(state, switch, going.shares)
    retried = switch.halt is not None and switch.halt.cause not in _NOTHING_FAILED
    yield Way("resume", ad.Resume(), resume, effect, traffic, takes, _risk(state), "retry" if retried else "resume")
    for failed in _not_accepted(switch):
        yield _accepted(scene, switch, failed, effect, traffic, takes)


_NOTHING_FAILED = (Cause.OPERATOR, Cause.WITHOUT_DAEMON, Cause.CARD)
"""Halts at which a person is awaited though no step has failed: to go on is no retry."""


def _risk(state: ServiceState) -> str:
    switch = state.open_switch
    return risks.again(state) if switch is not None and switch.halt is not None else risks.going_on(state)


def _approved(scene: Scene, switch: Switch, command: str) -> Way:
    """The next step, and from there to the next approval."""
    state, following = scene.state, replace(switch, approved=switch.index)
    going = ahead.onward(state, following)
    takes = expected(state, switch.kind, going.steps, going.waits, approval=going.approval)
    effect = ahead.goes(switch.candidate, going) or "none"
    traffic = ahead.along(state, switch, going.shares)
    return Way("approve", ad.Approve(), command, effect, traffic, takes, risks.going_on(state))


def _not_accepted(switch: Switch) -> list[Finding]:
    """What failed and was not accepted yet; of what can not be, the refusal says why."""
    failed = switch.halt.failed() if switch.halt is not None else ()
    return [one for one in failed if one.check not in switch.accepted]


def _accepted(
    scene: Scene, switch: Switch, failed: Finding, effect: str, traffic: tuple[Moved, ...], takes: Expected
) -> Way:
    """Past one failed check. Where others failed too it stays halted by those."""
    state = scene.state
    command = f'bluegreen accept {state.service} {shlex.quote(failed.check)} --reason "…"'
    others = switch.halt.failed() if switch.halt is not None else ()
    rest = [one.check for one in others if one.check not in {*switch.accepted, failed.check}]
    if rest:
        effect, traffic, takes = f"none: it stays halted by {', '.join(rest)}", ahead.still(state), AT_ONCE
    request = ad.Accept(check=failed.check, reason=".")
    risk = risks.accepting(failed)
    return Way("accept", request, command, effect, traffic, takes, risk, f"accept {failed.check}", failed.check)


def _promoted(scene: Scene) -> Way:
    state, switch = scene.state, scene.state.open_switch
    command = f"bluegreen promote {state.service}"
    if switch is None or switch.phase is not Phase.SHIFT:
        return Way("promote", ad.Promote(), command, "none", ())
    going = ahead.onward(state, switch, (*switch.steps[: switch.index], WHOLE))
    takes = expected(state, switch.kind, going.steps, going.waits, approval=going.approval)
    effect = f"{switch.candidate} goes to 100% at once, after its checks have run again"
    traffic, risk = ahead.along(state, switch, going.shares), risks.everything_at_once(state, switch)
    return Way("promote", ad.Promote(), command, effect, traffic, takes, risk)


# --- forward and back ---


def _forward(scene: Scene) -> Way:
    """A new version, by the same pipeline. At a halt with nothing but a warm environment free it has to be said that
    this one is given up: the way forward is there from every halt."""
    request = ad.Deploy(switch="?", version="?", pinned=scene.pinned(scene.deployment), reason=".")
    replacing = replace(request, replace_warm=True)
    if scene.state.open_switch is not None and not _is_admitted(scene, request) and _is_admitted(scene, replacing):
        return _new_version(scene, replacing)
    return _new_version(scene, request)


def _new_version(scene: Scene, request: ad.Deploy) -> Way:
    state, switch = scene.state, scene.state.open_switch
    asked = ' --replace-warm --reason "…"' if request.replace_warm else ""
    command = f"bluegreen deploy {state.service} VERSION{asked}"
    label = "roll forward" if switch is not None and switch.condition is Condition.HALTED else "deploy"
    try:
        candidate = ad.choose_candidate(request, state, scene.now)
    except Refused:
        return Way("deploy", request, command, "none", (), label=label)
    going = ahead.planned(state, scene.deployment, candidate, forward=True)
    others = (state.live, *((switch.candidate, switch.source) if switch is not None else ()))
    place = f"{candidate}, a third environment," if switch is not None and candidate not in others else candidate
    return Way(
        "deploy", request, command,
        f"none until VERSION is in {place} and its checks have passed; then {ahead.goes(candidate, going)}",
        ahead.begun(state, candidate, state.live or "", going.shares),
        expected(state, Kind.DEPLOYMENT, going.steps, going.waits, approval=going.approval),
        risks.forward(state, candidate, replaces_warm=request.replace_warm),
        label,
        candidate,
    )  # fmt: skip


def _is_admitted(scene: Scene, request: ad.Deploy) -> bool:
    try:
        scene.admit(request)
    except Refused:
        return False
    return True


def _back(scene: Scene) -> Way:
    state = scene.state
    command = f'bluegreen failback {state.service} --reason "…"'
    request = ad.Failback(switch="?", pinned=scene.pinned(scene.failback), reason=".")
    try:
        target, source, _ = ad.failback_target(state)
    except Refused:
        return Way("failback", request, command, "none", ())
    going = ahead.planned(state, scene.failback, target, forward=False)
    effect = f"{ahead.goes(target, going) or f'{target} keeps all'}, after {target} was proven"
    if state.in_doubt:  # its own first step is the look
        effect = (
            f"none until that is known: {unknown.what(state)}; then {target} goes to 100%, after {target} was proven"
        )
    return Way(
        "failback", request, command,
        effect,
        ahead.all_to(state, target),
        expected(state, Kind.FAILBACK, going.steps, going.waits, approval=going.approval),
        risks.back(state, target, source, scene.ill(target)),
        subject=target,
    )  # fmt: skip


def _releases(scene: Scene) -> Iterator[Way]:
    """Each warm environment; one that says why not where none is warm."""
    state, command = scene.state, f"bluegreen release {scene.state.service}"
    names: list[str | None] = [*state.warm] or [None]
    for name in names:
        full = f"{command} --environment {name}" if len(state.warm) > 1 else command
        risk = f"there is no failback to {name} afterwards: the way back is a deployment"
        effect = f"none; no failback to {name} after it"
        yield Way("release", ad.Release(environment=name), full, effect, ahead.still(state), AT_ONCE, risk,
                  subject=name or "")  # fmt: skip


# --- after another hand ---


def _drifted(scene: Scene) -> Iterator[Way]:
    """The answers to a drift. What `adopt` takes is only known when the balancers are read: here, what they showed."""
    state, service, drifts = scene.state, scene.state.service, scene.state.drift
    if not (drifts or state.unsettled or state.restore or state.distrust or _drift_halt(state)):
        return
    ids, stays = answered(drifts), ahead.still(state)
    yield Way("leave", ad.Leave(drift=ids, reason="."), f'bluegreen leave {service} --reason "…"',
              "none; nothing is written, nobody is alarmed by it any more", stays, AT_ONCE,
              "what the journal says and what the balancer does stay different")  # fmt: skip
    seen = {name: drift.seen for name, drift in drifts.items() if not drift.what} or {"?": Weights.of({"?": 1})}
    taken = "; ".join(f"{name}: {drift.seen}" for name, drift in drifts.items() if not drift.what)
    yield Way("adopt", ad.Adopt(seen=seen), f"bluegreen adopt {service}",
              f"none; the journal takes {taken or 'what the balancer shows'}", stays, AT_ONCE,
              "what another hand did becomes what the next step builds on")  # fmt: skip
    chosen = [drift for drift in drifts.values() if drift.id in ids and not drift.what]
    back = "; ".join(f"{drift.point} goes from {drift.seen} to {drift.expected}" for drift in chosen)
    takes = expected(state, Kind.DEPLOYMENT, ["set_weights"] * len(chosen), 0.0)
    yield Way("restore", ad.Restore(drift=ids, reason="."), f'bluegreen restore {service} --reason "…"', back,
              ahead.put_back(state, {drift.point for drift in chosen}), takes,
              "whoever changed it may have had a reason, and may change it again")  # fmt: skip


def _drift_halt(state: ServiceState) -> bool:
    switch = state.open_switch
    return switch is not None and switch.halt is not None and switch.halt.cause is Cause.DRIFT
