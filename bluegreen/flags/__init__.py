"""Where feature flags are read and set, one file a provider. A kind that is not in KINDS is refused; no default."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bluegreen.config.flags import FlagSource
from bluegreen.config.secrets import SecretMissing
from bluegreen.errors import AccessDenied, BalancerError, BlueGreenError, OutcomeUnknown, Rejected, Unreachable
from bluegreen.flags.appconfig import AppConfigFlags
from bluegreen.flags.command import CommandFlags
from bluegreen.flags.ofrep import OfrepFlags
from bluegreen.model import Finding
from bluegreen.ports import Flags

if TYPE_CHECKING:
    from bluegreen.aws import Sessions

FLAGS_MAX = 500
NAME_MAX = 200
VALUE_MAX = 200
BELT_SECONDS = 5.0
"""A provider keeps its own deadlines, and then has to end what it started; this much later it is taken for stuck."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What providers may need beside their configuration."""

    service: str
    aws: Sessions


KINDS: dict[str, Callable[[FlagSource, Sources], Flags]] = {
    "ofrep": lambda config, sources: OfrepFlags(config, sources.service),
    "appconfig": lambda config, sources: AppConfigFlags(config, sources.aws),
    "command": lambda config, sources: CommandFlags(config, sources.service),
}


def open_flags(config: FlagSource, sources: Sources) -> Flags:
    """The provider; nothing is contacted yet."""
    if config.kind not in KINDS:
        raise BlueGreenError(f"unknown provider of flags {config.kind!r}", f"known: {', '.join(KINDS)}")
    return Bounded(KINDS[config.kind](config, sources), config.timeout)


class Bounded:
    """ports.Flags around a provider: every call ends, only the promised errors leave it, and texts are short."""

    def __init__(self, inner: Flags, timeout: float) -> None:
        self._inner, self._timeout = inner, timeout

    @property
    def place(self) -> str:
        """See ports.Flags."""
        return self._inner.place

    @property
    def writable(self) -> bool:
        """See ports.Flags."""
        return self._inner.writable

    @property
    def settle(self) -> float:
        """See ports.Flags."""
        return self._inner.settle

    @property
    def every(self) -> float:
        """See ports.Flags."""
        return self._inner.every

    async def read(self) -> Mapping[str, str]:
        """See ports.Flags."""
        try:
            async with asyncio.timeout(self._timeout + BELT_SECONDS):
                flags = await self._inner.read()
        except TimeoutError:
            raise Unreachable(f"no answer within {self._timeout:g} s") from None
        except SecretMissing as missing:
            raise AccessDenied(missing.what, missing.advice) from missing
        except BalancerError:
            raise
        except Exception as error:
            raise Rejected(f"the answer cannot be used: {type(error).__name__}: {error}") from error
        return _short(flags)

    async def write(self, name: str, value: str, expected: str) -> None:
        """See ports.Flags."""
        shown = (await self.read()).get(name)
        if shown != expected:
            what = f"{name} shows {shown}, not {expected}" if shown is not None else f"there is no flag {name} any more"
            raise Rejected(f"{what}: nothing was sent", "look again before you set it")
        try:
            async with asyncio.timeout(4 * self._timeout + BELT_SECONDS):
                await self._inner.write(name, value, expected)
        except TimeoutError:
            raise OutcomeUnknown("no answer in time") from None
        except SecretMissing as missing:
            raise AccessDenied(missing.what, missing.advice) from missing
        except BalancerError:
            raise
        except Exception as error:
            raise OutcomeUnknown(f"a defect of bluegreen itself: {type(error).__name__}: {error}") from error

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Flags."""
        try:
            flags = await self.read()
        except BalancerError as error:
            what = f"they cannot be read: {error.what}"
            advice = error.advice or f"look at {self.place}"
            return (Finding("flags: readable", ok=False, summary=what, advice=advice, acceptable=True),)
        able = "and can be set from here" if self.writable else "and are set elsewhere"
        return (Finding("flags: readable", ok=True, summary=f"{len(flags)} flags at {self.place}, {able}"),)

    async def close(self) -> None:
        """See ports.Flags."""
        await self._inner.close()


def _short(flags: Mapping[str, str]) -> Mapping[str, str]:
    """Names and values of a bounded length. Raises Rejected where there are too many."""
    if len(flags) > FLAGS_MAX:
        what = f"{len(flags)} flags are served here, and at most {FLAGS_MAX} are kept on record"
        raise Rejected(what, "ask for those of this service alone")
    long = [name for name in flags if not 0 < len(name) <= NAME_MAX]
    if long:
        raise Rejected(f"a flag's name is of {len(long[0])} characters; wanted 1 to {NAME_MAX}")
    return {name: _shortened(value) for name, value in flags.items()}


def _shortened(value: str) -> str:
    """Two long values that differ still differ: what is cut off is there as its digest."""
    if len(value) <= VALUE_MAX:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    end = f" … sha256:{digest}"
    return value[: VALUE_MAX - len(end)] + end
