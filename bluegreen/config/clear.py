"""The rules of secrets: none stands in clear, every reference is well formed and stands where references are read.

A secret's value is never read here, and never shown: only its file's rights are looked at.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from bluegreen.config.draft import texts
from bluegreen.config.secrets import REFERENCE, names_a_secret
from bluegreen.config.words import Note
from bluegreen.config.yaml import Place

_WANTED = "wanted a reference ${env:NAME}, ${file:PATH} or ${credential:NAME}"
_HEADERS = {"authorization", "proxy-authorization", "x-api-key", "x-auth-token", "cookie"}
_USERINFO = re.compile(r"\w+://[^/@\s:]*:[^/@\s]+@")
_NAMES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"/.*"),
    "credential": re.compile(r"[A-Za-z0-9._-]+"),
}
_NAMES_WANTED = {
    "env": "a variable's name",
    "file": "an absolute path",
    "credential": "a credential's name, without a path",
}


def secret_notes(content: Mapping[str, object]) -> Iterator[Note]:
    """Every fault and warning about secrets in one file's content."""
    for place, text in texts(content):
        if place[:2] == ("control", "tokens") or (place[:1] == ("notify",) and place[-1] in ("secret", "slack")):
            yield from _token(place, text)
        elif len(place) > 2 and place[-2] in ("headers", "variables") and "expect" not in place:
            yield from _references(place, text)
            yield from _in_clear(place, text)
        elif REFERENCE.search(text):
            yield Note(place, "a secret is not read here; wanted it in `headers`, `variables` or `tokens`")
        if _USERINFO.search(text):
            yield Note(place, "a password stands in clear in a URL; wanted it in `headers`, as a reference")


def _token(place: Place, text: str) -> Iterator[Note]:
    if REFERENCE.fullmatch(text):
        yield from _references(place, text)
    else:
        yield Note(place, f"a token never stands in clear; {_WANTED}, and nothing else")


def _references(place: Place, text: str) -> Iterator[Note]:
    found = list(REFERENCE.finditer(text))
    if text.count("${") != len(found):
        yield Note(place, f"a reference that cannot be read; {_WANTED}")
    for match in found:
        source, name = match[1], match[2]
        if not _NAMES[source].fullmatch(name):
            yield Note(place, f"{match[0]} is not well formed; wanted {_NAMES_WANTED[source]} after `{source}:`")
        elif source == "file":
            yield from _file(place, Path(name))


def _file(place: Place, path: Path) -> Iterator[Note]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        what = f"{path} cannot be looked at ({reason}); wanted a file that the daemon can read"
        yield Note(place, what, "warning")
        return
    if not stat.S_ISREG(mode):
        yield Note(place, f"{path} is not a plain file; wanted a file that the daemon can read", "warning")
    elif not os.access(path, os.R_OK):
        yield Note(place, f"{path} cannot be read by this user; wanted a file that the daemon can read", "warning")
    elif mode & stat.S_IROTH:
        yield Note(place, f"{path} can be read by all; make it the daemon's own: chmod o-rwx {path}", "warning")


def _in_clear(place: Place, text: str) -> Iterator[Note]:
    section, name = place[-2], str(place[-1])
    if not text or "${" in text:
        return
    if name.lower() in _HEADERS if section == "headers" else names_a_secret(name):
        yield Note(place, f"secrets never stand in clear; {_WANTED}")
