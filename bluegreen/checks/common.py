"""What all checks share: attempts, pauses between them, and how a look becomes a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bluegreen.config.placeholders import fill
from bluegreen.config.schema import Check
from bluegreen.config.secrets import SecretMissing
from bluegreen.model import Finding
from bluegreen.ports import Scene

EXCERPT_MAX = 1000


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
            async with asyncio.timeout(
                self._config.timeout + 5.0
            ):  # its own deadline comes first; this one is the belt
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


def excerpt(text: str, secrets: list[str]) -> str:
    """The beginning of a text, without the secrets that were sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text if len(text) <= EXCERPT_MAX else text[:EXCERPT_MAX] + " …"
