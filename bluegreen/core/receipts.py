"""What becomes of a failback that was done without the daemon: of its receipt, and of its end in the journal. Pure.

The receipt's own records go in as they are: same ids, same times, same names, same reasons. Before them, a switch that
was open is said to be failed back from; after them, whatever they came to, a person is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bluegreen.core import events as ev
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import Cause, Condition

Made = Callable[[str, ev.Event, ev.Record], ev.Record]
"""Makes a record for (switch, event), on the word of the record's operator."""


def to_import(state: ServiceState, receipt: Sequence[ev.Record], made: Made) -> Sequence[ev.Record]:
    """What is to be appended; nothing where the journal has the receipt already, or nothing was begun by it."""
    requested = next((record for record in receipt if isinstance(record.event, ev.Requested)), None)
    taken = receipt[0].event if receipt else None
    if requested is None or not isinstance(taken, ev.CardTaken) or taken.receipt in state.receipts:
        return ()
    records = []
    if (left := state.open_switch) is not None:
        records.append(made(left.id, ev.FailedBack(str(requested.switch)), requested))
    records += [record for record in receipt if not isinstance(record.event, ev.KeptWarm)]
    after = state
    for record in records:
        after = apply(after, record)
    switch = after.open_switch
    if switch is not None and switch.open is not None:
        records.append(made(switch.id, ev.Restarted(0), requested))  # its process is gone: what it wrote is looked up
    if switch is not None and switch.condition is not Condition.HALTED:
        records.append(made(switch.id, _halted(switch), requested))
    return records


def _halted(switch: Switch) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.CARD,
        summary=f"{switch.requested_by} failed back to {switch.candidate} from the card, without this journal",
        advice="look at the balancers and at why the journal was away; `resume` when all is as it should be",
    )


def without_daemon(switch: Switch, event: ev.Event) -> ev.Event:
    """What a process that stands in for the daemon writes in place of the end of its failback: all of it is done, and
    the daemon, when it is back, goes on with nothing before a person has said so."""
    if not isinstance(event, ev.KeptWarm):
        return event
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.WITHOUT_DAEMON,
        summary=f"{switch.requested_by} failed back to {switch.candidate} without the daemon; all of it is done",
        advice="look at why the daemon was away; `resume` when all is as it should be: it moves no traffic",
    )


def distrusted(state: ServiceState, why: str) -> Sequence[ev.Event]:
    """The journal is not to be believed: a switch that goes on is halted."""
    switch = state.open_switch
    if switch is None or switch.condition is Condition.HALTED:
        return (ev.Distrusted(why),)
    advice = f"look at the balancers; if they show what is right: bluegreen adopt {state.service}, then `resume`"
    return (ev.Distrusted(why), ev.Halted(switch.next_halt(), switch.phase, Cause.CARD, why, advice))
