"""`bluegreen` as a process of its own, at a pseudo-terminal: what a person would see and type."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

DEADLINE = 120.0


class Terminal:
    """A running `bluegreen`, its screen so far, and a keyboard."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self._process = process
        self._fd = fd
        self.screen = ""

    def expect(self, text: str) -> None:
        """Wait until the screen shows it."""
        self._read_until(lambda: text in self.screen, text)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._fd, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def end(self) -> int:
        """Wait for the end; gives the exit code."""
        self._read_until(lambda: self._process.poll() is not None, "the end")
        return self._process.wait()

    def _read_until(self, done, wanted: str) -> None:
        until = time.monotonic() + DEADLINE
        while not done():
            assert time.monotonic() < until, f"no {wanted!r} on the screen:\n{self.screen}"
            self._read(0.05)
        while self._read(0.0):
            pass

    def _read(self, wait: float) -> bool:
        if not select.select([self._fd], [], [], wait)[0]:
            return False
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.screen += chunk.decode().replace("\r\n", "\n")
        return bool(chunk)


@contextlib.contextmanager
def at_a_terminal(*arguments: str, **variables: str) -> Iterator[Terminal]:
    """Run `bluegreen ARGUMENTS` there; it is ended with the block."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BLUEGREEN")}
    process = subprocess.Popen(
        [sys.executable, "-m", "bluegreen", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"TZ": "UTC", "TERM": "xterm"} | variables,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
