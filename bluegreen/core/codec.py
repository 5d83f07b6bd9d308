"""Events to and from plain JSON values. Pure; guided by the events' own annotations: nothing to keep in step.

A field that an older entry lacks takes its default. An unknown kind or field is an error: nothing is guessed at.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
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
    cls: Any = KINDS.get(kind)
    if cls is None:
        raise Undecodable(f"unknown event {kind!r}")
    try:
        decoded: Event = _reader(cls)(data)
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


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of the annotated type from its JSON value: worked out once for each type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = _reader(next(arg for arg in args if arg is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _reader(args[0])
        return lambda value: tuple([item(one) for one in value])
    if origin is not None:  # Mapping[str, X]
        item = _reader(args[1])
        return lambda value: {key: item(one) for key, one in value.items()}
    if hint is Weights:
        return Weights.of
    if hint is datetime:
        return datetime.fromisoformat
    if is_dataclass(hint):
        return _of_fields(hint)
    if isinstance(hint, type) and issubclass(hint, Enum | float):
        return hint
    return partial(_as_it_is, hint)


def _as_it_is(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"wanted {wanted.__name__}, found {value!r}")
    return value


def _of_fields(cls: Any) -> Callable[[Mapping[str, Any]], Any]:
    hints = get_type_hints(cls)
    readers = {name: _reader(hint) for name, hint in hints.items()}
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]

    def read(value: Mapping[str, Any]) -> Any:
        unknown = value.keys() - readers.keys()
        if unknown:
            raise ValueError(f"unknown field {min(unknown)!r}")
        missing = [name for name in needed if name not in value]
        if missing:
            raise ValueError(f"no {missing[0]!r}")
        return cls(**{name: readers[name](one) for name, one in value.items()})

    return read
