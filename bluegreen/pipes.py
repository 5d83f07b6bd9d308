"""A program's output: read as fast as it is written, kept within bounds, shown without secrets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence

from bluegreen.config.values import HIDDEN, redacted


class Tail:
    """A pipe that is read as fast as it is written to; the last bytes of it are kept."""

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._dropped, self._ended = most, bytearray(), 0, False
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the output as it comes. At its end the reader goes: an ended pipe is always readable."""
        os.close(self.write)
        self.write = -1
        loop.add_reader(self._read, self._take_some, loop)

    def finish(self, loop: asyncio.AbstractEventLoop, *, keep_open: bool) -> None:
        """Take what is in the pipe now. `keep_open`: somebody may still write to it, and must not be ended by that."""
        loop.remove_reader(self._read)
        if self.write != -1:
            os.close(self.write)
        for _ in range(64):  # as much as any pipe holds; a writer may be faster than we are
            if self._ended or not self._take():
                break
        if keep_open and not self._ended:
            loop.add_reader(self._read, _discard, loop, self._read)
        else:
            os.close(self._read)

    def abandon(self) -> None:
        """Nobody writes to it, and nobody will."""
        os.close(self._read)
        os.close(self.write)

    def text(self, secrets: Sequence[str]) -> str:
        """Readable, whatever the bytes were, without the secrets, and without the rest of one that was cut."""
        kept = bytes(self._kept)
        if not self._dropped:
            return _readable(kept, secrets)
        rest = max((_rest(kept, secret.encode()) for secret in secrets), default=0)
        hidden = HIDDEN if rest else ""
        return f"[{self._dropped} bytes before this were not kept]\n{hidden}{_readable(kept[rest:], secrets)}"

    def _take_some(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._take() and self._ended:
            loop.remove_reader(self._read)

    def _take(self) -> bool:
        """Read once. False: there is nothing now, or nothing any more."""
        try:
            part = os.read(self._read, 65536)
        except BlockingIOError:
            return False
        self._ended = not part
        self._kept += part
        if (over := len(self._kept) - self._most) > 0:
            del self._kept[:over]
            self._dropped += over
        return bool(part)


class Tails:
    """What a program says on standard output and on standard error: together, or `apart`. Raises OSError: no
    descriptors left."""

    def __init__(self, most: int, *, apart: bool) -> None:
        self.out = Tail(most)
        try:
            self.err = Tail(most) if apart else self.out
        except OSError:
            self.out.abandon()
            raise
        self._each = (self.out, self.err) if apart else (self.out,)

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """See Tail."""
        for one in self._each:
            one.follow(loop)

    def finish(self, loop: asyncio.AbstractEventLoop, *, keep_open: bool) -> None:
        """See Tail."""
        for one in self._each:
            one.finish(loop, keep_open=keep_open)

    def texts(self, secrets: Sequence[str]) -> tuple[str, str]:
        """Of both; the second is empty where they are together."""
        return self.out.text(secrets), self.err.text(secrets) if self.err is not self.out else ""


def _discard(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        if not os.read(fd, 65536):
            loop.remove_reader(fd)
            os.close(fd)


def _readable(raw: bytes, secrets: Sequence[str]) -> str:
    return redacted(raw.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}"), secrets)


def _rest(kept: bytes, secret: bytes) -> int:
    """How many bytes at the beginning are the end of a secret, or all of it, whose beginning may not have been kept."""
    return next((size for size in range(len(secret), 0, -1) if kept.startswith(secret[-size:])), 0)
