"""Configured texts ready for use: placeholders filled in, secrets resolved, and kept out of what is told.

A reference counts only where the configuration has it: a version named `${file:…}` is plain text.
"""

from __future__ import annotations

import functools
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from bluegreen.config.placeholders import fill
from bluegreen.config.secrets import REFERENCE, WORD_MAX, resolve, resolved

HIDDEN = "***"
_URL_SAFE = str.maketrans("+/", "-_")


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


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these secrets and without any other that this process has used, be they plain, in base64, in a
    URL, or written as a text of JSON or Python."""
    forms = {form for secret in {*secrets, *resolved()} for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


@functools.lru_cache(1024)
def _forms(secret: str) -> frozenset[str]:
    quoted = {json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)}
    plain = {secret, *(one[1:-1] for one in quoted)}
    if len(secret) > WORD_MAX:
        plain |= {quote(secret), quote(secret, safe=""), quote_plus(secret), *_base64(secret.encode())}
    return frozenset(form for form in plain if form)


def _base64(secret: bytes) -> Iterator[str]:
    """What stays the same of its base64, wherever in a text it begins: `user:secret` is coded as one."""
    for before in range(3):
        coded = b64encode(b"\0" * before + secret).decode().rstrip("=")
        sure = coded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield sure
        yield sure.translate(_URL_SAFE)
