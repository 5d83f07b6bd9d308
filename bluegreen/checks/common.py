"""What all checks share: attempts, pauses between them, and how a look becomes a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from bluegreen.config.placeholders import fill
from bluegreen.config.schema import Check
from bluegreen.config.secrets import SecretMissing
from bluegreen.config.values import redacted
from bluegreen.model import Finding
from bluegreen.ports import Scene

EXCERPT_MAX = 1000
BELT_SECONDS = 10.0
"""A look keeps its own deadline, and then has to end what it started; this much later it is taken for stuck."""
ANSWER_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sight:
    """What one attempt saw."""

    ok: bool
    summary: str
    detail: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""


class Look(Protocol):
    """One attempt of one kind of check. May raise KeyError (a placeholder) and SecretMissing; nothing else expected."""

    async def once(self, scene: Scene) -> Sight:
        """Look once, within the check's own timeout."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class Attempts:
    """ports.Check: so many attempts, so far apart; the first good one ends it, the last bad one is what is told."""

    def __init__(self, config: Check, look: Look, acceptable: bool) -> None:
        self.name = config.name
        self.every = config.every
        self._config, self._look, self._acceptable = config, look, acceptable

    async def look(self, scene: Scene) -> Finding:
        """See ports.Check."""
        sight = Sight(False, "never looked at")
        attempt = 0
        for attempt in range(1, self._config.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(self._config.every)
            sight = await self._once(scene)
            if sight.ok:
                break
        tried = f" (attempt {attempt} of {self._config.attempts})" if self._config.attempts > 1 else ""
        return Finding(
            check=self.name,
            ok=sight.ok,
            summary=sight.summary + tried,
            advice=sight.advice,
            acceptable=self._acceptable,
            detail={**sight.detail, "environment": scene.environment, "attempts": str(attempt)},
        )

    async def close(self) -> None:
        """See ports.Check."""
        await self._look.close()

    async def _once(self, scene: Scene) -> Sight:
        try:
            async with asyncio.timeout(self._config.timeout + BELT_SECONDS):
                return await self._look.once(scene)
        except TimeoutError:
            return Sight(False, f"no answer within {self._config.timeout:g} s")
        except KeyError as error:
            return Sight(False, f"the placeholder {{{error.args[0]}}} has no value here", advice="mend the check")
        except SecretMissing as error:
            return Sight(False, error.what, advice=error.advice)


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A JSON value with the placeholders in its texts filled in. Raises KeyError."""
    if isinstance(value, str):
        return fill(value, names)
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value


async def whole_body(answer: aiohttp.ClientResponse, most: int = ANSWER_BYTES_MAX) -> bytes:
    """All of an answer. Raises ValueError for one of more than `most` bytes."""
    parts, size = [], 0
    async for part in answer.content.iter_chunked(65536):
        size += len(part)
        if size > most:
            raise ValueError(f"the body is larger than {most >> 10} KiB")
        parts.append(part)
    return b"".join(parts)


def excerpt(text: str, secrets: list[str]) -> str:
    """The beginning of a text, without the secrets that were sent, and without what looks like any."""
    text = redacted(redacted(text, secrets, strangers=False)[: 4 * EXCERPT_MAX])  # it may be a whole page, in one line
    return text if len(text) <= EXCERPT_MAX else text[:EXCERPT_MAX] + " …"
