"""Same artifact: ask a running environment which artifact it runs, and compare that with what was given at deploy.

Three answers, never mixed up: the same, another one (`WRONG`), or none that can be used (`SILENT`), which is no match.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import jmespath
from jmespath.exceptions import JMESPathError

from bluegreen import processes
from bluegreen.checks.common import BELT_SECONDS, EXCERPT_MAX, excerpt, filled, whole_body
from bluegreen.config import values
from bluegreen.config.flags import DigestProbe
from bluegreen.config.secrets import SecretMissing
from bluegreen.core.notes.artifacts import ENVIRONMENT, GIVEN, PROBE, RUNS, SILENT, TARGETS, WRONG
from bluegreen.errors import BalancerError
from bluegreen.model import UNPROVEN, Finding, Target
from bluegreen.ports import Scene

DIGEST_MAX = 200
_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

Targets = Callable[[], Awaitable[Mapping[str, Mapping[str, tuple[Target, ...]]]]]


class SilentError(Exception):
    """No answer that can be used; the text says why."""


class DigestCheck:
    """ports.Check. So many attempts for an answer; the first answer counts, whatever it says."""

    name = PROBE

    def __init__(self, config: DigestProbe, targets: Targets) -> None:
        self.every = config.every
        self._config, self._targets = config, targets

    async def look(self, scene: Scene) -> Finding:
        """See ports.Check. `acceptable` where there was no answer; another artifact is not to be accepted."""
        told = await self._told(scene)
        detail = {ENVIRONMENT: scene.environment, **told}
        where, given, runs = scene.environment, scene.artifact, told.get(RUNS)
        detail |= {GIVEN: given} if given else {UNPROVEN: "yes"}
        if runs is None:
            what = f"{where} does not say which artifact it runs: {told[SILENT]}"
            if not given:
                return Finding(self.name, True, f"{what}; nothing was given to compare with", detail=detail)
            advice = f"mend the probe or the way to it; it should say {given}"
            return Finding(self.name, False, what, advice, acceptable=True, detail=detail)
        if not given:
            return Finding(self.name, True, f"{where} runs {runs}; nothing was given to compare with", detail=detail)
        if canonical(runs) == canonical(given):
            return Finding(self.name, True, f"{where} runs {runs}, as given", detail=detail)
        advice = f"find out what brought {runs} to {where}; deploy the right one again"
        what = f"{where} runs {runs}, not {given} which was given at deploy"
        return Finding(self.name, False, what, advice, detail={**detail, WRONG: "yes"})

    async def close(self) -> None:
        """See ports.Check: each question has a connection of its own."""

    async def _told(self, scene: Scene) -> dict[str, str]:
        why = ""
        for attempt in range(1, self._config.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(self._config.every)
            try:
                async with asyncio.timeout(self._config.timeout + BELT_SECONDS):
                    runs, source = await self._once(scene)
                return {RUNS: runs, **source, **await self._of_how_many(scene)}
            except SilentError as silent:
                why = str(silent)
            except TimeoutError:
                why = f"no answer within {self._config.timeout:g} s"
            except KeyError as error:
                why = f"the placeholder {{{error.args[0]}}} has no value here"
            except SecretMissing as missing:
                why = missing.what
        tried = f" ({self._config.attempts} attempts)" if self._config.attempts > 1 else ""
        return {SILENT: why + tried}

    async def _once(self, scene: Scene) -> tuple[str, dict[str, str]]:
        """The answer, and where it comes from. Raises SilentError, KeyError, SecretMissing, TimeoutError."""
        if self._config.http is not None:
            said, source = await self._by_http(scene)
        else:
            said, source = await self._by_command(scene)
        if not said or len(said) > DIGEST_MAX or not said.isprintable():
            raise SilentError(f"the answer is no digest: {said[:80]!r}")
        return said, source

    async def _by_http(self, scene: Scene) -> tuple[str, dict[str, str]]:
        names = scene.names()
        url = filled(self._config.http or "", names)
        headers, secrets = values.filled(self._config.headers, names)
        connector = aiohttp.TCPConnector(force_close=True)  # a process that is about to go must not answer
        try:
            async with (
                asyncio.timeout(self._config.timeout),
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                body = (await whole_body(answer)).decode("utf-8", "replace")
                status = answer.status
        except TimeoutError:
            raise SilentError(f"{url} did not answer within {self._config.timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SilentError(f"{url}: {excerpt(str(error) or type(error).__name__, secrets)}") from None
        if status != 200:
            raise SilentError(f"{url} answered {status}")
        return values.redacted(self._read(url, body), secrets), {"url": url}

    def _read(self, url: str, body: str) -> str:
        if self._config.json_ is None:
            return _first_line(body)
        try:
            found = jmespath.search(self._config.json_, json.loads(body))
        except (ValueError, RecursionError, JMESPathError):
            raise SilentError(f"{url}: the answer is not the JSON that {self._config.json_} is looked up in") from None
        if not isinstance(found, str):
            raise SilentError(f"{url}: there is no text at {self._config.json_}")
        return found.strip()

    async def _by_command(self, scene: Scene) -> tuple[str, dict[str, str]]:
        names = scene.names()
        argv = [filled(part, names) for part in self._config.command or []]
        variables, secrets = values.filled(self._config.variables, names)
        directory = filled(self._config.directory, names) if self._config.directory else None
        done = await processes.run(
            argv, timeout=self._config.timeout, variables=variables, directory=directory, secrets=secrets, apart=True
        )
        if not done.ok:
            last = done.errors.strip().rsplit("\n", 1)[-1][:DIGEST_MAX]
            raise SilentError(done.told(Path(argv[0]).name) + (f": {last}" if last else ""))
        return _first_line(done.output), {"command": excerpt(" ".join(argv), secrets)[:EXCERPT_MAX]}

    async def _of_how_many(self, scene: Scene) -> dict[str, str]:
        """One target answers for all of them behind a URL: that is said, and not more than that."""
        if self._config.http is None:
            return {}
        try:
            seen = await self._targets()
        except BalancerError as error:
            return {TARGETS: f"1 was asked; how many there are cannot be read: {error.what}"}
        most = max((len(targets.get(scene.environment, ())) for targets in seen.values()), default=0)
        return {TARGETS: f"1 of {most} was asked"} if most else {}


def canonical(digest: str) -> str:
    """`registry/web@sha256:AB…`, `sha256:ab…` and `ab…` are the same digest; everything else only equals itself."""
    text = digest.strip().rpartition("@")[2]
    match = _HEX.fullmatch(text.lower())
    return f"sha256:{match[1]}" if match else text


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0].strip()
