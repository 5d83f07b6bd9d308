"""Who may claim a halt, and hand it back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bluegreen.core.event import Event
from bluegreen.core.notes.line import ClaimDropped, Claimed
from bluegreen.core.state import ServiceState
from bluegreen.errors import Refused, StateMoved


def claim(state: ServiceState, who: str, halt: str | None, *, drop: bool = False) -> Sequence[Event]:
    """`who` has the halt in hand, or hands it back. Nothing where it is so already. Raises Refused, StateMoved."""
    switch = state.open_switch
    if switch is None or switch.halt is None:
        raise Refused(f"{state.service}: nothing is halted", "there is nothing to claim")
    if halt is not None and halt != switch.halt.id:
        raise StateMoved(f"the answer is to halt {halt}; the halt now is {switch.halt.id}", "look again")
    present = state.notes.line.claim
    if drop:
        if present is None:
            raise Refused(f"nobody has {switch.halt.id} in hand", f"to take it: bluegreen claim {state.service}")
        return (ClaimDropped(switch.halt.id),)
    if present is not None and present.by == who:
        return ()
    return (Claimed(switch.halt.id),)
