"""The units that an operator writes: durations, shares, names. Read and written alike, so that nothing is lost."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from bluegreen.model import WHOLE, percent

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_LONGEST = 366 * 86400.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: object) -> float:
    """`500ms`, `30s`, `10m`, `24h`, `7d` -> seconds. Raises ValueError for anything else, bare numbers included."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value.strip())):
        if (duration := float(match[1]) * _UNITS[match[2]]) > _LONGEST:
            raise ValueError(f"{value!r} is longer than a year; wanted 366d at most")
        return duration
    raise ValueError(f"{value!r} is not a duration; wanted a number with its unit: 500ms, 30s, 10m, 24h or 7d")


def tenths(value: object) -> int:
    """`5%` -> 50, `0.1%` -> 1. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())):
        try:
            exact = Decimal(match[1]) * 10
        except InvalidOperation:
            exact = Decimal(-1)
        if exact == exact.to_integral_value() and 0 <= exact <= WHOLE:
            return int(exact)
        raise ValueError(f"{value!r} is not a share; wanted 0.1% to 100%, in steps of 0.1%")
    raise ValueError(f"{value!r} is not a percentage; wanted one such as 5%, 0.1% or 100%")


def duration_text(value: float) -> str:
    """Seconds as `seconds` reads them, exactly: `90.0` -> `90s`."""
    return f"{Decimal(repr(value)):f}s".replace(".0s", "s")


def _wait(value: object) -> float | None:
    return None if value == "approve" else seconds(value)


def _wait_text(value: float | None) -> str:
    return "approve" if value is None else duration_text(value)


def _minimum(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and value.strip().endswith("%") and tenths(value) > 0:
        return value.strip()
    raise ValueError(f"{value!r} is not a minimum; wanted a count of targets (2) or a share of them (50%)")


def _text(value: object) -> str:
    """An environment's value as text; YAML's numbers are taken as written, nothing else is."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("this is not text; put it in quotes")
    return str(value)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:iB|B)?|%)")


def size_of(value: str, whole: int) -> int:
    """`512M`, `5G` (powers of 1024), or `10%` of the whole -> bytes. Raises ValueError."""
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size; wanted one such as 512M, 5G or 10%")
    if match[2] is None:
        return whole * tenths(value) // WHOLE
    return int(float(match[1]) * 1024 ** ("KMGT".index(match[2]) + 1))


def _size(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a size; wanted one such as 512M, 5G or 10%")
    size_of(value, 0)
    return value.strip()


DURATION: dict[str, Any] = {
    "type": "string",
    "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$",
    "examples": ["500ms", "30s", "10m", "24h", "7d"],
}
SHARE: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["5%", "0.1%", "100%"]}

_MINIMUM: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SHARE["pattern"]}],
    "examples": [2, "50%"],
}

# Read from, and written as, what an operator writes: a configuration that was written down reads back the same.
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    Field(json_schema_extra=DURATION),
]
Share = Annotated[
    int,
    BeforeValidator(tenths),
    PlainSerializer(percent, return_type=str, when_used="json"),
    Field(json_schema_extra=SHARE),
]
Wait = Annotated[float | None, BeforeValidator(_wait), PlainSerializer(_wait_text, return_type=str, when_used="json")]
Minimum = Annotated[int | str, BeforeValidator(_minimum), Field(json_schema_extra=_MINIMUM)]
Size = Annotated[str, BeforeValidator(_size)]
Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, BeforeValidator(_text), Field(json_schema_extra={"type": ["string", "number"]})]
Command = Annotated[list[str], Field(min_length=1, description="an argument list, never a shell line")]
