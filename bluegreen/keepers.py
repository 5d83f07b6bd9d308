"""What goes on beside the switches of each service, in a daemon: one line a keeper."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from bluegreen.engine import ServiceEngine
from bluegreen.ports import Clock, Setup
from bluegreen.warm import WarmKeeper

Keeper = Callable[[ServiceEngine], Coroutine[Any, Any, None]]
"""What goes on beside the switches of a service for as long as it runs: looks, and notes what it saw; moves nothing."""


def of(setup: Setup, clock: Clock, *, in_daemon: bool) -> tuple[Keeper, ...]:
    """The keepers of one service. Not `in_daemon`: a failback that runs by itself asks everything itself."""
    return (WarmKeeper(clock).run,) if in_daemon else ()
