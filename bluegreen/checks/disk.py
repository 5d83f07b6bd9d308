"""Room on a disk of this host."""

from __future__ import annotations

import asyncio
import os

from bluegreen.checks.common import Sight, filled
from bluegreen.config.schema import Check
from bluegreen.config.units import size_of
from bluegreen.ports import Scene


class DiskCheck:
    """By the file system that the path is on, as a user who is not root sees it."""

    def __init__(self, config: Check) -> None:
        self._config = config

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        path = filled(self._config.disk or "", scene.names())
        try:
            async with asyncio.timeout(self._config.timeout):
                room = await asyncio.to_thread(os.statvfs, path)  # a dead network file system hangs
        except TimeoutError:
            return Sight(False, f"{path}: no answer within {self._config.timeout:g} s", advice="see what it is on")
        except (OSError, ValueError) as error:
            return Sight(False, f"{path}: {getattr(error, 'strerror', None) or error}", advice="mend the path")
        free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
        wanted = size_of(self._config.free, total)
        told = f"{_told(free)} of {_told(total)} free at {path}"
        detail = {"free_bytes": str(free), "total_bytes": str(total)}
        if free < wanted:
            return Sight(False, f"{told}, wanted {self._config.free}", detail, "make room there")
        return Sight(True, told, detail)

    async def close(self) -> None:
        """See common.Look."""


def _told(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
