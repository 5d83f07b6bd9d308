"""Files to configuration: every fault of all files at once, each with its file, line and place. No network.

A relative path in a file starts at that file's directory, and so does a command without a `directory`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bluegreen.config.clear import secret_notes
from bluegreen.config.draft import CHECKS, Draft, draft, without
from bluegreen.config.points import is_address
from bluegreen.config.rules import daemon_notes, service_notes, shared_notes
from bluegreen.config.schema import (
    Check,
    Config,
    Daemon,
    DigestProbe,
    FlagSource,
    HAProxyPoint,
    Service,
    State,
    SwitchPoint,
)
from bluegreen.config.words import Note, notes
from bluegreen.config.yaml import Document, read, spell
from bluegreen.errors import ConfigError, Fault

M = TypeVar("M", Daemon, Service)


def load(file: Path) -> Config:
    """The configuration that `file` (a `bluegreen.yaml`) and its services hold. Raises ConfigError with every fault."""
    config, faults = check(file)
    if config is None:
        raise ConfigError([fault for fault in faults if fault.severity == "error"])
    return config


def state_directory(file: Path) -> Path:
    """Where the state is kept, by a configuration that may be broken elsewhere, or everywhere."""
    document, _ = read(file)
    state = document.content.get("state") if document is not None else None
    named = state.get("directory") if isinstance(state, dict) else None
    return file.parent / named if isinstance(named, str) else Path(State().directory)


def check(file: Path) -> tuple[Config | None, tuple[Fault, ...]]:
    """Every fault and warning of all files, in reading order; the configuration where there are only warnings."""
    document, faults = read(file)
    if document is None:
        return None, faults
    daemon, found = _daemon(document)
    services, more = _services(document, daemon)
    faults = (*_told(document, faults, found), *more)
    if any(fault.severity == "error" for fault in faults):
        return None, faults
    loaded = {service.service: (service, source) for service, source in services}
    return Config(
        file=str(file),
        daemon=_placed_daemon(daemon, file.absolute().parent),
        services={name: service for name, (service, _) in loaded.items()},
        sources={name: source for name, (_, source) in loaded.items()},
    ), faults


def service_json(service: Service) -> str:
    """One service's configuration as a switch keeps it: in users' units, secrets as references, one line.

    The order of environments and switch points has a meaning and is kept.
    """
    document = service.model_dump(mode="json", by_alias=True)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def service_from_json(text: str) -> Service:
    """The service that `service_json` wrote, exactly. Raises ConfigError where this program cannot read it."""
    try:
        return Service.model_validate_json(text)
    except ValidationError as error:
        record = "the configuration on record"
        raise ConfigError([Fault(record, 0, spell(n.place), n.what) for n in notes(Service, error)]) from None


def config_hash(text: str) -> str:
    """The SHA-256 of a configuration's text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- the daemon's file ---


def _daemon(document: Document) -> tuple[Daemon, list[Note]]:
    """The daemon's part, with defaults where it has faults, and these."""
    _, found = _validated(Daemon, document)
    sound = Daemon.model_validate(without(document.content, [note.place for note in found]))
    rules = daemon_notes(_placed_daemon(sound, Path(document.file).absolute().parent))
    return sound, [*found, *rules, *secret_notes(document.content)]


def _services(document: Document, daemon: Daemon) -> tuple[list[tuple[Service, str]], list[Fault]]:
    """Every service that the daemon's file names, with its file; and all faults of these files."""
    pattern = document.content.get("services", daemon.services)
    if pattern != daemon.services:
        return [], []  # a fault already: there is no telling which files are meant
    files = _matches(Path(document.file).parent, pattern)
    if not files:
        what = f"no service: no file matches {pattern!r}; wanted one file a service"
        return [], [document.fault(("services",), what)]
    looked_at = [_look(file) for file in files]
    shared = list(shared_notes({looked.file: looked.draft for looked in looked_at if looked.draft is not None}))
    faults: list[Fault] = []
    for looked in looked_at:
        if looked.document is None:
            faults += looked.faults
        else:
            between = [note for file, note in shared if file == looked.file]
            faults += _told(looked.document, looked.faults, [*looked.notes, *between])
    return [(looked.service, looked.file) for looked in looked_at if looked.service is not None], faults


