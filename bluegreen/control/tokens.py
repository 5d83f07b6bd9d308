"""Tokens that were made while the daemon runs: what opens the TCP door beside those of the configuration.

A token itself never comes here: whoever makes one keeps it, and the daemon keeps its SHA-256 with who made it when, in
`tokens.json` in the state directory. Revoked ones stay there, as a record. A file that cannot be read opens no door.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from bluegreen import durable
from bluegreen.config.units import NAME
from bluegreen.errors import BadRequest, NotFound, Refused, StoreError

TOKENS_MAX = 500
"""Revoked ones are counted: they stay."""
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without the token. Times are RFC 3339."""

    name: str
    sha256: str
    by: str
    at: str
    reason: str = ""
    revoked_by: str = ""
    revoked_at: str | None = None

    @property
    def good(self) -> bool:
        """Whether it opens the door."""
        return self.revoked_at is None


class MadeTokens:
    """The tokens of one daemon. Raises StoreError from every change while the file cannot be read."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, asyncio.Lock()
        self.trouble = ""
        self._tokens: tuple[Token, ...] = ()
        try:
            self._tokens = tuple(Token(**one) for one in json.loads(file.read_text(encoding="utf-8"))["tokens"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.trouble = f"{file} cannot be read: {error}"

    def every(self) -> tuple[Token, ...]:
        """All of them, in the order in which they were made."""
        return self._tokens

    def name_of(self, sent: bytes) -> str | None:
        """The name of the token that was sent; None where it is none, or one that was revoked."""
        digest = hashlib.sha256(sent).hexdigest()
        names = [one.name for one in self._tokens if hmac.compare_digest(one.sha256, digest) and one.good]
        return names[0] if names else None

    async def make(self, token: Token, configured: Mapping[str, str]) -> None:
        """A new one; nothing where that very one is there. Raises BadRequest, Refused, StoreError."""
        faults = {} if re.fullmatch(NAME, token.name) else {"name": "wanted a-z, 0-9, - and _, of 63 at most"}
        if not _DIGEST.fullmatch(token.sha256):
            faults["sha256"] = "wanted the token's SHA-256, in hexadecimal"
        if faults:
            raise BadRequest(f"{', '.join(faults)}: not as wanted", faults)
        async with self._lock:
            same = [one for one in self._tokens if one.good and one.name == token.name]
            if any(one.sha256 == token.sha256 for one in same):
                return
            if same or token.name in configured:
                where = "the configuration" if token.name in configured else f"here, made by {same[0].by}"
                raise Refused(
                    f"there is a token {token.name} in {where}", "take another name, or revoke that one first"
                )
            if len(self._tokens) >= TOKENS_MAX:
                raise Refused(f"there are {TOKENS_MAX} tokens already", f"take revoked ones out of {self._file}")
            await self._keep((*self._tokens, token))
            log.info("token made", name=token.name, by=token.by, reason=token.reason)

    async def revoke(self, name: str, by: str, at: str, configured: Mapping[str, str]) -> None:
        """It opens nothing from here on; nothing where it was revoked already. Raises NotFound, Refused, StoreError."""
        async with self._lock:
            if not any(one.good and one.name == name for one in self._tokens):
                if any(one.name == name for one in self._tokens):
                    return
                if name in configured:
                    advice = "take it out of `control.tokens` there, and reload the daemon"
                    raise Refused(f"the token {name} stands in the configuration", advice)
                known = ", ".join(one.name for one in self._tokens if one.good)
                raise NotFound(f"no token {name!r} was made here", f"known: {known or 'none'}")
            gone = [
                replace(one, revoked_by=by, revoked_at=at) if one.good and one.name == name else one
                for one in self._tokens
            ]
            await self._keep(tuple(gone))
            log.info("token revoked", name=name, by=by)

    async def _keep(self, tokens: tuple[Token, ...]) -> None:
        """Durable first, then in force."""
        if self.trouble:
            raise StoreError(self.trouble, "mend it, or move it away, and start the daemon again")
        text = json.dumps({"tokens": [asdict(one) for one in tokens]}, indent=1)
        try:
            await asyncio.to_thread(durable.write, self._file, text)
        except OSError as error:
            raise StoreError(
                f"{self._file} cannot be written: {error.strerror}", "make room, or mend its rights"
            ) from error
        self._tokens = tokens
