"""The nouns of the ways on and back: what people are offered, and what it is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bluegreen.core import admit as ad
from bluegreen.core import risks
from bluegreen.core.ahead import Moved
from bluegreen.core.durations import AT_ONCE, Expected
from bluegreen.core.readiness import Readiness
from bluegreen.core.requests import Frozen
from bluegreen.core.state import ServiceState
from bluegreen.model import Plan

ORDER = (
    "hold", "pause", "halt", "leave", "adopt", "restore", "approve", "resume", "accept", "deploy", "promote", "abort",
    "flag", "failback", "release",
)  # fmt: skip
"""The safest first: staying, then going on, then forward, then back."""


@dataclass(frozen=True, slots=True)
class Option:
    """One verb, as of now: `effect` is what it does to the traffic, `command` what to type; `why_not` is empty when it
    is lawful, and `instead` says what to do where it is not.

    `label` is what it is called here (a resume at a halt is a retry), `subject` the check or environment that it is
    about. `traffic` is the split at each switch point now and where this way ends; `moves_traffic` whether they differ.
    `seconds` is how long that is expected to take (None: nobody knows), `duration` the same in words; `risk` is what
    could go wrong.
    """

    verb: str
    lawful: bool
    effect: str
    command: str
    why_not: str = ""
    label: str = ""
    subject: str = ""
    traffic: tuple[Moved, ...] = ()
    moves_traffic: bool = False
    seconds: float | None = None
    duration: str = ""
    risk: str = ""
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """A verb before it is known whether it is lawful. `effect` is what comes before the splits."""

    verb: str
    request: ad.AnyRequest | None
    command: str
    effect: str
    traffic: tuple[Moved, ...]
    takes: Expected = AT_ONCE
    risk: str = risks.NONE
    label: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the ways are made from: the state, the service's environments and plans as configured now, the time, the
    freezes in force, and what is proven of the way back."""

    state: ServiceState
    environments: tuple[str, ...]
    deployment: Plan
    failback: Plan
    now: datetime
    frozen: tuple[Frozen, ...] = ()
    readiness: Mapping[str, Readiness] = field(default_factory=dict)

    def ill(self, environment: str) -> tuple[str, ...]:
        """What is known to be wrong with it: what was looked at, and was not good."""
        found = self.readiness.get(environment)
        bad = [proof.finding for proof in found.proofs if proof.looked and not proof.finding.ok] if found else []
        return tuple(f"{finding.check}: {finding.summary}" for finding in bad)

    def admit(self, request: ad.AnyRequest) -> None:
        """Raises Refused and the like where it is not lawful now."""
        ad.admit(replace(request, frozen=self.frozen), self.state, self.now)

    def pinned(self, plan: Plan) -> ad.Pinned:
        """What a switch that is asked for now would start with."""
        return ad.Pinned(plan, self.environments, "", "")
