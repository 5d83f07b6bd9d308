"""What a failback left wrong on purpose, who owns it, and that it was acknowledged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class Debts:
    """This topic's part of the state."""


def fold(part: Debts, before: ServiceState, after: ServiceState, record: Record) -> Debts:
    """One entry further."""
    return part
