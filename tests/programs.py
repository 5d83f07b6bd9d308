"""Real programs for tests: small Python ones, and waiting for what they do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen import processes

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can make a process that it then cannot end"
)


def python(code: str, *arguments: str) -> list[str]:
    """An argument list that runs the code, with nothing imported that it does not ask for."""
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


def sh(line: str, *arguments: str) -> list[str]:
    """An argument list that runs the line: tests need a shell where users get none."""
    return ["/bin/sh", "-c", line, "sh", *arguments]


def unprivileged(code: str, *arguments: str) -> list[str]:
    """An argument list that runs the code as nobody: its programs may become root, which it cannot end then."""
    rights = "+setuid,+dac_read_search"
    argv = ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", rights, "--ambient-caps", rights]
    return [*argv, sys.executable, "-c", code, *arguments]


async def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait for it. Fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is the world's, not the loop's
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether such a process runs; a zombie does not."""
    return processes.start_time(pid) is not None


def zombies() -> list[int]:
    """Children of this process that ended, and for which nobody has waited."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def pids_in(file: Path) -> list[int]:
    """The pids that programs wrote down, a line each; half a line is not read."""
    text = file.read_text() if file.exists() else ""
    return [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def kill(pid: int) -> None:
    """End it at once, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def open_files() -> set[str]:
    """Where every open descriptor leads to."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(f"{link.name} {link.readlink()}")
    return found


def carrying(variable: str) -> list[int]:
    """Everything that runs with `NAME=value` in its environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found
