"""Notices a blocked event loop, and ends the process: a new one looks first, and goes on.

A loop that is blocked keeps no deadline, answers nobody and records nothing, while it holds the journal's lock. A
thread of its own counts how often it wakes up without a sign of life from the loop. It counts its own wake-ups, and
never asks a clock: a process that was stopped, suspended or paused with its host wakes up once, finds the loop alive,
and goes on. What keeps the interpreter itself busy keeps this thread from running too: that is for systemd's watchdog.

This room knows nothing of services, and decides nothing about traffic: to end is safe at any instant.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import threading
from collections.abc import Iterator
from typing import IO

from bluegreen.errors import ExitCode

WAKE_UPS = 20
"""How many wake-ups make up the whole time."""
TELL_SECONDS = 1.0
"""How long the last words may take: nobody may be reading them."""


@contextlib.contextmanager
def watched(blocked_seconds: float, going_on: str) -> Iterator[None]:
    """Watch over the running loop. Blocked for so long, the process says so on standard error with the stacks of all
    threads, and ends with ExitCode.BLOCKED. `going_on` tells the reader what comes next."""
    watchdog = _Watchdog(asyncio.get_running_loop(), blocked_seconds, going_on)
    try:
        yield
    finally:
        watchdog.end()


class _Watchdog:
    def __init__(self, loop: asyncio.AbstractEventLoop, blocked_seconds: float, going_on: str) -> None:
        self._loop, self._every, self._going_on = loop, blocked_seconds / WAKE_UPS, going_on
        self._blocked_seconds = blocked_seconds
        self._alive, self._ended = threading.Event(), threading.Event()
        # faulthandler writes without ever letting the other threads run: into memory, which cannot block
        self._stacks = os.fdopen(os.memfd_create("stacks"), "w+b", buffering=0)
        self._tick()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No more watching."""
        self._next.cancel()
        self._ended.set()
        self._thread.join(2 * TELL_SECONDS)

    def _tick(self) -> None:
        self._alive.set()
        self._next = self._loop.call_later(self._every / 2, self._tick)

    def _watch(self) -> None:
        missed = 0
        while not self._ended.wait(self._every):
            missed = 0 if self._alive.is_set() else missed + 1
            self._alive.clear()
            if missed >= WAKE_UPS:
                self._end_process()
        self._stacks.close()

    def _end_process(self) -> None:
        faulthandler.dump_traceback(self._stacks, all_threads=True)
        told = threading.Thread(target=_tell, args=(self._words(), self._stacks), name="last words", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread to be had: the end matters more than the words
            told.start()
            told.join(TELL_SECONDS)
        os._exit(ExitCode.BLOCKED)

    def _words(self) -> str:
        return (
            f"bluegreen: the event loop has been blocked for {self._blocked_seconds:g} s: this process "
            f"(pid {os.getpid()}) ends itself with {ExitCode.BLOCKED}. Traffic stays as it is. {self._going_on}\n"
        )


def _tell(words: str, stacks: IO[bytes]) -> None:
    stacks.seek(0)
    rest = words.encode() + stacks.read()
    while rest:
        rest = rest[os.write(2, rest) :]
