"""A file that only takes up room, so that there is some to give to the journal when the disk is full.

It is given up piece by piece: where another program fills the disk without end, what is freed at once is lost at once,
and a failback needs room for one entry after another. It is made whole again as soon as there is room.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

BALLAST_BYTES = 16 * 1024 * 1024
"""Some thousand entries: a failback takes a dozen."""
PIECE_BYTES = 256 * 1024
"""More than an append takes, pages and index included."""
FREE_BYTES_MIN = 64 * 1024 * 1024
"""Below this, no deployment starts: a halt and a failback must still find room in the journal."""


class Ballast:
    """The ballast of one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "ballast"

    def free(self) -> int:
        """Bytes free to this user in the directory, without the ballast. Raises OSError."""
        return shutil.disk_usage(self._directory).free

    def left(self) -> int:
        """Bytes that can still be given up: what is really allocated, not what a sparse copy pretends."""
        try:
            found = self._path.stat()
        except OSError:
            return 0
        return min(found.st_size, found.st_blocks * 512, BALLAST_BYTES)

    def restore(self) -> None:
        """Make it whole where there is room for it beside FREE_BYTES_MIN; where there is none, leave it as it is."""
        missing = BALLAST_BYTES - self.left()
        with contextlib.suppress(OSError):  # no room after all, or a disk that takes nothing: what is left is told
            if missing and self.free() >= FREE_BYTES_MIN + missing:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    os.posix_fallocate(fd, 0, BALLAST_BYTES)
                finally:
                    os.close(fd)

    def spend(self) -> bool:
        """Give up one piece; False where nothing is left, or nothing can be had."""
        rest = self.left() - PIECE_BYTES
        try:
            if rest > 0:
                os.truncate(self._path, rest)
            else:
                self._path.unlink()
        except OSError:
            return False
        return True
