"""Configured texts ready for use: placeholders filled in, secrets resolved, and kept out of what is told.

A reference counts only where the configuration has it: a version named `${file:…}` is plain text.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from bluegreen.config import patterns
from bluegreen.config.patterns import base64_forms
from bluegreen.config.placeholders import fill
from bluegreen.config.secrets import REFERENCE, WORD_MAX, resolve, resolved

HIDDEN = "***"
_LINE_MIN = 12
"""What is shorter in a secret of several lines may stand anywhere: it is no secret by itself."""


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


def redacted(text: str, secrets: Iterable[str] = (), *, strangers: bool = True) -> str:
    """The text without these secrets and without any other that this process has used, be they plain, in base64, in
    hexadecimal, in a URL, or written as a text of JSON or Python; and, unless told otherwise, without what looks like
    somebody else's (`strangers`) and without pieces of long ones: indented, wrapped, cut."""
    known = {*secrets, *resolved()}
    forms = {form for secret in known for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    if not strangers:
        return text
    long = [secret for secret in known if len(secret) >= patterns.LONG_MIN]
    return patterns.hidden(patterns.without_pieces(text, long, HIDDEN) if long else text, HIDDEN)


@functools.lru_cache(1024)
def _forms(secret: str) -> frozenset[str]:
    lines = {line.strip() for line in secret.splitlines()} if "\n" in secret else set()
    wholes = {secret, *(line for line in lines if len(line) >= _LINE_MIN and not line.startswith("-----"))}
    quoted = {form for one in wholes for form in (json.dumps(one), json.dumps(one, ensure_ascii=False), repr(one))}
    plain = {*wholes, *(one[1:-1] for one in quoted)}
    if len(secret) > WORD_MAX:
        raw = secret.encode()
        plain |= {quote(secret), quote(secret, safe=""), quote_plus(secret), *base64_forms(raw)}
        plain |= {raw.hex(), raw.hex().upper()}
    return frozenset(form for form in plain if form)
