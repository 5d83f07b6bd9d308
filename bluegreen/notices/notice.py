"""A notice, in the forms in which it is sent: a CloudEvent, and a text for people. It says what the API says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bluegreen.core.due import Due
from bluegreen.core.halts import options
from bluegreen.core.state import ServiceState
from bluegreen.core.ways import Option
from bluegreen.engine import ServiceEngine

HEADS = {"halt": "HALTED", "reminder": "STILL HALTED", "pause": "AWAITED", "warm": "FAILBACK NOT READY",
         "unread": "BALANCER"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """`id` is the same whenever this notice is sent again: whoever takes it twice can tell."""

    id: str
    kind: str
    service: str
    at: datetime
    times: int
    summary: str
    advice: str
    by: str
    switch: str | None
    halt: str | None
    claimed_by: str | None
    traffic: Mapping[str, str]
    ways: Sequence[Option]
    """What a person may do now, as everywhere; without the ways that are not possible."""

    def cloud_event(self) -> dict[str, Any]:
        """CloudEvents 1.0, structured JSON."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/bluegreen/services/{self.service}",
            "type": f"dev.bluegreen.{self.kind}.v1",
            "time": self.at.isoformat().replace("+00:00", "Z"),
            "subject": self.switch or self.service,
            "datacontenttype": "application/json",
            "data": {
                "service": self.service, "times": self.times, "summary": self.summary, "advice": self.advice,
                "by": self.by, "switch": self.switch, "halt": self.halt, "claimed_by": self.claimed_by,
                "traffic": dict(self.traffic), "ways": [_way(one) for one in self.ways],
            },
        }  # fmt: skip

    def json(self) -> bytes:
        """The CloudEvent as bytes."""
        return json.dumps(self.cloud_event(), ensure_ascii=False).encode()

    def text(self) -> str:
        """For people: what, where the traffic is, who has it, what to type."""
        again = f" (notice {self.times})" if self.times > 1 else ""
        lines = [f"{HEADS.get(self.kind, self.kind.upper())} {self.service}{again}: {self.summary}"]
        lines += [self.advice] if self.advice else []
        lines += [f"{point}: {split}" for point, split in self.traffic.items()]
        if self.kind == "halt":
            lines.append(f"nobody has it yet: bluegreen claim {self.service}")
        if self.kind in ("halt", "reminder"):
            lines.append("Traffic stays as it is until a person decides.")
        return "\n".join([*lines, *(line for way in self.ways for line in _told(way))])


def notice(due: Due, engine: ServiceEngine, now: datetime) -> Notice:
    """What is said of it now; a way that a freeze holds up is not among the ways."""
    state, setup = engine.state, engine.setup
    switch, claim = state.switch, state.notes.line.claim
    made = options(
        state, setup.environments, now, setup.deployment, setup.failback, engine.freezes.active(now),
        dict(engine.readiness),
    )  # fmt: skip
    lawful = tuple(one for one in made if one.lawful and one.command)
    return Notice(
        id=f"{due.subject}/{due.times}", kind=due.kind, service=state.service, at=now, times=due.times,
        summary=due.summary, advice=due.advice, by=due.by, switch=switch.id if switch else None,
        halt=switch.halt.id if switch and switch.halt else None, claimed_by=claim.by if claim else None,
        traffic={name: _traffic(state, name) for name in state.points},
        ways=lawful if due.kind in ("halt", "reminder", "pause", "drift") else (),
    )  # fmt: skip


def _way(way: Option) -> dict[str, Any]:
    return {
        "verb": way.verb, "label": way.label or way.verb, "command": way.command, "effect": way.effect,
        "moves_traffic": way.moves_traffic, "duration": way.duration, "risk": way.risk,
    }  # fmt: skip


def _told(way: Option) -> list[str]:
    """What to type, what it does to the traffic, and what it risks."""
    moves = "traffic MOVES" if way.moves_traffic else "traffic stays"
    takes = f"; takes {way.duration}" if way.duration else ""
    risk = f"; risk: {way.risk}" if way.risk else ""
    return [f"  {way.label or way.verb}: {way.command}", f"    {moves}: {way.effect}{takes}{risk}"]


def _traffic(state: ServiceState, point: str) -> str:
    """Where it goes there, as far as the journal knows."""
    asked, drift = state.points[point].split, state.drift.get(point)
    if drift is not None:
        return f"{drift.shows}, the journal says {asked}"
    return (
        f"not known: what became of a write is being looked up; before it: {asked}"
        if point in state.in_doubt
        else str(asked)
    )
