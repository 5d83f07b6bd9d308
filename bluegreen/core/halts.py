"""Which ways on and back are lawful now, and what each does to the traffic. Pure.

One list serves the HTTP document, the command line, the page and the notices. It is made by asking `admit` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bluegreen.core import admit as ad
from bluegreen.core.admit_drift import answered
from bluegreen.core.flag_ways import ways
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Cause, Condition, Plan, Weights, percent


@dataclass(frozen=True, slots=True)
class Option:
    """One verb, as of now: `effect` is what it does to the traffic; `why_not` is empty when it is lawful."""

    verb: str
    lawful: bool
    effect: str
    command: str
    why_not: str = ""


def options(state: ServiceState, environments: Sequence[str], now: datetime) -> tuple[Option, ...]:
    """Every verb of an operator with its effect, or why it is not lawful now. The lawful ones come first."""
    service = state.service
    pinned = ad.Pinned(Plan(tuple(state.points), (WHOLE,)), tuple(environments), "", "")
    asked: list[tuple[str, ad.AnyRequest, str, str]] = [
        *_drifted(state),
        ("approve", ad.Approve(), _next_share(state), f"bluegreen approve {service}"),
        ("resume", ad.Resume(), _resumed(state), f"bluegreen resume {service}"),
        *_acceptable(state),
        ("promote", ad.Promote(), _all_to_candidate(state), f"bluegreen promote {service}"),
        ("pause", ad.Pause(), "none", f"bluegreen pause {service}"),
        ("halt", ad.Stop(reason="."), "none", f'bluegreen halt {service} --reason "…"'),
        ("abort", ad.Abort(), "none", f"bluegreen abort {service}"),
        (
            "deploy",
            ad.Deploy(switch="?", version="?", pinned=pinned),
            "none until smoke has passed, then as the plan says",
            f"bluegreen deploy {service} VERSION",
        ),
        (
            "failback",
            ad.Failback(switch="?", pinned=pinned, reason="."),
            _back(state),
            f'bluegreen failback {service} --reason "…"',
        ),
        *[
            ("release", ad.Release(environment=name), f"none; no failback to {name or 'it'} after it", command)
            for name, command in _releases(state)
        ],
    ]
    made = [_option(state, now, *one) for one in asked]
    before_failback = next(at for at, option in enumerate(made) if option.verb == "failback")
    made[before_failback:before_failback] = _flags(state)
    return tuple(sorted(made, key=lambda option: not option.lawful))


def _flags(state: ServiceState) -> list[Option]:
    """A smaller way out than a failback."""
    return [
        Option("flag", not way.why_not, "" if way.why_not else way.effect, way.command, way.why_not)
        for way in ways(state)
    ]


def _option(state: ServiceState, now: datetime, verb: str, request: ad.AnyRequest, effect: str, command: str) -> Option:
    try:
        ad.admit(request, state, now)
    except Refused as refusal:
        return Option(verb, False, "", command, str(refusal))
    return Option(verb, True, effect, command)


def _drifted(state: ServiceState) -> list[tuple[str, ad.AnyRequest, str, str]]:
    """The answers to a drift. What `adopt` takes is only known when the balancers are read: here, what they showed."""
    service, drifts = state.service, state.drift
    if not (drifts or state.unsettled or state.restore or state.distrust or _drift_halt(state)):
        return []
    ids = answered(drifts)
    chosen = [drift for drift in drifts.values() if drift.id in ids and not drift.what]
    seen = {name: drift.seen for name, drift in drifts.items() if not drift.what} or {"?": Weights.of({"?": 1})}
    back = "; ".join(f"{drift.point} goes from {drift.seen} to {drift.expected}" for drift in chosen)
    taken = "; ".join(f"{name}: {drift.seen}" for name, drift in drifts.items() if not drift.what)
    return [
        ("restore", ad.Restore(drift=ids, reason="."), back, f'bluegreen restore {service} --reason "…"'),
        ("adopt", ad.Adopt(seen=seen), f"none; the journal takes {taken or 'what the balancer shows'}",
         f"bluegreen adopt {service}"),
        ("leave", ad.Leave(drift=ids, reason="."), "none; nothing is written, nobody is alarmed by it any more",
         f'bluegreen leave {service} --reason "…"'),
    ]  # fmt: skip


def _drift_halt(state: ServiceState) -> bool:
    switch = state.open_switch
    return switch is not None and switch.halt is not None and switch.halt.cause is Cause.DRIFT


def _acceptable(state: ServiceState) -> list[tuple[str, ad.AnyRequest, str, str]]:
    switch = state.open_switch
    if switch is None or switch.halt is None:
        return []
    return [
        (
            "accept",
            ad.Accept(check=finding.check, reason="."),
            _resumed(state),
            f'bluegreen accept {state.service} {finding.check} --reason "…"',
        )
        for finding in switch.halt.failed()
        if finding.acceptable and finding.check not in switch.accepted
    ]


def _releases(state: ServiceState) -> list[tuple[str | None, str]]:
    """Each warm environment with its command; one line that says why not where none is warm."""
    command = f"bluegreen release {state.service}"
    if len(state.warm) <= 1:
        return [(next(iter(state.warm), None), command)]
    return [(name, f"{command} --environment {name}") for name in state.warm]


def _resumed(state: ServiceState) -> str:
    switch = state.open_switch
    if switch is None:
        return "none"
    if switch.condition is Condition.HALTED:
        return f"none at first: {switch.phase.value.replace('_', ' ')} runs again; {_onward(state, switch)}"
    return _onward(state, switch)


def _onward(state: ServiceState, switch: Switch) -> str:
    following = [step for step in switch.steps[switch.index :] if step > state.share(switch.candidate)]
    if not following:
        return f"{switch.candidate} stays at {percent(state.share(switch.candidate))}"
    return f"then {switch.candidate} goes to {', '.join(percent(step) for step in following)}"


def _next_share(state: ServiceState) -> str:
    switch = state.open_switch
    if switch is None or switch.index + 1 >= len(switch.steps):
        return "none"
    return f"{switch.candidate} goes to {percent(switch.steps[switch.index + 1])}"


def _all_to_candidate(state: ServiceState) -> str:
    switch = state.open_switch
    return f"{switch.candidate} goes to 100%, after its checks have run again" if switch else "none"


def _back(state: ServiceState) -> str:
    try:
        target, source, _ = ad.failback_target(state)
    except Refused:
        return "none"
    return f"{target} goes to 100%, {source} to 0%, after {target} was proven"
