"""The daemon with failpoints in it: `python -m tests.faults.daemon CONFIG`, armed by BLUEGREEN_FAILPOINT.

BLUEGREEN_FAILPOINT is `NAME=ACTION` or `NAME=ACTION@N`: at the N-th time (from 1) that NAME is passed, ACTION happens:

    kill    SIGKILL to this process          term    SIGTERM, and on
    stop    SIGSTOP                          hang    this call never comes back
    block   the event loop is blocked        pass    nothing; the name is only written to the log of names

BLUEGREEN_FAILPOINT_LOG names a file to which every name that is passed is appended, each in one write.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from bluegreen.daemon import serve
from bluegreen.ports import Store, Workshop
from tests.faults.points import POINTS, PointedStore, PointedWorkshop

ACTIONS = ("kill", "term", "stop", "hang", "block", "pass")


class Armed:
    """Counts what is passed, and acts once."""

    def __init__(self, spoken: str, log: str) -> None:
        self.name, _, action = spoken.partition("=")
        self.action, _, nth = action.partition("@")
        self.nth, self.passed, self.log = int(nth or 1), Counter[str](), Path(log) if log else None
        if spoken and (self.name not in POINTS or self.action not in ACTIONS):
            sys.exit(f"BLUEGREEN_FAILPOINT={spoken}: wanted NAME=ACTION[@N], actions: {', '.join(ACTIONS)}")

    async def reached(self, name: str) -> None:
        """See points.Reached."""
        self.passed[name] += 1
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{name}\n")
        if name == self.name and self.passed[name] == self.nth:
            await self._act()

    async def _act(self) -> None:
        numbers = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}
        if self.action in numbers:
            os.kill(os.getpid(), numbers[self.action])
            await asyncio.sleep(0)
        elif self.action == "hang":
            await asyncio.Event().wait()
        elif self.action == "block":
            time.sleep(3600)


def armed_serve(config: Path, spoken: str, log: str) -> int:
    """The product's own `serve`, with failpoints around its ports. Gives the exit code."""
    armed = Armed(spoken, log)

    def fit(store: Store, workshop: Workshop) -> tuple[Store, Workshop]:
        return PointedStore(store, armed.reached), PointedWorkshop(workshop, armed.reached)

    return serve(config, fit)


if __name__ == "__main__":
    spoken, log = (os.environ.get(name, "") for name in ("BLUEGREEN_FAILPOINT", "BLUEGREEN_FAILPOINT_LOG"))
    sys.exit(armed_serve(Path(sys.argv[1]), spoken, log))
