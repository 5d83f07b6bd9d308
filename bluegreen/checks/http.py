"""Ask a URL and look at the whole answer: status, headers, body, JSON values, time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import jmespath
from jmespath.exceptions import JMESPathError

from bluegreen.checks.common import Sight, excerpt, filled, whole_body
from bluegreen.config import values
from bluegreen.config.schema import Check, Expect
from bluegreen.ports import Scene


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
        headers, secrets = values.filled(self._config.headers, names)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with (
                asyncio.timeout(self._config.timeout),
                self._open().request(self._config.method, url, headers=headers, allow_redirects=False) as answer,
            ):
                body = (await whole_body(answer)).decode("utf-8", "replace")
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


def _json_faults(body: str, wanted: dict[str, Any]) -> list[str]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ["the body is not JSON"]
    faults = []
    for path, value in wanted.items():
        try:
            found = jmespath.search(path, document)
        except JMESPathError as error:
            faults.append(f"{path} cannot be looked up: {error}")
            continue
        if not same(found, value):
            faults.append(f"{path} is {_shown(found)}, wanted {_shown(value)}")
    return faults


def same(found: Any, wanted: Any) -> bool:
    """JSON equality; but a wanted text, such as a filled-in version, also stands for the number that is written so."""
    match found, wanted:
        case (bool(), _) | (_, bool()):
            return found is wanted
        case (int() | float(), str()):
            return json.dumps(found) == wanted
        case (int() | float(), int() | float()) | (str(), str()) | (None, None):
            return bool(found == wanted)
        case (list(), list()):
            return len(found) == len(wanted) and all(map(same, found, wanted))
        case (dict(), dict()):
            return found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in wanted)
        case _:
            return False


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
