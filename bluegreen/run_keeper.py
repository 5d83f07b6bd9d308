"""Stays with one deploy command when the daemon does not: a process between the two, in a session of its own.

`python -m bluegreen.run_keeper` reads one job (JSON) from stdin, runs it by `processes.run` with its deadline,
and writes how it ended to the job's `result`, durably. SIGTERM ends the whole tree, and then there is no result. Half
a job is none: whoever started this process was gone before the command could begin. It knows nothing of traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bluegreen import durable, processes

LINGER_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to run, with its secrets in the clear: it goes through a pipe, never to a disk. `timeout` in seconds."""

    argv: list[str]
    timeout: float
    variables: Mapping[str, str]
    directory: str | None
    secrets: list[str]
    output_max: int
    result: str


def main() -> int:
    """Do the one job. Exit codes: 0 it ended and its result is durable; 1 there was no whole job, or it was ended."""
    try:
        job = Job(**json.loads(sys.stdin.buffer.read()))
    except (ValueError, TypeError):
        return 1
    processes.become_subreaper()
    try:
        asyncio.run(_keep(job))
    except asyncio.CancelledError:
        return 1
    return 0


async def _keep(job: Job) -> None:
    """The command's end goes on disk; what it left in the background may print for as long as it lives."""
    task, mark = asyncio.current_task(), os.environ[processes.MARK]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel if task else sys.exit)
    finished = await processes.run(
        job.argv, timeout=job.timeout, variables=job.variables, directory=job.directory,
        output_max=job.output_max, secrets=job.secrets, mark=mark,
    )  # fmt: skip
    durable.write(Path(job.result), json.dumps(asdict(finished)))
    with contextlib.suppress(OSError):  # it cannot look: there is nobody left to tell
        while processes.members(mark):
            await asyncio.sleep(LINGER_EVERY)  # were we gone, their next line would end them by SIGPIPE
            processes.reap()


if __name__ == "__main__":
    sys.exit(main())
