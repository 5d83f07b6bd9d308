"""Guards that are made while the daemon runs: held to the same rules as those of a service's file, kept as JSON.

Configuration management owns the file, so nothing is ever written there: `written` is what a person puts into it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bluegreen.config.clear import secret_notes
from bluegreen.config.draft import draft, texts
from bluegreen.config.load import service_from_json
from bluegreen.config.rules import service_notes
from bluegreen.config.schema import Check, Service
from bluegreen.config.secrets import REFERENCE
from bluegreen.config.words import Note, notes
from bluegreen.config.yaml import spell
from bluegreen.errors import BadRequest, ConfigError, Fault


def checked(config: str, written: Mapping[str, Any]) -> tuple[Check, list[str]]:
    """A new guard of the service whose configuration `config` is, and the warnings about it. Raises BadRequest with
    every fault, each by its place in the guard."""
    content = json.loads(config)
    index = len(content["guards"])
    content["guards"] = [*content["guards"], dict(written)]
    found = _typed(content)
    found += [*service_notes(draft(content, [note.place for note in found])), *secret_notes(content)]
    own = [note for note in found if note.place[:2] == ("guards", index)]
    if faults := [note for note in own if note.severity == "error"]:
        told = {_place(note): note.what for note in reversed(faults)}
        raise BadRequest("this guard is not sound", dict(reversed(told.items())))
    check = Check.model_validate(dict(written))
    return _placed(check, config), [f"{_place(note)}: {note.what}" for note in own]


def kept(check: Check) -> str:
    """The guard as it goes on record: what was written, in users' units, secrets as references, one line."""
    document = check.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read(text: str) -> Check:
    """The guard that `kept` wrote. Raises ConfigError where this program cannot read it."""
    try:
        return Check.model_validate_json(text)
    except ValidationError as error:
        faults = [_fault(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)]
        raise ConfigError(faults) from None


def needs_trust(check: Check) -> bool:
    """Whether the guard runs a program, sends a secret, or uses the daemon's credentials in another way than its
    service does: what only those may make who are on the daemon's host."""
    secret = any(REFERENCE.search(text) for _, text in texts(check.model_dump()))
    elsewhere = any(one is not None for one in (check.endpoint_url, check.role, check.profile))
    return check.command is not None or secret or elsewhere


# --- parts ---


def _typed(content: Mapping[str, Any]) -> list[Note]:
    try:
        Service.model_validate(content)
    except ValidationError as error:
        return notes(Service, error)
    return []


def _placed(check: Check, config: str) -> Check:
    """A command starts where the service's deploy command does, as those of the file do."""
    if check.command is None:
        return check
    base = Path(getattr(service_from_json(config).deploy, "directory", None) or "/")
    return check.model_copy(update={"directory": str(base / (check.directory or ""))})


def _place(note: Note) -> str:
    return spell(note.place[2:]) or "check"


def _fault(location: tuple[str | int, ...], what: str) -> Fault:
    return Fault("a guard on record", 0, spell(location), what)
