"""Secrets by reference: `${env:NAME}`, `${file:PATH}`, `${credential:NAME}`. Resolved at the moment of use.

What is written down (journal, logs, evidence, API) is the reference. `${credential:NAME}` is systemd's LoadCredential.
What was resolved is remembered in this process for one purpose: to be found in, and taken out of, what is told.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from bluegreen.errors import BlueGreenError

REFERENCE = re.compile(r"\$\{(env|file|credential):([^}]+)\}")
_SECRET_BYTES_MAX = 65536
WORD_MAX = 5
"""What is no longer than this is hidden only where it was used: `true` or `8080` would be missed everywhere else."""
_GIVEN_MIN = 8
_VARIABLE = re.compile(r"TOKEN|PASSWORD|PASSPHRASE|SECRET|KEY", re.IGNORECASE)
_NAMES_A_PLACE = re.compile(r"_(FILE|PATH|DIR|URL|ID)$", re.IGNORECASE)
_resolved: set[str] = set()


class SecretMissing(BlueGreenError):
    """A reference cannot be resolved; the message names the reference, never a value."""

    slug = "secret-missing"


def references(text: str) -> list[str]:
    """Every reference in a text, as written."""
    return [match[0] for match in REFERENCE.finditer(text)]


def resolve(text: str) -> str:
    """The text with every reference replaced by its secret. Raises SecretMissing."""
    return REFERENCE.sub(lambda match: _remembered(_one(match[1], match[2])), text)


def remember(text: str) -> None:
    """Resolve every reference in a text, so that its secret is known before it is used; one that is missing is told of
    when it is needed."""
    for reference in references(text):
        with contextlib.suppress(SecretMissing):
            resolve(reference)


def remember_environment() -> None:
    """What this process was given under a name that says it is a secret: its programs have it too, and print it."""
    for name, value in os.environ.items():
        if names_a_secret(name) and len(value) >= _GIVEN_MIN and not value.startswith("/"):
            _resolved.add(value)


def names_a_secret(variable: str) -> bool:
    """Whether a variable of that name holds a secret, and not merely the place of one."""
    return bool(_VARIABLE.search(variable)) and not _NAMES_A_PLACE.search(variable)


def resolved() -> frozenset[str]:
    """Every secret that this process knows so far, but for those that are as short as a word."""
    return frozenset(_resolved)


def _remembered(secret: str) -> str:
    if len(secret) > WORD_MAX:
        _resolved.add(secret)
    return secret


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
