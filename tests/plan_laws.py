"""What a switch's plan has to do with its journal: no more, no sooner, at every point, and not while somebody waits.

Read entry by entry, with an account of its own; see tests/invariants.py.
"""

from __future__ import annotations

from bluegreen.core import events as ev
from bluegreen.model import WHOLE, Plan, Weights
from tests.law import Law, broken

ROUNDED = 1e-6
LOST_MAX = 3
"""Answers to writes that may be lost within one shift step, before a person is asked."""


class PlanLaws:
    """Where the open switch stands in its plan."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.shares: dict[str, int] = {}
        """The candidate's share on record, by point: as asked for, where that was; else as shown."""
        self._native: dict[str, Weights] = {}
        self._steps: tuple[int, ...] = ()
        self._index, self._watched = 0, 0.0
        self._candidate = ""
        self._base: dict[str, int] = {}
        self._approved = self._waiting = self._shifted = self._baked = False
        self._lost = 0

    def entry(self, record: ev.Record) -> None:
        """One entry further."""
        match record.event:
            case ev.Requested() as event:
                self._begins(event)
            case ev.Paused() | ev.ApprovalAwaited():
                self._waiting = True
            case ev.Resumed() | ev.Approved():
                self._waiting, self._lost = False, 0
                self._approved |= isinstance(record.event, ev.Approved)
            case ev.Promoted():
                self._waiting, self._steps = False, (*self._steps[: self._index], WHOLE)
            case ev.Halted():
                self._waiting, self._lost = False, 0
            case ev.OutcomeLost():
                self._lost += 1
            case ev.StepStarted(step=step, split=split) if step in ("deploy", "set_weights"):
                self._acts(step, split)
            case ev.Baseline(weights=weights) | ev.Adopted(weights=weights) | ev.CardTaken(weights=weights):
                self._native.update(weights)
                self.shares.update({point: one.share(self._candidate) for point, one in weights.items()})
            case ev.WeightsSet(point=point, weights=weights, split=split):
                self._native[point], self._lost = weights, 0
                self.shares[point] = max(split.share(self._candidate), weights.share(self._candidate))
            case ev.PointForgotten(point=point):
                self._native.pop(point, None)
                self.shares.pop(point, None)
            case _:
                self._moves(record.event)

    def _begins(self, event: ev.Requested) -> None:
        self.plan, self._candidate = event.plan, event.candidate
        self._steps, self._index, self._watched = event.plan.steps, 0, 0.0
        self.shares = {point: one.share(event.candidate) for point, one in self._native.items()}
        self._base = dict(self.shares)
        self._approved = self._waiting = self._shifted = self._baked = False

    def _acts(self, step: str, split: Weights | None) -> None:
        if self._waiting:
            broken(Law.PLANNED, f"{step} begins while a person said to wait, or has to approve")
        if split is not None and self._lost >= LOST_MAX:
            broken(Law.ENDS, f"{self._lost} answers were lost in one step, and it is tried again")
        if split is not None and split.share(self._candidate) > self._steps[self._index]:
            broken(Law.PLANNED, f"{split} is asked for, the plan says {self._steps[self._index]} of {self._steps}")

    def _moves(self, event: ev.Event) -> None:
        if self._waiting and isinstance(event, ev.Watched | ev.StepReached | ev.Shifted | ev.Baked | ev.KeptWarm):
            broken(Law.PLANNED, f"{type(event).__name__} while a person said to wait, or has to approve")
        match event:
            case ev.Watched(seconds=seconds):
                self._watched += seconds
            case ev.StepReached(index=index):
                self._reached(index)
            case ev.Shifted():
                self._everywhere(WHOLE, "shifted")
                self._shifted, self._watched = True, 0.0
            case ev.Baked():
                wanted = self.plan.bake_seconds if self.plan is not None else 0.0
                if not self._shifted or self._watched < wanted - ROUNDED:
                    broken(Law.PLANNED, f"baked for {self._watched:g} s, the plan says {wanted:g}")
                self._baked = True
            case ev.KeptWarm() if not self._baked:
                broken(Law.PLANNED, "complete without a bake")
            case _:
                pass

    def _reached(self, index: int) -> None:
        assert self.plan is not None
        share, wait = self._steps[self._index], self.plan.wait_seconds
        if index != self._index:
            broken(Law.PLANNED, f"step {index} is reached, the next one is {self._index}")
        self._everywhere(share, f"step {index} is reached")
        there_before = all(self._base.get(point, 0) >= share for point in self.plan.points)
        if not there_before and (not self._approved if wait is None else self._watched < wait - ROUNDED):
            broken(Law.PLANNED, f"step {index} is left after {self._watched:g} s of {wait}, or nobody approved")
        self._index, self._watched, self._approved = index + 1, 0.0, False

    def _everywhere(self, share: int, what: str) -> None:
        assert self.plan is not None
        if less := {
            point: self.shares.get(point, 0) for point in self.plan.points if self.shares.get(point, 0) < share
        }:
            broken(Law.PLANNED, f"{what} with {less}, the plan says {share}")
