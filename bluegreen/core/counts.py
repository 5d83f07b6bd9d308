"""What a switch counts and remembers of its own entries: halts, watched seconds, words, and how old they are. Pure.

Part of the fold: `phases.apply` asks this once the tables have said that the entry is lawful.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bluegreen.core import events as ev
from bluegreen.core.state import Halt, Switch
from bluegreen.model import WHOLE, Kind, Phase

WORD_SECONDS = 900.0
"""How old an operator's word to fail back may be, for another process to go on with it: people may have done something
else meanwhile."""
PREFLIGHT_SECONDS = 900.0
"""How old a preflight may be, for a deployment to begin on it after a restart or a person's wait."""
CLOCK_BACK_SECONDS = 300.0
"""How far before the last entry a new process may find the clock: beyond it nobody knows how old anything is."""


def counted(switch: Switch, record: ev.Record, last: datetime) -> Switch:
    """What the switch itself counts and remembers. `last` is the time of the entry before this one."""
    match record.event:
        case ev.Halted() as event:
            halt = Halt(
                event.halt, record.at, record.by, event.phase, event.cause, event.summary, event.advice, event.findings,
                event.output, event.looked,
            )  # fmt: skip
            return replace(switch, halt=halt, halts=switch.halts + 1, awaiting_approval=False)
        case ev.Restarted():
            aged = (record.at - switch.word_at).total_seconds() > WORD_SECONDS
            back = (last - record.at).total_seconds()
            return replace(
                _looked_before(switch, record),
                proven=False,
                word_aged=aged and switch.kind is Kind.FAILBACK,
                clock_back=back if back > CLOCK_BACK_SECONDS else switch.clock_back,
            )
        case ev.Paused():
            return replace(switch, paused_by=record.by)
        case ev.ApprovalAwaited():
            return replace(switch, awaiting_approval=True)
        case ev.Approved():
            return replace(_worded(switch, record), approved=switch.index)
        case ev.Promoted():
            return replace(_worded(switch, record), steps=(*switch.steps[: switch.index], WHOLE))
        case ev.Resumed():
            return _looked_before(_worded(switch, record), record)
        case ev.PreflightPassed():
            return replace(switch, preflight_at=record.at, preflight_aged=False)
        case ev.CheckAccepted(check=check):
            return replace(switch, accepted=switch.accepted | {check})
        case ev.Watched(seconds=seconds):
            return replace(switch, watched=switch.watched + seconds)
        case ev.StepReached(index=index):
            return replace(switch, index=index + 1, watched=0.0, lost=0)
        case ev.Shifted():
            return replace(switch, watched=0.0)
        case ev.WeightsSet():
            return replace(switch, lost=0)
        case ev.SmokePassed() | ev.WarmProven():
            return replace(switch, proven=True)
        case ev.OutcomeLost(reason=why, advice=advice):
            return replace(switch, lost=switch.lost + 1, lost_why=why, lost_advice=advice)
        case _:
            return switch


def _worded(switch: Switch, record: ev.Record) -> Switch:
    """A person said: go on."""
    return replace(switch, awaiting_approval=False, paused_by="", word_at=record.at, word_aged=False, clock_back=0.0)


def _looked_before(switch: Switch, record: ev.Record) -> Switch:
    """Something came between the preflight and the deployment that it was made for."""
    if switch.phase is not Phase.DEPLOY or switch.preflight_at is None:
        return switch
    aged = abs((record.at - switch.preflight_at).total_seconds()) > PREFLIGHT_SECONDS
    return replace(switch, preflight_aged=aged or switch.preflight_aged)
