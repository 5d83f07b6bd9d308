"""Whether a failback is possible right now: every proof of the warm side, with its age. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.errors import Refused
from bluegreen.model import Finding

if TYPE_CHECKING:
    from bluegreen.core.state import ServiceState, Switch

PROOF_SECONDS = 60.0
"""A proof that is older proves nothing, unless it says otherwise itself."""
AHEAD_SECONDS = 2.0
"""A proof from later than now is of a clock that was set back since: nobody knows how old it is."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found at one thing that a failback needs. `valid_seconds`: how long it proves anything.

    `looked` False: nobody has looked yet; that proves neither that a failback would go through nor that it would not.
    """

    finding: Finding
    at: datetime
    valid_seconds: float = PROOF_SECONDS
    looked: bool = True

    def age(self, now: datetime) -> float:
        """Seconds since then; below zero where the clock was set back since."""
        return (now - self.at).total_seconds()

    def is_fresh(self, now: datetime) -> bool:
        """Whether it still proves anything."""
        return -AHEAD_SECONDS <= self.age(now) <= self.valid_seconds

    def when(self, now: datetime) -> str:
        """`12 s ago`."""
        age = self.age(now)
        return f"{max(age, 0.0):.0f} s ago" if age >= -AHEAD_SECONDS else "by a clock that was set back since"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is proven: an environment with its release on record, by the checks of one configuration. `carries`: it has
    a share of the traffic, and is not asked what only an environment without any is asked."""

    environment: str
    version: str | None
    artifact: str | None
    config_hash: str
    carries: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """The proofs of one environment; an empty list proves nothing."""

    environment: str
    proofs: tuple[Proof, ...] = ()
    subject: Subject | None = None

    def reasons(self, now: datetime) -> tuple[str, ...]:
        """Why a failback would not go through now; empty where it would."""
        if not self.proofs:
            return (f"{self.environment} was not proven yet",)
        found = [f"{proof.finding.check}: {proof.finding.summary}" for proof in self.proofs if not proof.finding.ok]
        stale = [
            f"{proof.finding.check}: last proven {proof.when(now)}"
            for proof in self.proofs
            if proof.finding.ok and not proof.is_fresh(now)
        ]
        return (*found, *stale)

    def ready(self, now: datetime) -> bool:
        """Whether every proof is good and fresh."""
        return not self.reasons(now)

    @property
    def proven_at(self) -> datetime | None:
        """Since when nothing older is relied upon: the time of the oldest proof."""
        return min((proof.at for proof in self.proofs), default=None)


def goals(state: ServiceState) -> tuple[str, ...]:
    """The environments to be proven: where a failback would go now comes first, then the one that is kept warm."""
    from bluegreen.core.admit import failback_target

    names = []
    with contextlib.suppress(Refused):  # one is under way, or nothing has moved yet: what is warm may be wanted then
        names.append(failback_target(state)[0])
    if (warm := state.last_warm()) is not None:
        names.append(warm.environment)
    return tuple(dict.fromkeys(names))


def subjects(state: ServiceState, config_hash: str) -> tuple[Subject, ...]:
    """The same, with what there is to be proven of each."""

    def subject(name: str) -> Subject:
        release = state.releases.get(name)
        version, artifact = (release.version, release.artifact) if release else (None, None)
        return Subject(name, version, artifact, config_hash, state.share(name) > 0)

    return tuple(subject(name) for name in goals(state))


def taken_over(readiness: Readiness | None, switch: Switch, now: datetime) -> Mapping[str, Finding]:
    """What a failback need not ask again, by the check's name: what was proven within the last minute.

    Nothing, where a single proof is bad, where another release or other checks were proven, and where a person was
    awaited since the failback began: after that everything is asked again (law 5).
    """
    wanted = Subject(switch.candidate, switch.version, switch.artifact, switch.config_hash, carries=False)
    if readiness is None or readiness.subject != wanted or switch.word_at != switch.started_at:
        return {}
    if not all(proof.finding.ok for proof in readiness.proofs):
        return {}
    return {
        proof.finding.check: replace(proof.finding, summary=f"{proof.finding.summary}; proven {proof.when(now)}")
        for proof in readiness.proofs
        if proof.is_fresh(now) and proof.age(now) <= PROOF_SECONDS
    }
