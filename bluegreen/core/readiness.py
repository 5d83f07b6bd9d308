"""Whether a failback is possible right now: every proof of the warm side, with its age. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bluegreen.model import Finding

PROOF_SECONDS = 60.0
"""A proof that is older proves nothing, unless it says otherwise itself."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found at one thing that a failback needs. `valid_seconds`: how long it proves anything."""

    finding: Finding
    at: datetime
    valid_seconds: float = PROOF_SECONDS

    def is_fresh(self, now: datetime) -> bool:
        """Whether it still proves anything."""
        return now - self.at <= timedelta(seconds=self.valid_seconds)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The proofs of one warm environment; an empty list proves nothing."""

    environment: str
    proofs: tuple[Proof, ...] = ()

    def reasons(self, now: datetime) -> tuple[str, ...]:
        """Why a failback would not go through now; empty where it would."""
        if not self.proofs:
            return (f"{self.environment} was not proven yet",)
        found = [f"{proof.finding.check}: {proof.finding.summary}" for proof in self.proofs if not proof.finding.ok]
        stale = [
            f"{proof.finding.check}: last proven {(now - proof.at).total_seconds():.0f} s ago"
            for proof in self.proofs
            if proof.finding.ok and not proof.is_fresh(now)
        ]
        return (*found, *stale)

    def ready(self, now: datetime) -> bool:
        """Whether every proof is good and fresh."""
        return not self.reasons(now)

    @property
    def proven_at(self) -> datetime | None:
        """Since when nothing older is relied upon: the age of the oldest proof."""
        return min((proof.at for proof in self.proofs), default=None)
