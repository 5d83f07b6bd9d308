"""The configuration as one JSON Schema (2020-12): what editors complete and check by, and where known keys come from.

It describes what a user writes (`30s`, `5%`), not the values that they become.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from bluegreen.config.schema import Daemon, Service
from bluegreen.config.units import duration_text

Root = type[Daemon] | type[Service]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the daemon's file or a service's file: either validates."""
    return deepcopy(_schema())


def known_keys(root: Root, location: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand at a pydantic location (it names a tagged union's tag on its way)."""
    return tuple(_at(root, location).get("properties", ()))


def known_kinds(root: Root, location: tuple[str | int, ...]) -> tuple[str, ...]:
    """The kinds that may stand at the location of a tagged union."""
    return tuple(_at(root, location)["discriminator"]["mapping"])


def _at(root: Root, location: tuple[str | int, ...]) -> dict[str, Any]:
    node = _target(_schema()["$defs"][root.__name__])
    for part in location:
        node = _below(node, part)
    return node


@cache
def _schema() -> dict[str, Any]:
    refs, schema = models_json_schema([(Daemon, "validation"), (Service, "validation")])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bluegreen",
        "description": "bluegreen.yaml, or one service's file in services/",
        "oneOf": [refs[Daemon, "validation"], refs[Service, "validation"]],
        "$defs": {name: _as_written(part) for name, part in schema["$defs"].items()},
    }


def _as_written(node: Any) -> Any:
    if isinstance(node, list):
        return [_as_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    written = {key: _as_written(item) for key, item in node.items()}
    if isinstance(written.get("default"), float):  # every default that is a fraction is a duration
        written["default"] = duration_text(written["default"])
    if "patternProperties" in written:
        written["additionalProperties"] = False
    return written


def _below(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    if isinstance(part, int):
        return _target(node["items"])
    if "discriminator" in node:
        return _target({"$ref": node["discriminator"]["mapping"][part]})
    if part in node.get("properties", ()):
        return _target(node["properties"][part])
    (values,) = node["patternProperties"].values()
    return _target(values)


def _target(node: dict[str, Any]) -> dict[str, Any]:
    """Past a reference, and past "or null"."""
    for choice in node.get("anyOf", ()):
        if "$ref" in choice:
            node = choice
    if "$ref" in node:
        found: dict[str, Any] = _schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return found
    return node
