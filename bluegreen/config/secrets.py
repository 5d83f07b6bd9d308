"""Secrets by reference: `${env:NAME}`, `${file:PATH}`, `${credential:NAME}`. Resolved at the moment of use, never kept.

What is written down (journal, logs, evidence, API) is the reference. `${credential:NAME}` is systemd's LoadCredential.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bluegreen.errors import BlueGreenError

REFERENCE = re.compile(r"\$\{(env|file|credential):([^}]+)\}")
_SECRET_BYTES_MAX = 65536


class SecretMissing(BlueGreenError):
    """A reference cannot be resolved; the message names the reference, never a value."""

    slug = "secret-missing"


def references(text: str) -> list[str]:
    """Every reference in a text, as written."""
    return [match[0] for match in REFERENCE.finditer(text)]


def resolve(text: str) -> str:
    """The text with every reference replaced by its secret. Raises SecretMissing."""
    return REFERENCE.sub(lambda match: _one(match[1], match[2]), text)


def _one(source: str, name: str) -> str:
    if source == "env":
        value = os.environ.get(name)
        if value is None:
            raise SecretMissing(f"${{env:{name}}}: the daemon's environment has no {name}", "set it and start again")
        return value
    if source == "credential":
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory is None:
            raise SecretMissing(
                f"${{credential:{name}}}: systemd gave no credentials", f"add LoadCredential={name}:PATH to the unit"
            )
        return _read(Path(directory) / name, f"${{credential:{name}}}")
    return _read(Path(name), f"${{file:{name}}}")


def _read(path: Path, reference: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_SECRET_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretMissing(f"{reference} cannot be read: {reason}", "mend the path or its rights") from None
