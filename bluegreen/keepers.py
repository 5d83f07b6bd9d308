"""What goes on beside the switches of each service, in a daemon: one line a keeper."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from bluegreen import flag_keeper
from bluegreen.engine import ServiceEngine
from bluegreen.evidence.keeper import EvidenceKeeper
from bluegreen.notices.keeper import NoticeKeeper
from bluegreen.warm import WarmKeeper

Keeper = Callable[[ServiceEngine], Coroutine[Any, Any, None]]
"""What goes on beside the switches of a service for as long as it runs: looks, and notes what it saw; moves nothing."""


def of(evidence: EvidenceKeeper, notices: NoticeKeeper, warm: WarmKeeper | None) -> tuple[Keeper, ...]:
    """The keepers of one service. Without `warm`: a failback that runs by itself asks everything itself."""
    proving = (warm.run,) if warm is not None else ()
    return (evidence.run, flag_keeper.keep, notices.run, *proving)
