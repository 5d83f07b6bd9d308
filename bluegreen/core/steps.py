"""What to do next: the words that `decide.next_step` speaks and the hands in `bluegreen.steps` carry out."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.core.events import Event
from bluegreen.model import Weights


@dataclass(frozen=True, slots=True)
class Step:
    """The root of all steps."""


@dataclass(frozen=True, slots=True)
class Preflight(Step):
    """Try everything that the way forward needs, before anything is touched."""


@dataclass(frozen=True, slots=True)
class ProveWarm(Step):
    """A failback's preflight: prove that the receiving environment can take the traffic."""


@dataclass(frozen=True, slots=True)
class Deploy(Step):
    """Bring the release into the candidate environment."""


@dataclass(frozen=True, slots=True)
class FindDeploy(Step):
    """Find out what became of a deployment that another process began; wait for it where it still runs."""


@dataclass(frozen=True, slots=True)
class WaitHealthy(Step):
    """Wait until enough of the candidate's targets are healthy."""


@dataclass(frozen=True, slots=True)
class Smoke(Step):
    """Check the candidate before it gets any traffic."""


@dataclass(frozen=True, slots=True)
class SetWeights(Step):
    """Change one switch point from `expected` (native) to `split` (tenths), after a fresh look at health and gates."""

    point: str
    expected: Weights
    split: Weights


@dataclass(frozen=True, slots=True)
class LookUp(Step):
    """Find out what became of a write whose answer was lost."""

    point: str
    expected: Weights
    target: Weights
    split: Weights


@dataclass(frozen=True, slots=True)
class Restore(Step):
    """By an operator's order, put one switch point back from `shown` to `target` (both native)."""

    point: str
    shown: Weights
    target: Weights


@dataclass(frozen=True, slots=True)
class LookUpRestore(Step):
    """Find out what became of a restoring write."""

    point: str
    shown: Weights
    target: Weights


@dataclass(frozen=True, slots=True)
class Watch(Step):
    """Look at the gates for so many seconds; None: for as long as a person is awaited, counting towards nothing."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Conclude(Step):
    """Nothing to do: the event follows from what is on record."""

    event: Event


@dataclass(frozen=True, slots=True)
class AwaitOperator(Step):
    """Nothing may happen until a person says so, whatever the time."""


INTERRUPTIBLE = (Preflight, ProveWarm, WaitHealthy, Smoke, Watch, LookUp)
"""Steps that only look: they may be cut short when a person asks for something, and begin anew."""
ONWARD = (Preflight, Deploy, WaitHealthy, Smoke, SetWeights, Watch)
"""Steps of a deployment that lead it on: what is left for its bookkeeping and for finding out what is unknown."""
