"""HAProxy's Runtime API: one connection a command line, a deadline on each, answers bounded. Knows no weights."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bluegreen.config.points import is_address
from bluegreen.errors import AccessDenied, OutcomeUnknown, Rejected, Unreachable

ANSWER_BYTES_MAX = 8 * 1024 * 1024
SAID_MAX = 500
"""How much of what HAProxy said goes into a message, in characters."""
DENIED = "Permission denied"
LOOK = "look at what it shows before you do anything"
STAT_COLUMNS = ("pxname", "svname", "status", "scur", "check_status", "last_chk")
NUMBERS = frozenset({"scur", "srv_port", "srv_admin_state", "srv_uweight"})
STATE_COLUMNS = ("srv_name", "srv_addr", "srv_port", "srv_admin_state", "srv_uweight")


@dataclass(frozen=True, slots=True)
class RuntimeApi:
    """The admin socket: a path, or HOST:PORT. `timeout` in seconds covers connecting and the whole answer."""

    address: str
    timeout: float

    async def ask(self, command: str) -> str:
        """The answer to a command that changes nothing. Raises Unreachable or AccessDenied; Rejected for what is not
        one command."""
        try:
            answer = await self._exchange([command])
        except OutcomeUnknown as lost:
            raise Unreachable(lost.what, lost.advice) from lost
        if answer.startswith(DENIED):  # not "in": a check's last error may quote the same words
            raise _denied(self.address)
        if answer != "\n" and not answer.endswith("\n\n"):
            raise Unreachable(f"the answer of HAProxy at {self.address} broke off", "is it HAProxy that listens there?")
        return answer

    async def change(self, commands: Sequence[str]) -> None:
        """Send commands in one line, in their order. Raises Unreachable, AccessDenied or Rejected where surely none was
        taken; OutcomeUnknown where the answer was lost, or where only some were taken."""
        results = verdicts(await self._exchange(commands))
        refusals = [result for result in results if result]
        if len(results) != len(commands):
            raise OutcomeUnknown(
                f"HAProxy at {self.address} answered {len(results)} of {len(commands)} commands: {_joined(refusals)}",
                LOOK,
            )
        if not refusals:
            return
        if len(refusals) < len(commands):
            raise OutcomeUnknown(
                f"HAProxy at {self.address} refused {len(refusals)} of {len(commands)} commands: {_joined(refusals)}",
                LOOK,
            )
        if all(refusal.startswith(DENIED) for refusal in refusals):
            raise _denied(self.address)
        raise Rejected(f"HAProxy at {self.address} refused: {_joined(refusals)}", "mend what it names")

    async def _exchange(self, commands: Sequence[str]) -> str:
        """Unreachable: nothing was sent. OutcomeUnknown: it was sent, and the answer did not come whole."""
        line = _one_line(commands)
        deadline = asyncio.get_running_loop().time() + self.timeout
        try:
            async with asyncio.timeout_at(deadline):
                reader, writer = await self._connect()
        except (OSError, TimeoutError) as error:
            raise _unreachable(self.address, error) from error
        try:
            async with asyncio.timeout_at(deadline):
                writer.write(line)
                await writer.drain()
                answer = await _read_all(reader)
        except TimeoutError as error:
            raise OutcomeUnknown(f"HAProxy at {self.address} did not answer within {self.timeout:g} s", LOOK) from error
        except OSError as error:
            raise OutcomeUnknown(f"the connection to HAProxy at {self.address} was lost: {error}", LOOK) from error
        finally:
            writer.transport.abort()  # a peer that does not read cannot hold the connection open
        if not answer:
            raise OutcomeUnknown(f"HAProxy at {self.address} closed the connection without an answer", LOOK)
        return answer.decode("utf-8", "replace")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not is_address(self.address):
            return await asyncio.open_unix_connection(self.address)
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


def verdicts(answer: str) -> list[str]:
    """What HAProxy said to each command of a line: "" for one that it took, else its complaint.

    It answers a command that it has taken with an empty line, and any other with a text that an empty line ends. A text
    that no empty line ends is no verdict: it broke off.
    """
    found: list[str] = []
    text: list[str] = []
    for line in answer.split("\n")[:-1]:
        if line.strip():
            text.append(line.strip())
        else:
            found.append(" ".join(text))
            text = []
    return found


def stat_rows(answer: str) -> list[dict[str, str]]:
    """`show stat` as rows by its own header. Raises Rejected where it is something else."""
    lines = [line for line in answer.removeprefix("# ").splitlines() if line.strip()]
    reader = csv.DictReader(lines, restval="")
    return _checked(list(reader), reader.fieldnames or (), STAT_COLUMNS, answer)


def server_rows(answer: str) -> list[dict[str, str]]:
    """`show servers state` as rows by its own header: a version line, then `# name name ...`, then one row a server.
    Raises Rejected where it is something else."""
    names: list[str] = []
    found = []
    for line in answer.splitlines():
        if line.startswith("#"):
            names = line.lstrip("# ").split()
        elif names and line.strip():
            values = line.split()
            found.append(dict(zip(names, values + [""] * (len(names) - len(values)), strict=False)))
    return _checked(found, names, STATE_COLUMNS, answer)


def number(row: Mapping[str, str], column: str) -> int:
    """One of NUMBERS of a row; an empty one is 0."""
    return int(row[column] or 0)


def _checked(
    found: list[dict[str, str]], names: Sequence[str], wanted: Sequence[str], answer: str
) -> list[dict[str, str]]:
    said = " ".join(answer.split())[:SAID_MAX]
    if missing := [name for name in wanted if name not in names]:
        raise Rejected(f"HAProxy did not tell {', '.join(missing)}; it said: {said}", "HAProxy 2.4 or later is wanted")
    for row in found:
        for column in NUMBERS & row.keys():
            if row[column] and not row[column].isdecimal():
                raise Rejected(f"HAProxy gave {column} as {row[column]!r}, wanted a number; it said: {said}")
    return found


def _one_line(commands: Sequence[str]) -> bytes:
    """One line for all. What HAProxy would take for more commands than were given is not sent."""
    for command in commands:
        if not command.strip() or any(mark in command for mark in "\r\n;\\"):
            raise Rejected(f"{command!r} is not one command", "mend the names of the backend and its servers")
    return "; ".join(commands).encode() + b"\n"


def _joined(refusals: Sequence[str]) -> str:
    """Each complaint once, bounded."""
    return "; ".join(dict.fromkeys(refusals))[:SAID_MAX] or "nothing"


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while part := await reader.read(65536):
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise OSError(f"an answer of more than {ANSWER_BYTES_MAX >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def _denied(address: str) -> AccessDenied:
    return AccessDenied(
        f"HAProxy at {address} refused: {DENIED}", "the socket needs `level admin` in HAProxy's `stats socket`"
    )


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