def _matches(directory: Path, pattern: str) -> list[Path]:
    wanted = Path(pattern)
    if wanted.is_absolute():
        directory, wanted = Path(wanted.anchor), wanted.relative_to(wanted.anchor)
    if not wanted.parts:
        return []
    try:
        found = sorted(directory.glob(str(wanted)))
    except (ValueError, NotImplementedError):  # a pattern that matches nothing by its form
        return []
    return [file for file in found if not file.name.startswith(".") and not file.is_dir()]


# --- a service's file ---


@dataclass(frozen=True, slots=True)
class _Looked:
    """One service's file; there is a document where it is YAML, and a service where its types hold."""

    file: str
    faults: Sequence[Fault]
    document: Document | None = None
    draft: Draft | None = None
    service: Service | None = None
    notes: Sequence[Note] = ()


def _look(file: Path) -> _Looked:
    document, faults = read(file)
    if document is None:
        return _Looked(str(file), faults)
    service, found = _validated(Service, document)
    sound = draft(document.content, [note.place for note in found])
    every = [*found, *service_notes(sound), *secret_notes(document.content)]
    placed = None if service is None else _placed(service, file.absolute().parent)
    return _Looked(str(file), faults, document, sound, placed, every)


def _validated(root: type[M], document: Document) -> tuple[M | None, list[Note]]:
    try:
        return root.model_validate(document.content), []
    except ValidationError as error:
        return None, notes(root, error)


def _told(document: Document, faults: Iterable[Fault], found: Iterable[Note]) -> list[Fault]:
    """A file's faults by line; where reading has found one, what follows from it is left out."""
    read_already = list(faults)
    known = {(fault.line, fault.path) for fault in read_already}
    more = [document.fault(note.place, note.what, note.severity) for note in found]
    every = [*read_already, *(fault for fault in more if (fault.line, fault.path) not in known)]
    return sorted(dict.fromkeys(every), key=lambda fault: fault.line)


# --- relative paths ---


def _placed_daemon(daemon: Daemon, base: Path) -> Daemon:
    state = daemon.state.model_copy(update={"directory": str(base / daemon.state.directory)})
    control = daemon.control.model_copy(update={"socket": str(base / daemon.control.socket)})
    return daemon.model_copy(update={"state": state, "control": control})


def _placed(service: Service, base: Path) -> Service:
    directory = str(base / (service.deploy.directory or ""))
    return service.model_copy(
        update={
            "deploy": service.deploy.model_copy(update={"directory": directory}),
            "switch_points": [_placed_point(point, base) for point in service.switch_points],
            **{section: list(_placed_checks(getattr(service, section), base)) for section in CHECKS},
            "evidence": [
                one.model_copy(update={"directory": str(base / (one.directory or ""))}) for one in service.evidence
            ],
            "flags": _placed_flags(service.flags, base),
            "digest": _placed_digest(service.digest, base),
        }
    )


def _placed_flags(flags: FlagSource | None, base: Path) -> FlagSource | None:
    if flags is None or flags.command is None:
        return flags
    directory = str(base / (flags.command.directory or ""))
    return flags.model_copy(update={"command": flags.command.model_copy(update={"directory": directory})})


def _placed_digest(probe: DigestProbe | None, base: Path) -> DigestProbe | None:
    if probe is None or probe.command is None:
        return probe
    return probe.model_copy(update={"directory": str(base / (probe.directory or ""))})


def _placed_point(point: SwitchPoint, base: Path) -> SwitchPoint:
    if not isinstance(point, HAProxyPoint):
        return point
    socket = point.socket if is_address(point.socket) else str(base / point.socket)
    state_file = None if point.state_file is None else str(base / point.state_file)
    return point.model_copy(update={"socket": socket, "state_file": state_file})


def _placed_checks(checks: Iterable[Check], base: Path) -> Iterator[Check]:
    for one in checks:
        if one.command is None:
            yield one
        else:
            yield one.model_copy(update={"directory": str(base / (one.directory or ""))})
