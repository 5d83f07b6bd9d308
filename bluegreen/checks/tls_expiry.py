"""A server's certificate: trusted here, and good for long enough yet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from bluegreen.checks.common import Sight, filled
from bluegreen.config.schema import Check
from bluegreen.ports import Scene

_SHUTDOWN_SECONDS = 0.5
"""How long a connection that is given up in the middle of its handshake is kept."""
_RENEW = "renew it where the server gets it from; a certificate that has ended stops every client at once"


class TlsExpiry:
    """Trust as OpenSSL has it on this host ($SSL_CERT_FILE names another store)."""

    def __init__(self, config: Check, now: Callable[[], datetime]) -> None:
        self._config, self._now = config, now

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        address = filled(self._config.tls_expiry or "", scene.names())
        detail = {"address": address}
        try:
            ends = await self._end_of(address)
        except TimeoutError:
            return Sight(False, f"{address} gave no certificate within {self._config.timeout:g} s", detail)
        except ssl.SSLCertVerificationError as error:
            return Sight(False, f"the certificate of {address} is not good: {error.verify_message}", detail, _RENEW)
        except (OSError, ValueError, OverflowError) as error:
            return Sight(False, f"{address} gave no certificate: {_why(error)}", detail)
        left = ends - self._now().timestamp()
        until = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC"
        detail |= {"until": until, "days_left": f"{left / 86400:.1f}"}
        told = f"the certificate of {address} is good until {until}, for {_span(left)} yet"
        if left < self._config.left:
            return Sight(False, f"{told}, wanted {_span(self._config.left)}", detail, _RENEW)
        return Sight(True, told, detail)

    async def _end_of(self, address: str) -> float:
        """When the server's certificate ends, in seconds since 1970."""
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        context = ssl.create_default_context()
        async with asyncio.timeout(self._config.timeout):
            _, writer = await asyncio.open_connection(
                host, int(port), ssl=context, server_hostname=host, ssl_shutdown_timeout=_SHUTDOWN_SECONDS
            )
            certificate = writer.get_extra_info("peercert")
            writer.transport.abort()  # nothing was asked: there is nothing to end in good order
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return float(ssl.cert_time_to_seconds(certificate["notAfter"]))

    async def close(self) -> None:
        """See common.Look."""


def _why(error: OSError | ValueError | OverflowError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS ({error.reason or error})"
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError) or not error.errno:
        return getattr(error, "strerror", None) or str(error)
    return os.strerror(error.errno)  # asyncio puts words of its own around it


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if abs(seconds) >= 2 * 86400 else f"{seconds / 3600:.1f} h"
