"""`30s`, `10m`, `24h` on the command line, as in the configuration."""

from __future__ import annotations

import re

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """An option's duration, in seconds. Raises click.BadParameter."""
    if text is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    if parts is None:
        raise click.BadParameter(f"{text!r} is not a duration; wanted 500ms, 30s, 10m, 24h or 7d")
    return float(parts[1]) * _UNITS[parts[2]]
