"""Flags by the OpenFeature Remote Evaluation Protocol: one bulk evaluation for a fixed context. It has no write.

https://openfeature.dev/docs/reference/other-technologies/ofrep/openapi/
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from bluegreen.config import values
from bluegreen.config.flags import FlagSource
from bluegreen.config.placeholders import fill
from bluegreen.errors import AccessDenied, BalancerError, Rejected, Throttled, Unreachable
from bluegreen.flags.values import text
from bluegreen.model import Finding

PATH = "/ofrep/v1/evaluate/flags"
ANSWER_BYTES_MAX = 4 * 1024 * 1024
_SAID_MAX = 300
_DENIED = (401, 403)
_TOO_MANY = 429


class OfrepFlags:
    """ports.Flags, read only."""

    writable = False
    settle = 0.0

    def __init__(self, config: FlagSource, service: str) -> None:
        names = {"service": service}
        self._url = fill(config.ofrep or "", names).rstrip("/") + PATH
        self._context: dict[str, object] = {"targetingKey": service}
        for key, value in config.context.items():
            self._context[key] = fill(value, names) if isinstance(value, str) else value
        self._headers, self._timeout, self.every = config.headers, config.timeout, config.every
        self._names = names
        self.place = self._url.removesuffix(PATH)

    async def read(self) -> Mapping[str, str]:
        """See ports.Flags."""
        headers, secrets = values.filled(self._headers, self._names)
        try:
            async with (
                asyncio.timeout(self._timeout),
                # a connection a reading: a kept one may be gone when the next one needs it
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url, json={"context": self._context}, headers=headers, allow_redirects=False
                ) as answer,
            ):
                raw = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(raw) <= ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                    raw += more
                status = answer.status
        except TimeoutError:
            raise Unreachable(f"{self._url} did not answer within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = values.redacted(str(error) or type(error).__name__, secrets)
            raise Unreachable(f"{self._url}: {what[:_SAID_MAX]}") from None
        if status != 200:
            raise _refusal(self._url, status, values.redacted(raw.decode("utf-8", "replace"), secrets))
        return {name: values.redacted(value, secrets) for name, value in self._flags(raw).items()}

    async def write(self, name: str, value: str, expected: str) -> None:
        """See ports.Flags."""
        raise Rejected("this protocol only reads", f"set it at {self.place}")

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Flags; what surrounds a provider tells it."""
        return ()

    async def close(self) -> None:
        """See ports.Flags."""

    def _flags(self, raw: bytes) -> dict[str, str]:
        if len(raw) > ANSWER_BYTES_MAX:
            raise Rejected(f"{self._url}: the answer is larger than {ANSWER_BYTES_MAX >> 20} MiB")
        try:
            document = json.loads(raw)
            return {str(flag["key"]): _value(flag) for flag in document["flags"]}
        except (ValueError, RecursionError, KeyError, TypeError):
            what = f"{self._url}: the answer is no bulk evaluation"
            raise Rejected(what, 'wanted {"flags": [{"key": …, "value": …}, …]}') from None


def _value(flag: Mapping[str, Any]) -> str:
    """A flag that could not be evaluated has its error for a value; one without a value is the code's default."""
    if flag.get("errorCode"):
        return f"error {text(flag['errorCode'])}"
    return text(flag["value"]) if "value" in flag else "default of the code"


def _refusal(url: str, status: int, body: str) -> BalancerError:
    what = f"{url} answered {status}{_said(body)}"
    if status in _DENIED:
        return AccessDenied(what, "check the credentials in `flags.headers`")
    if status == _TOO_MANY:
        return Throttled(what, "it limits its rate: wait, then try again")
    return Unreachable(what) if status >= 500 else Rejected(what, "is this the base URL of an OFREP server?")


def _said(body: str) -> str:
    """What the answer says of its reason, where it says it as the protocol has it."""
    try:
        document = json.loads(body)
        told = [str(document[key]) for key in ("errorCode", "errorDetails") if document.get(key)]
    except (ValueError, RecursionError, TypeError, AttributeError):
        return ""
    return f": {': '.join(told)[:_SAID_MAX]}" if told else ""
