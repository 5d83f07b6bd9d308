"""The laws by name, and how one says that it was broken."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import NoReturn


class Law(StrEnum):
    """The laws of the design, and what they come down to in a run. The values are what LawBroken says."""

    NO_WAY_BACK = "1"
    HALT_HOLDS = "2"
    INTENT_FIRST = "3"
    COMPARED = "4"
    PROVEN = "5"
    ONE_SWITCH = "6"
    FAILED_STAYS = "7"
    WARM_STAYS = "8"
    NAMED = "9"
    NEVER_ZERO = "sum"
    ONCE_ONLY = "once"
    DRIFT_SAID = "drift"
    ACKNOWLEDGED = "acknowledged"
    REPLAYED = "replay"
    ENDS = "ends"
    REASONED = "reasoned"
    TOTAL = "totality"
    PLANNED = "plan"
    SHOWN = "shown"
    CARD = "card"
    ROOM = "room"


class LawBroken(AssertionError):
    """Which law was broken, and by what."""

    def __init__(self, law: Law, what: object) -> None:
        super().__init__(f"law {law}: {what}")
        self.law = law


def broken(law: Law | str, what: object) -> NoReturn:
    raise LawBroken(Law(law), what)


def real(native: Mapping[str, int], environment: str) -> Fraction:
    """The exact part of the traffic that an environment gets."""
    return Fraction(native.get(environment, 0), sum(native.values()))
