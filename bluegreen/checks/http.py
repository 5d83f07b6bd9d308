"""Ask a URL and look at the whole answer: status, headers, body, JSON values, time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import jmespath

from bluegreen.checks.common import Sight, excerpt, filled
from bluegreen.config.schema import Check, Expect
from bluegreen.config.secrets import references, resolve
from bluegreen.ports import Scene

BODY_BYTES_MAX = 1024 * 1024


class HttpCheck:
    """One request a look; redirects are an answer like any other; certificates are always verified."""

    def __init__(self, config: Check) -> None:
        self._config = config
        self._expect = config.expect or Expect()
        self._session: aiohttp.ClientSession | None = None

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        names = scene.names()
        url = filled(self._config.http or "", names)
        headers = {name: resolve(filled(text, names)) for name, text in self._config.headers.items()}
        secrets = [resolve(one) for text in self._config.headers.values() for one in references(text)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with (
                asyncio.timeout(self._config.timeout),
                self._open().request(self._config.method, url, headers=headers, allow_redirects=False) as answer,
            ):
                body = await _body(answer)
                seconds = loop.time() - began
        except TimeoutError:
            return Sight(False, f"{url} did not answer within {self._config.timeout:g} s", {"url": url})
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = str(error) or type(error).__name__
            return Sight(False, f"{url}: {excerpt(what, secrets)}", {"url": url})
        detail = {
            "url": url, "status": str(answer.status), "ms": f"{seconds * 1000:.0f}", "body": excerpt(body, secrets)
        }  # fmt: skip
        faults = [excerpt(fault, secrets) for fault in self._faults(answer, body, seconds, names)]
        if faults:
            return Sight(False, f"{url}: {'; '.join(faults)}", detail)
        return Sight(True, f"{url} answered {answer.status} in {seconds * 1000:.0f} ms", detail)

    async def close(self) -> None:
        """See common.Look."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # a connection a request: a check must not be answered by a process that is about to go
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _faults(self, answer: aiohttp.ClientResponse, body: str, seconds: float, names: dict[str, str]) -> list[str]:
        """Everything about the answer that is not as expected."""
        expect, faults = self._expect, []
        if answer.status != expect.status:
            faults.append(f"status {answer.status}, wanted {expect.status}")
        for name, text in expect.headers.items():
            wanted = filled(text, names)
            if answer.headers.get(name) != wanted:
                faults.append(f"header {name} is {answer.headers.get(name)!r}, wanted {wanted!r}")
        if expect.body is not None and (wanted := filled(expect.body, names)) not in body:
            faults.append(f"the body does not contain {wanted!r}")
        if expect.json_:
            faults.extend(_json_faults(body, filled(expect.json_, names)))
        if expect.within is not None and seconds > expect.within:
            faults.append(f"answered after {seconds * 1000:.0f} ms, wanted within {expect.within * 1000:.0f} ms")
        return faults


async def _body(answer: aiohttp.ClientResponse) -> str:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(65536):
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise ValueError(f"the body is larger than {BODY_BYTES_MAX >> 10} KiB")
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def _json_faults(body: str, wanted: dict[str, Any]) -> list[str]:
    try:
        document = json.loads(body)
    except ValueError:
        return ["the body is not JSON"]
    faults = []
    for path, value in wanted.items():
        found = jmespath.search(path, document)
        if not _same(found, value):
            faults.append(f"{path} is {json.dumps(found)}, wanted {json.dumps(value)}")
    return faults


def _same(found: Any, wanted: Any) -> bool:
    """JSON equality; but a text, such as a filled-in version, also stands for the number that is written so."""
    if isinstance(wanted, str) and isinstance(found, int | float) and not isinstance(found, bool):
        return json.dumps(found) == wanted
    return (type(found) is type(wanted) and bool(found == wanted)) or _numbers(found, wanted)


def _numbers(found: Any, wanted: Any) -> bool:
    both = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (found, wanted))
    return both and bool(found == wanted)
