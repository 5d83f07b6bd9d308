"""Open a connection and close it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from bluegreen.checks.common import Sight, filled
from bluegreen.config.schema import Check
from bluegreen.ports import Scene


class TcpCheck:
    """Somebody listens there."""

    def __init__(self, config: Check) -> None:
        self._config = config

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        address = filled(self._config.tcp or "", scene.names())
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._config.timeout):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                seconds = loop.time() - began
                writer.close()
                with contextlib.suppress(OSError):  # it was open: that is what was asked
                    await writer.wait_closed()
        except TimeoutError:
            return Sight(False, f"{address} took no connection within {self._config.timeout:g} s", {"address": address})
        except (OSError, ValueError, OverflowError) as error:
            # asyncio words it anew, around the bare number: "[Errno 111] Connect call failed"
            number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
            why = os.strerror(number) if number else str(error)
            return Sight(False, f"{address} takes no connection: {why}", {"address": address})
        return Sight(True, f"{address} took a connection in {seconds * 1000:.0f} ms", {"address": address})

    async def close(self) -> None:
        """See common.Look."""
