"""Freezes: times in which no new risk is begun. A failback is never frozen, nor is anything at a halt. Pure.

Windows become instants where the configuration is read; here is only what is in force at the moment of a request.
"""

from __future__ import annotations

from collections.abc import Sequence

from bluegreen.core.requests import Approve, Deploy, Frozen, Promote, Release, Request
from bluegreen.core.state import ServiceState
from bluegreen.errors import Refused
from bluegreen.model import Condition

FREEZABLE: dict[str, type[Request]] = {"deploy": Deploy, "approve": Approve, "promote": Promote, "release": Release}
"""What begins a new risk: a release, more traffic for it, the end of the way back."""


def no_freeze(request: Request, state: ServiceState) -> None:
    """Raises Refused where a freeze is in force for what is asked, and nobody has overridden it."""
    holding = held(request, state)
    if not holding or request.override_freeze:
        return
    last = max(holding, key=lambda one: one.until)
    verb = next(verb for verb, kind in FREEZABLE.items() if isinstance(request, kind))
    raise Refused(
        f"{verb} is frozen for {state.service} until {last.until:%Y-%m-%d %H:%M} UTC: {told(holding)}",
        "wait until then, or override it: --override-freeze --reason TEXT; a failback is never frozen",
    )


def held(request: Request, state: ServiceState) -> tuple[Frozen, ...]:
    """The freezes that hold this request up. None does at a halt: whatever ends it stays possible."""
    switch = state.open_switch
    if switch is not None and switch.condition is Condition.HALTED:
        return ()
    return tuple(one for one in request.frozen if any(isinstance(request, FREEZABLE[verb]) for verb in one.actions))


def period(one: Frozen) -> str:
    """What it holds up and when, in a line."""
    why = f" ({one.why})" if one.why else ""
    return f"{', '.join(one.actions)} from {one.since:%Y-%m-%d %H:%M} until {one.until:%Y-%m-%d %H:%M} UTC{why}"


def told(freezes: Sequence[Frozen]) -> str:
    """Their names, and why they are there."""
    return "; ".join(f"{one.name} ({one.why})" if one.why else one.name for one in freezes)
