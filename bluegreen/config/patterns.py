"""What looks like a secret, whoever it belongs to; and pieces of a known long one, however it was cut or wrapped.

The daemon knows its own secrets. What a command prints of another's (a password in a URL, a bearer token, a private
key) is known by its looks alone. A reference (`${env:NAME}`) is none.
"""

from __future__ import annotations

import functools
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence

LONG_MIN = 48
"""From this length on a secret is looked for in pieces too: keys of many lines are printed with something before each
line, and coded in lines of 64 or 76 characters."""
_PIECE_MIN, _CUT = 24, 16
_URL_SAFE = str.maketrans("+/", "-_")
_RUN = re.compile(rf"\\[nrt]|([A-Za-z0-9+/_-]{{{_PIECE_MIN},}})")
_WORD = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|_key|signature)"
    r"[\w.-]{0,40}"
)
_NO_PLACE = "".join(rf"(?<![_-]{word})" for word in ("file", "path", "dir", "url", "id"))
_VALUE = r"(?!\$\{|\*\*\*|\{)"
"""What follows is a value: no reference, no placeholder, and not hidden already."""
_SCHEME = r"(?:bearer|basic|token|digest|negotiate)\s+"
_TO = r"\\*+[\"']?+\s*+[:=]\s*+\\*+[\"']?+"
"""From a header's name to its value, as a header, in a program or in JSON."""
_KEY = re.compile(
    r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)(?!\*\*\*)"
    r"(?:[^\"-]|-(?!----(?:BEGIN|END)))*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"
)
"""A private key, as far as it is there."""
_NAMED = ("passw", "passph", "secret", "token", "credential", "key", "signature")
_LOOKS = tuple(
    (clues, re.compile(pattern, flags))
    for clues, pattern, flags in (
        # Authorization: Bearer …, "x-api-key": "…", Cookie: …
        (("authoriz",), rf"(authorization{_TO}(?:{_SCHEME})?){_VALUE}(?!{_SCHEME})[^\s\"'\\,;]+", re.I),
        (("x-a",), rf"(x-(?:api-key|auth-token){_TO}){_VALUE}[^\s\"'\\,;]+", re.I),
        (("cookie",), rf"(cookie{_TO}){_VALUE}[^\r\n\"'\\]+", re.I),
        (("bearer",), rf"(\bbearer\s+){_VALUE}(?=\S{{0,200}}?\d|\S{{20}})[A-Za-z0-9._~+/=-]{{8,}}", re.I),
        # https://user:password@host
        (("://",), rf"(\w://[^/@\s:\"']*:){_VALUE}[^/@\s\"']+(?=@)", 0),
        # ?token=…, PASSWORD=…, --api-key=…, --token …; and "password": "…"
        (_NAMED, rf"({_WORD}{_NO_PLACE}=[\"']?){_VALUE}[^\s&\"'<>;,\\]+", re.I),
        (_NAMED, rf"(--[a-z-]{{0,30}}{_WORD}{_NO_PLACE}\s+){_VALUE}(?!-)[^\s\"'\\]+", re.I),
        (_NAMED, rf"({_WORD}{_NO_PLACE}\\*[\"']\s*:\s*\\*[\"']){_VALUE}[^\"'\\]{{6,}}", re.I),
        # tokens that say what they are: JSON Web Tokens, GitHub's, Slack's
        (("eyj",), r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", 0),
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"()\bgh[pousr]_[A-Za-z0-9]{20,}", 0),
        (("xox",), r"()\bxox[abeprs]-[A-Za-z0-9-]{10,}", 0),
    )
)  # fmt: skip
"""What is looked for, after the words without which a line has nothing of the kind: most lines have none."""
_CLUES = re.compile("|".join(re.escape(clue) for clues, *_ in _LOOKS for clue in clues), re.IGNORECASE)
"""Any of these words: most texts have none at all."""


def hidden(text: str, mark: str) -> str:
    """The text with `mark` for the value of everything that looks like a secret."""
    if "PRIVATE KEY-----" in text:
        text = _KEY.sub(rf"\1{mark}", text)
    if _CLUES.search(text) is None:
        return text
    lines = ("\\n".join(_hidden(part, mark) for part in line.split("\\n")) for line in text.split("\n"))
    return "\n".join(lines)


def _hidden(line: str, mark: str) -> str:
    lowered = line.lower()
    for clues, pattern in _LOOKS:
        if any(clue in lowered for clue in clues):
            line = pattern.sub(rf"\1{mark}", line)
    return line


def without_pieces(text: str, secrets: Sequence[str], mark: str) -> str:
    """The text without long pieces of these secrets, plain or in base64: what a line of a key looks like, even where it
    is coded together with what came before it or after it."""

    def told(run: re.Match[str]) -> str:
        piece = run[1]
        if piece is None or not _is_random(piece):
            return run[0]
        cuts = [piece[at : at + _CUT] for at in range(0, len(piece) - _CUT + 1, _CUT // 2)]
        found = any(cut in form for secret in secrets for form in _long_forms(secret) for cut in cuts)
        return mark if found else run[0]

    return _RUN.sub(told, text)


def _is_random(piece: str) -> bool:
    """A name of something is hardly ever written with capitals, small letters and digits in one."""
    return any(map(str.isupper, piece)) and any(map(str.islower, piece)) and any(map(str.isdigit, piece))


@functools.lru_cache(256)
def _long_forms(secret: str) -> tuple[str, ...]:
    return (secret, *base64_forms(secret.encode()))


def base64_forms(secret: bytes) -> Iterator[str]:
    """What stays the same of its base64, wherever in a text it begins: `user:secret` is coded as one."""
    for before in range(3):
        coded = b64encode(b"\0" * before + secret).decode().rstrip("=")
        sure = coded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield sure
        yield sure.translate(_URL_SAFE)
