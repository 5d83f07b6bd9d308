"""The edge of change manifests: from YAML, JSON or a request's body to `core.manifest`, every fault at once.

One JSON Schema, made from the models here, is what `bluegreen schema --changes` and the API publish.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from bluegreen.config.model import Model
from bluegreen.config.units import Text
from bluegreen.config.words import plain, shown
from bluegreen.config.yaml import Place, read, spell
from bluegreen.core import manifest
from bluegreen.errors import BadRequest, ConfigError

ENTRIES_MAX = 500
_ID = r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}$"

Id = Annotated[Text, Field(pattern=_ID)]
Told = Annotated[Text, Field(min_length=1, max_length=2000)]


class Advisory(Model):
    """A security advisory that the release closes."""

    id: Id = Field(description="CVE-2026-1234, GHSA-…")
    severity: Annotated[str, Field(max_length=32)] = Field("", description="low, medium, high, critical, or a score")


class Change(Model):
    """One thing that moves forward with a release."""

    kind: manifest.ChangeKind
    id: Id = Field(description="a name that stays: operators acknowledge it as KIND:ID")
    summary: Told
    backward_compatible: manifest.Compatible = Field(
        manifest.Compatible.UNKNOWN, description="whether the release before can live with it"
    )
    phase: manifest.Direction | None = Field(
        None, description="schema only: it only adds (expand), or takes away (contract)"
    )
    advisories: list[Advisory] = Field(default_factory=list, description="security only: what the release closes")
    undo: Annotated[str, Field(max_length=2000)] = Field("", description="how to take it back, in words")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Change:
        if self.phase is not None and self.kind is not manifest.ChangeKind.SCHEMA:
            raise ValueError(f"`phase` belongs to a schema change; this is {self.kind}")
        if self.advisories and self.kind is not manifest.ChangeKind.SECURITY:
            raise ValueError(f"`advisories` belong to a security change; this is {self.kind}")
        return self


_LIST = TypeAdapter(Annotated[list[Change], Field(max_length=ENTRIES_MAX)])


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest: a list of changes; `[]` says that nothing but code changed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bluegreen change manifest",
        "description": "what moves forward with a release; [] says that nothing but code does",
        **_LIST.json_schema(),
    }


def from_body(entries: Sequence[Any]) -> tuple[manifest.Change, ...]:
    """The manifest in a request. Raises BadRequest with every fault by its place."""
    changes, faults = _parsed(list(entries))
    if faults:
        errors: dict[str, str] = {}
        for place, what in faults:
            name = spell(("changes", *place))
            errors[name] = f"{errors[name]}; {what}" if name in errors else what
        count = f"{len(errors)} fault{'s' if len(errors) > 1 else ''}"
        raise BadRequest(f"the change manifest has {count}", errors, "its JSON Schema: bluegreen schema --changes")
    return changes


def from_file(file: Path) -> tuple[manifest.Change, ...]:
    """The manifest in a YAML or JSON file: a list, or `changes:` with a list. Raises ConfigError with every fault."""
    document, unread = read(file, lists="changes")
    if document is None:
        raise ConfigError(unread)
    faults = list(unread)
    content = document.content.get("changes")
    faults += [document.fault((key,), "unknown key; wanted `changes`") for key in document.content if key != "changes"]
    if not isinstance(content, list):
        raise ConfigError([*faults, document.fault(("changes",), "wanted a list of changes; [] for nothing but code")])
    changes, found = _parsed(content)
    faults += [document.fault(("changes", *place), what) for place, what in found]
    if faults:
        raise ConfigError(faults)
    return changes


def _parsed(entries: list[Any]) -> tuple[tuple[manifest.Change, ...], list[tuple[Place, str]]]:
    faults: list[tuple[Place, str]] = []
    try:
        read_ = _LIST.validate_python(entries)
    except ValidationError as error:
        read_ = []
        faults = [_fault(entries, detail) for detail in error.errors(include_url=False)]
    first: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        named = (str(entry.get("kind")), str(entry.get("id"))) if isinstance(entry, dict) and "id" in entry else None
        if named is not None and first.setdefault(named, index) != index:
            what = f"{named[0]}:{shown(named[1])} is already entry {first[named]}; wanted an id of its own"
            faults.append(((index, "id"), what))
    if faults:
        return (), sorted(faults, key=lambda fault: [str(part).zfill(6) for part in fault[0]])
    return tuple(_noun(one) for one in read_), []


def _noun(change: Change) -> manifest.Change:
    advisories = tuple(manifest.Advisory(one.id, one.severity) for one in change.advisories)
    return manifest.Change(
        change.kind, change.id, change.summary, change.backward_compatible, change.phase, advisories, change.undo
    )


def _fault(entries: list[Any], detail: Any) -> tuple[Place, str]:
    place: Place = tuple(detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            model = Advisory if "advisories" in place else Change
            return place, f"unknown key; wanted one of {', '.join(model.model_fields)}"
        case "enum":
            return place, f"unknown value {shown(detail['input'])}; wanted {detail['ctx']['expected']}".replace("'", "")
        case "string_pattern_mismatch":
            return place, "not an id; wanted letters, digits and . _ : / + -, at most 128, a letter or digit first"
    return place, plain(detail)
