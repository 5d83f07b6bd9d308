"""The last wall before the journal: no entry holds a secret that this process knows, or that looks like one, whoever
put it there.

Checks and deployers take their own secrets out of what they tell. What an answer, a command's output, an error or a
person's reason holds beside that is taken out here, before it is durable; so it is in no log and no document either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from bluegreen.config.values import redacted
from bluegreen.core.events import Event

E = TypeVar("E", bound=Event)
_CONFIGURED = ("config", "check")
"""Configuration as JSON, which is read again: it has references where secrets were; what only looks like one stays."""


def clean(event: E) -> E:
    """The event, its texts without secrets. Names, which are keys, stay as they are."""
    cleaned: E = _without(event)
    return cleaned


def _without(value: Any, name: str = "") -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return redacted(value, strangers=name not in _CONFIGURED)
    if isinstance(value, tuple):
        return tuple(_without(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            f.name: new for f in fields(value) if (new := _without(old := getattr(value, f.name), f.name)) is not old
        }
        return replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        return {key: _without(item) for key, item in value.items()}
    return value
