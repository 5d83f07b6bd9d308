"""What goes on beside the switches of each service, in a daemon: one line a keeper."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from bluegreen import flag_keeper
from bluegreen.engine import ServiceEngine
from bluegreen.evidence.keeper import EvidenceKeeper
from bluegreen.notices.keeper import NoticeKeeper

Keeper = Callable[[ServiceEngine], Coroutine[Any, Any, None]]
"""What goes on beside the switches of a service for as long as it runs: looks, and notes what it saw; moves nothing."""


def of(evidence: EvidenceKeeper, notices: NoticeKeeper) -> tuple[Keeper, ...]:
    """The keepers of one service."""
    return (evidence.run, flag_keeper.keep, notices.run)
