"""What of a service's file is sound enough for the rules, though other parts of it are not.

So that one wrong key does not hide ten other faults: what pydantic refused is taken out, part by part, and the rest is
looked at. A draft says nothing about what is missing from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bluegreen.config.flags import DigestProbe, FlagSource
from bluegreen.config.schema import Check, Deploy, Failback, Health, Shift, SwitchPoint
from bluegreen.config.units import Name, Text
from bluegreen.config.yaml import Place

CHECKS = ("smoke", "gates", "guards")
_LISTS = ("switch_points", "evidence", *CHECKS)

T = TypeVar("T")
_ENVIRONMENTS: TypeAdapter[dict[str, dict[str, str]]] = TypeAdapter(dict[Name, dict[str, Text]])
_POINT: TypeAdapter[SwitchPoint] = TypeAdapter(SwitchPoint)
_DEPLOY: TypeAdapter[Deploy] = TypeAdapter(Deploy)
_CHECK = TypeAdapter(Check)
_SHIFT = TypeAdapter(Shift)
_FAILBACK = TypeAdapter(Failback)
_HEALTH = TypeAdapter(Health)
_FLAGS, _DIGEST = TypeAdapter(FlagSource), TypeAdapter(DigestProbe)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Draft:
    """The sound parts, each by its place in the file; None and gaps where a part is not sound."""

    content: Mapping[str, Any]
    name: str | None
    environments: Mapping[str, Mapping[str, str]] | None
    points: Mapping[int, SwitchPoint]
    deploy: Deploy | None
    checks: Mapping[tuple[str, int], Check]
    shift: Shift | None
    failback: Failback | None
    health: Health | None
    flags: FlagSource | None
    digest: DigestProbe | None


def draft(content: Mapping[str, Any], bad: Iterable[Place]) -> Draft:
    """The draft of a file's content, without the `bad` places."""
    sound = without(content, bad)
    points = {i: point for i, item in _items(sound, "switch_points") if (point := _valid(_POINT, item)) is not None}
    checks = {
        (section, i): check
        for section in CHECKS
        for i, item in _items(sound, section)
        if (check := _valid(_CHECK, item)) is not None
    }
    return Draft(
        content=content,
        name=_valid(_NAME, sound.get("service")),
        environments=_valid(_ENVIRONMENTS, sound.get("environments")),
        points=points,
        deploy=_valid(_DEPLOY, sound.get("deploy")),
        checks=checks,
        shift=_valid(_SHIFT, sound.get("shift", {})),
        failback=_valid(_FAILBACK, sound.get("failback", {})),
        health=_valid(_HEALTH, sound.get("health", {})),
        flags=_valid(_FLAGS, sound.get("flags")),
        digest=_valid(_DIGEST, sound.get("digest")),
    )


def texts(content: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every text in a content, with its place."""
    if isinstance(content, str):
        yield place, content
    elif isinstance(content, Mapping):
        for key, item in content.items():
            yield from texts(item, (*place, key))
    elif isinstance(content, list):
        for index, item in enumerate(content):
            yield from texts(item, (*place, index))


def without(content: Mapping[str, Any], bad: Iterable[Place]) -> dict[str, Any]:
    """A copy without each bad place's whole field, so that nothing half-read is taken for whole."""
    sound = deepcopy(dict(content))
    for place in sorted({_field(place) for place in bad}, key=len, reverse=True):
        *way, last = place
        parent: Any = sound
        for part in way:
            parent = parent[part]
        if isinstance(last, int):
            parent[last] = None  # the others keep their index
        else:
            parent.pop(last, None)
    return sound


def _field(place: Place) -> Place:
    if place[0] == "environments":
        return place[:1]
    return place[:3] if place[0] in _LISTS else place[:2]


def _items(content: Mapping[str, Any], section: str) -> Iterator[tuple[int, object]]:
    items = content.get(section)
    return enumerate(items) if isinstance(items, list) else enumerate(())


def _valid(adapter: TypeAdapter[T], value: object) -> T | None:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None
