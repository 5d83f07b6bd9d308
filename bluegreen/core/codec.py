"""Events to and from plain JSON values. Pure; guided by the events' own annotations: nothing to keep in step.

A field that an older entry lacks takes its default. An unknown kind or field is an error: nothing is guessed at.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from bluegreen.core import events, notes
from bluegreen.core.events import Event
from bluegreen.model import Weights

KINDS: dict[str, type[Event]] = {
    cls.__name__: cls
    for module in (events, *notes.TOPICS)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, Event) and cls not in (Event, notes.NoteEvent)
}


class Undecodable(ValueError):
    """The value is not an event that this program knows."""


def encode(event: Event) -> tuple[str, dict[str, Any]]:
    """An event's kind and its fields as JSON values."""
    return type(event).__name__, {f.name: _plain(getattr(event, f.name)) for f in fields(event)}


def decode(kind: str, data: Mapping[str, Any]) -> Event:
    """The event. Raises Undecodable."""
    cls = KINDS.get(kind)
    if cls is None:
        raise Undecodable(f"unknown event {kind!r}")
    try:
        decoded: Event = _typed(cls, data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Undecodable(f"{kind}: {error}") from error
    return decoded


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):  # Weights among them
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return [_plain(item) for item in value]


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = get_type_hints(cls)
    return _HINTS[cls]


def _typed(hint: Any, value: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _typed(next(arg for arg in args if arg is not type(None)), value)
    if origin is tuple:
        return tuple(_typed(args[0], item) for item in value)
    if origin is not None:  # Mapping[str, X]
        return {key: _typed(args[1], item) for key, item in value.items()}
    if hint is Weights:
        return Weights.of(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if is_dataclass(hint):
        return _dataclass(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum | float):
        return hint(value)
    if not isinstance(value, hint):
        raise TypeError(f"wanted {hint.__name__}, found {value!r}")
    return value


def _dataclass(cls: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(cls)
    unknown = set(value) - set(hints)
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}")
    given = {name: _typed(hints[name], value[name]) for name in hints if name in value}
    missing = [
        f.name for f in fields(cls) if f.name not in given and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"no {missing[0]!r}")
    return cls(**given)
