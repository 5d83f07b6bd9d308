"""What happened about a drift: who changed the balancer, and what an operator's answer led to. Part of `events`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bluegreen.core.event import Event
from bluegreen.model import Finding, Weights


@dataclass(frozen=True, slots=True)
class DriftTraced(Event):
    """Who changed the balancer, where its provider tells. `who` is empty where that cannot be found out; `what` is the
    act, or why nobody is named; `at` is the act's time by the provider's clock."""

    point: str
    who: str
    what: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftLeft(Event):
    """An operator leaves these switch points as they are (`seen`, native): nothing is written, the weights on record
    stay, and nobody is alarmed until something changes again."""

    seen: Mapping[str, Weights]


@dataclass(frozen=True, slots=True)
class RestoreAsked(Event):
    """An operator orders these switch points back to what the journal says, each only on top of the weights (native)
    that the operator was shown."""

    shown: Mapping[str, Weights]


@dataclass(frozen=True, slots=True)
class RestoreStarted(Event):
    """The intent to write `target` (native) over `shown`."""

    point: str
    shown: Weights
    target: Weights


@dataclass(frozen=True, slots=True)
class Restored(Event):
    """The balancer was read back and shows `weights` (native): what the journal says. `recovered`: found by looking."""

    point: str
    weights: Weights
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class RestoreRefused(Event):
    """The order for this switch point has ended without being carried out; `summary` says why, `findings` what was
    seen."""

    point: str
    summary: str
    advice: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreLost(Event):
    """The write was sent and its answer was lost: unknown until it is looked up."""

    point: str
    reason: str


@dataclass(frozen=True, slots=True)
class RestoreUnmade(Event):
    """The write was looked up: it was not made. The order goes on only where the process had ended in the middle."""

    point: str


@dataclass(frozen=True, slots=True)
class RestoreUnread(Event):
    """The balancer could not be read for long enough to tell: the outcome stays unknown until it can."""

    point: str
    reason: str


OfDrift = (
    DriftTraced | DriftLeft | RestoreAsked | RestoreStarted | Restored | RestoreRefused | RestoreLost | RestoreUnmade
    | RestoreUnread
)  # fmt: skip
"""What `core.restoring` folds."""
