"""Configured texts ready for use: placeholders filled in, secrets resolved, and kept out of what is told.

A reference counts only where the configuration has it: a version named `${file:…}` is plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from bluegreen.config.placeholders import fill
from bluegreen.config.secrets import REFERENCE, resolve

HIDDEN = "***"


def filled(texts: Mapping[str, str], names: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The texts ready for use, and the secrets among them. Raises KeyError (a placeholder) and SecretMissing."""
    made: dict[str, str] = {}
    secrets: list[str] = []
    for key, text in texts.items():
        parts, end = [], 0
        for match in REFERENCE.finditer(text):
            secret = resolve(match[0])
            parts += [fill(text[end : match.start()], names), secret]
            secrets.append(secret)
            end = match.end()
        made[key] = "".join(parts) + fill(text[end:], names)
    return made, [secret for secret in secrets if secret]


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, be they plain or written as a text of JSON or Python."""
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _forms(secret: str) -> set[str]:
    quoted = {json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)}
    return {form for form in (secret, *(one[1:-1] for one in quoted)) if form}
