"""What a switch needs of the host that it runs on, there and back: names that resolve, programs that can be run, people
who can be told, room on the disk. It looks; it runs nothing and sends nothing.

Addresses and programs are those of the service's own configuration, as they are in each environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bluegreen.config import schema
from bluegreen.config.notify import Notifier
from bluegreen.config.placeholders import AT_A_HALT, fill
from bluegreen.config.secrets import SecretMissing, references, resolve
from bluegreen.model import UNANSWERED, UNPROVEN, Finding
from bluegreen.ports import Check, Scene
from bluegreen.programs import Program, Runnable, examine

SECONDS = 5.0
"""How long one name may take to resolve, and one notifier to be connected to."""
DISK_BYTES_MIN = 64 << 20
"""What a switch and the evidence of its halts may take, with room left."""
DISK_FILES_MIN = 1000


class ServiceNeeds:
    """ports.Needs of one service, by its configuration. `notifiers` gives the daemon's, as configured now; `gates` are
    those that ask somebody else than the environment itself."""

    def __init__(
        self,
        service: schema.Service,
        notifiers: Callable[[], Sequence[Notifier]],
        directory: Path,
        gates: Sequence[Check] = (),
    ) -> None:
        self._service, self._notifiers, self._directory, self._gates = service, notifiers, directory, gates

    async def look(self, scenes: Sequence[Scene]) -> tuple[Finding, ...]:
        """See ports.Needs."""
        told = [one for one in self._notifiers() if not one.services or self._service.service in one.services]
        async with asyncio.TaskGroup() as group:
            names = group.create_task(_names(self._hosts(scenes)))
            gates = [group.create_task(gate.look(scenes[-1])) for gate in self._gates]
            people = [group.create_task(_notifier(one)) for one in told]
        asked = _askable([one.result() for one in gates])
        found = [
            names.result(),
            self._programs(scenes),
            disk(self._directory),
            asked,
            *([one.result() for one in people] or [_nobody()]),
        ]
        return tuple(finding for finding in found if finding is not None)

    # --- names ---

    def _hosts(self, scenes: Sequence[Scene]) -> dict[str, str]:
        """Every host name that has to be resolved, with what needs it first."""
        found: dict[str, str] = {}
        for scene in scenes:
            for who, text in self._addresses():
                host = _host(text, scene.names())
                if host is not None:
                    found.setdefault(host, f"{who} on {scene.environment}")
        return found

    def _addresses(self) -> Iterator[tuple[str, str]]:
        for check in _checks(self._service):
            opened = check.tcp or check.tls_expiry
            for text in (check.http, opened and f"tcp://{opened}", check.prometheus and check.prometheus.url):
                if text:
                    yield check.name, text
        if self._service.digest is not None and self._service.digest.http:
            yield "digest", self._service.digest.http
        if self._service.flags is not None and self._service.flags.ofrep:
            yield "flags", self._service.flags.ofrep

    # --- programs ---

    def _programs(self, scenes: Sequence[Scene]) -> Finding | None:
        """The deploy command is not among them: its deployer looks after it."""
        wrong: dict[str, Runnable] = {}
        count = 0
        for program in self._commands():
            count += 1
            for scene in scenes:
                found = examine(program, scene.names() | _LATER)
                if not found.ok:
                    wrong.setdefault(program.key, found)
        if not count:
            return None
        if not wrong:
            return Finding("host: programs", True, f"{count} program{'s' * (count > 1)} can be run")
        told = "; ".join(f"{key}: {found.summary}" for key, found in wrong.items())
        return Finding("host: programs", False, told, next(iter(wrong.values())).advice, acceptable=True)

    def _commands(self) -> Iterator[Program]:
        for check in _checks(self._service):
            if check.command:
                yield Program(f"check {check.name}", check.command, check.directory, check.variables)
        for one in self._service.evidence:
            yield Program(f"evidence {one.name}", one.command, one.directory, one.variables)
        digest, flags = self._service.digest, self._service.flags
        if digest is not None and digest.command:
            yield Program("digest.command", digest.command, digest.directory, digest.variables)
        if flags is not None and flags.command is not None:
            both = {"read": flags.command.read, "write": flags.command.write}
            for key, argv in both.items():
                if argv:
                    yield Program(f"flags.command.{key}", argv, flags.command.directory, flags.command.variables)


_LATER = {**dict.fromkeys(AT_A_HALT, "-"), "flag": "-", "value": "-"}
"""Placeholders whose values are known only when the program is run."""


def _checks(service: schema.Service) -> Iterator[schema.Check]:
    yield from service.smoke
    yield from service.gates
    yield from service.guards


def _host(address: str, names: Mapping[str, str]) -> str | None:
    """The host name in an address; None where there is none to resolve: an IP address, or what is not known yet."""
    try:
        host = urlsplit(fill(address, names)).hostname
    except (KeyError, ValueError):
        return None  # asks for the version of a release that was never recorded; or is no address for that environment
    if host is None or references(host):
        return None
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return None
    return host


async def _names(hosts: Mapping[str, str]) -> Finding | None:
    if not hosts:
        return None
    async with asyncio.TaskGroup() as group:
        asked = {host: group.create_task(resolved(host)) for host in sorted(hosts)}
    wrong = {host: why for host, task in asked.items() if (why := task.result()[1])}
    if not wrong:
        return Finding("host: names", True, f"{len(hosts)} resolve: {', '.join(sorted(hosts))}")
    told = "; ".join(f"{host} does not resolve ({why}), {hosts[host]} needs it" for host, why in wrong.items())
    advice = f"`getent hosts {next(iter(wrong))}` on this host: the name is wrong, or its resolver does not answer"
    return Finding("host: names", False, told, advice, acceptable=True)


async def resolved(host: str, seconds: float = SECONDS) -> tuple[list[str], str]:
    """The addresses of a name; or none, and why it does not resolve."""
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return [], f"no answer within {seconds:g} s"
    except (OSError, UnicodeError) as error:  # a label that is too long is no name at all
        return [], error.strerror or str(error) if isinstance(error, OSError) else "it is not a host name"
    return sorted({str(address[0]) for *_, address in found}), ""


# --- gates ---


def _askable(looked: Sequence[Finding]) -> Finding | None:
    """Whether every gate gets an answer; what it says of what is live now is no matter of a preflight."""
    if not looked:
        return None
    silent = [one for one in looked if UNANSWERED in one.detail]
    if not silent:
        return Finding("gates: asked", True, f"{', '.join(one.check for one in looked)}: there is an answer")
    told = "; ".join(f"{one.check}: {one.summary}" for one in silent)
    advice = silent[0].advice or "look at it by hand from this host: a gate without an answer halts the shift"
    return Finding("gates: asked", False, told, advice, acceptable=True)


# --- people ---


def _nobody() -> Finding:
    advice = "set `notify` in bluegreen.yaml, or let somebody watch bluegreen_halted"
    told = "no notifier is configured: nobody would be told of a halt"
    return Finding("notifiers", True, told, advice, detail={UNPROVEN: "yes"})


async def _notifier(config: Notifier) -> Finding:
    """Whether the notifier could be reached now. Nobody is told anything."""
    name = f"notifier: {config.name}"
    try:
        for text in (config.secret, *config.headers.values(), *config.variables.values()):
            resolve(text or "")
        if config.command:
            found = examine(Program(f"notify {config.name}", config.command, None, config.variables), {})
            return Finding(name, found.ok, found.summary, found.advice, acceptable=True)
        address = urlsplit(resolve(config.webhook or config.slack or ""))
        host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    except SecretMissing as error:
        return Finding(name, False, error.what, error.advice, acceptable=True)
    except ValueError:
        return Finding(name, False, "what stands there is not a URL", f"mend notifier {config.name}", acceptable=True)
    why = await _connects(host, port)
    if not why:
        return Finding(name, True, f"{host}:{port} takes connections; nothing was sent")
    advice = "nobody would be told by it of a halt: mend it, or accept that"
    return Finding(name, False, f"{host}:{port}: {why}", advice, acceptable=True)


async def _connects(host: str, port: int) -> str:
    """Why there is no connection; empty where there is."""
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no connection within {SECONDS:g} s"
    except (OSError, UnicodeError) as error:
        return _reason(error)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    return ""


def _reason(error: OSError | UnicodeError) -> str:
    """In the system's words, without the address that asyncio puts before them."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror) or number not in errno.errorcode:
        return getattr(error, "strerror", None) or str(error)
    return os.strerror(number or 0)


# --- the disk ---


def disk(directory: Path) -> Finding:
    """Whether the state directory has room for a switch and the evidence of its halts."""
    try:
        room = os.statvfs(directory)
    except OSError as error:
        return Finding("host: disk", False, f"{directory}: {error.strerror}", "mend `state.directory`", acceptable=True)
    free, files = room.f_bavail * room.f_frsize, room.f_favail
    told = f"{free >> 20} MiB free at {directory}"
    short_of_files = room.f_files > 0 and files < DISK_FILES_MIN  # some file systems have no limit, and say 0
    if free >= DISK_BYTES_MIN and not short_of_files:
        return Finding("host: disk", True, told)
    what = f"{told}, wanted {DISK_BYTES_MIN >> 20}" + (f"; room for {files} more files" if short_of_files else "")
    advice = "make room there: without it a switch halts half-way, and its evidence cannot be kept"
    return Finding("host: disk", False, what, advice, acceptable=True)
