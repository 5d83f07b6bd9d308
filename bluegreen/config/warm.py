"""The shape of `warm`: how often the way back is proven. Types only."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from bluegreen.config.model import Model
from bluegreen.config.units import Duration

EVERY_MIN = 1.0


def _bearable(seconds: float) -> float:
    if seconds < EVERY_MIN:
        raise ValueError(f"wanted {EVERY_MIN:g}s at least: each look asks the balancers and the warm environment")
    return seconds


Every = Annotated[Duration, AfterValidator(_bearable)]


class Warm(Model):
    """How the environment that a failback would go to is proven while it is kept warm."""

    every: Every = Field(
        30.0,
        description="how often all that a failback needs is proven; a smoke check with a longer `every` keeps it",
    )
    rights: Every | None = Field(
        None, description="how often the rights at the balancer are proven: some calls to AWS each; as `every` else"
    )
