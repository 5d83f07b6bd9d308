"""Feature flags as a smaller way out than a failback: who may set which, and what is offered at a halt. Pure.

Setting a flag ends no halt and moves no traffic at the balancer.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bluegreen.core.notes.flags import FlagSetStarted
from bluegreen.core.requests import is_said
from bluegreen.core.state import ServiceState
from bluegreen.errors import NotFound, Refused, StateMoved
from bluegreen.model import Condition

SWITCHED = ("on", "off")
NAMED_MAX = 20
"""How many names a refusal lists."""
WAYS_MAX = 10
"""How many flags are offered at a halt: those of the release first."""


@dataclass(frozen=True, slots=True)
class SetFlag:
    """A request to set a flag. `shown`: the provider's flags at this moment; `expected`: what the asker saw, where
    that was said; `halt`: the halt that this answers, where it answers one."""

    name: str
    value: str
    reason: str
    shown: Mapping[str, str]
    place: str
    writable: bool
    expected: str | None = None
    halt: str | None = None


def admit(request: SetFlag, state: ServiceState) -> FlagSetStarted:
    """The intent. Raises Refused, StateMoved and NotFound; then nothing has changed."""
    name, shown = request.name, request.shown.get(request.name)
    present = state.open_switch.halt if state.open_switch is not None else None
    if request.halt is not None and (present is None or present.id != request.halt):
        now = f"the halt now is {present.id}" if present else "nothing is halted now"
        raise StateMoved(f"the answer is to halt {request.halt}; {now}", "look again before you answer")
    if not is_said(request.reason):
        raise Refused("setting a flag needs a reason", "say why: --reason TEXT")
    if shown is None:
        raise NotFound(f"{state.service} has no flag {name!r}", f"known flags: {_named(request.shown)}")
    if not request.writable:
        raise Refused(
            f"{name} cannot be set from here: its provider can only be read", f"set it there: {request.place}"
        )
    if (act := state.notes.flags.setting.get(name)) is not None:
        raise Refused(
            f"{name} is being set to {act.value} already, as {act.by} asked",
            f"wait for what becomes of it: bluegreen flag {state.service}",
        )
    if request.expected is not None and request.expected != shown:
        raise StateMoved(f"{name} is {shown} now, not {request.expected}", "look again before you set it")
    if shown in SWITCHED and request.value not in SWITCHED:
        raise Refused(f"{name} is {shown}: it is not set to {request.value!r}", "wanted on or off")
    if shown == request.value:
        raise Refused(f"{name} is {shown} already", "there is nothing to set")
    return FlagSetStarted(name, request.value, shown, request.halt or "")


@dataclass(frozen=True, slots=True)
class Way:
    """One flag that is offered at a halt; `why_not` where the daemon cannot set it."""

    name: str
    value: str
    effect: str
    command: str
    why_not: str = ""


def ways(state: ServiceState) -> Iterator[Way]:
    """At a halt: each flag that the release's manifest names and that is on, then each that changed since the
    deployment began, back to what it was. Nothing where that is not known, or where an order is under way."""
    switch, flags = state.open_switch, state.notes.flags
    if switch is None or switch.condition is not Condition.HALTED or flags.latest is None:
        return
    offered: dict[str, str] = {}
    for name in _listed(switch.changes):
        if flags.latest.flags.get(name) == "on":
            offered[name] = "off"
    for change in flags.changed_since_deploy():
        back = change.before if change.before is not None else "off" if change.after == "on" else None
        if change.after is not None and back is not None:
            offered.setdefault(change.name, back)
    for name, value in list(offered.items())[:WAYS_MAX]:
        if name not in flags.setting:
            yield _way(state, name, value)


def _way(state: ServiceState, name: str, value: str) -> Way:
    flags = state.notes.flags
    why_not = "" if flags.writable else f"the provider of {name} can only be read; set it there: {flags.place}"
    return Way(
        name,
        value,
        f"none on the balancer; {name} goes {_to(value)} for everybody that the provider serves",
        f'bluegreen flag {state.service} {shlex.quote(name)} {shlex.quote(value)} --reason "…"',
        why_not,
    )


def _to(value: str) -> str:
    return value if value in SWITCHED else f"to {value}"


def _listed(changes: str) -> Iterator[str]:
    """The ids of a change manifest's entries of kind `flag`."""
    try:
        entries = json.loads(changes) if changes else []
    except ValueError:
        return
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("kind") == "flag" and isinstance(entry.get("id"), str):
            yield entry["id"]


def _named(flags: Mapping[str, str]) -> str:
    names = sorted(flags)
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return (", ".join(names[:NAMED_MAX]) or "none") + more
