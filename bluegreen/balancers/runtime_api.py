"""HAProxy's Runtime API: one connection a command line, a deadline on each, answers bounded. Knows no weights."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass

from bluegreen.errors import AccessDenied, OutcomeUnknown, Rejected, Unreachable

ANSWER_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RuntimeApi:
    """The admin socket: a path, or HOST:PORT. `timeout` in seconds covers connecting and the whole answer."""

    address: str
    timeout: float

    async def ask(self, command: str) -> str:
        """The answer to a command that changes nothing. Raises Unreachable or AccessDenied."""
        try:
            return _permitted(await self._exchange(command), self.address)
        except OutcomeUnknown as lost:
            raise Unreachable(lost.what, lost.advice) from lost

    async def change(self, commands: list[str]) -> None:
        """Send commands in one line. Raises OutcomeUnknown where the answer was lost, or where only some were taken."""
        answer = await self._exchange("; ".join(commands))
        complaints = [line for line in answer.splitlines() if line.strip()]
        if not complaints:
            return  # HAProxy answers a command that it has taken with an empty line
        _permitted(answer, self.address)
        said = "; ".join(complaints)
        if len(commands) == 1 or len(complaints) >= len(commands):
            raise Rejected(f"HAProxy at {self.address} refused: {said}")
        raise OutcomeUnknown(
            f"HAProxy at {self.address} took some of {len(commands)} commands and refused others: {said}"
        )

    async def _exchange(self, line: str) -> str:
        """Unreachable: nothing was sent. OutcomeUnknown: it was sent, and the answer did not come whole."""
        try:
            async with asyncio.timeout(self.timeout):
                reader, writer = await self._connect()
        except (OSError, TimeoutError, ValueError) as error:
            raise _unreachable(self.address, error) from error
        try:
            async with asyncio.timeout(self.timeout):
                writer.write(line.encode() + b"\n")
                await writer.drain()
                answer = await _read_all(reader)
        except (OSError, TimeoutError) as error:
            what = f"HAProxy at {self.address} did not answer within {self.timeout:g} s"
            if not isinstance(error, TimeoutError):
                what = f"the connection to HAProxy at {self.address} was lost: {error}"
            raise OutcomeUnknown(what, "look at what it shows before you do anything") from error
        finally:
            writer.close()
        if not answer:
            raise OutcomeUnknown(f"HAProxy at {self.address} closed the connection without an answer")
        return answer.decode("utf-8", "replace")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.address.startswith("/") or ":" not in self.address:
            return await asyncio.open_unix_connection(self.address)
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


def rows(answer: str) -> list[dict[str, str]]:
    """`show stat` as rows by its own header."""
    lines = answer.lstrip("# ").splitlines()
    return list(csv.DictReader(line for line in lines if line.strip()))


def server_rows(answer: str) -> list[dict[str, str]]:
    """`show servers state` as rows by its own header: a version line, then `# name name ...`, then one row a server."""
    names: list[str] = []
    found = []
    for line in answer.splitlines():
        if line.startswith("#"):
            names = line.lstrip("# ").split()
        elif names and line.strip():
            found.append(dict(zip(names, line.split(), strict=False)))
    return found


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while part := await reader.read(65536):
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise OSError(f"an answer of more than {ANSWER_BYTES_MAX >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def _permitted(answer: str, address: str) -> str:
    if "Permission denied" in answer:
        raise AccessDenied(
            f"HAProxy at {address} refused: Permission denied",
            "the socket needs `level admin` in HAProxy's `stats socket`",
        )
    return answer


def _unreachable(address: str, error: Exception) -> Unreachable:
    if isinstance(error, PermissionError):
        return Unreachable(
            f"no right to open {address}", "add the daemon's user to the socket's group, or mend its mode"
        )
    if isinstance(error, FileNotFoundError):
        return Unreachable(
            f"no HAProxy socket at {address}", "is HAProxy running? see `stats socket` in its configuration"
        )
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return Unreachable(f"HAProxy at {address} cannot be reached: {reason}", "is HAProxy running?")
