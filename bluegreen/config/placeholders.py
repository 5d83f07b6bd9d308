"""Placeholders in commands, URLs and expectations: `{environment}`, `{version}`, ... `{{` and `}}` are plain braces."""

from __future__ import annotations

import re
from collections.abc import Mapping

ALWAYS = ("service", "environment", "version", "artifact")
AT_A_HALT = ("live", "halt", "switch")
"""What commands that gather evidence know beside them."""
_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names_in(text: str) -> set[str]:
    """The placeholders that a text uses."""
    return {match[1] for match in _TOKEN.finditer(text) if match[1]}


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Raises KeyError with the name of one that has no value."""

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return values[match[1]]

    return _TOKEN.sub(one, text)
