"""The control endpoint as a test asks it: every answer as it is, refusals too; nothing is asked again by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

Document = dict[str, Any]
ANSWER_SECONDS = 90.0
OVER = ("halted", "completed", "aborted", "failed_back", "superseded")


class Away(Exception):
    """Nobody answers: the daemon is not there, or it went away under the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said: the HTTP status and the document."""

    status: int
    document: Document


class Door:
    """One service of one daemon, over its unix socket; a connection for each request."""

    def __init__(self, socket: Path, service: str = "web") -> None:
        self._socket, self._service = str(socket), service

    async def ask(self, method: str, path: str, body: Document | None = None, key: str | None = None) -> Answer:
        """One request, sent once. Raises Away where no whole answer comes."""
        headers = {"Idempotency-Key": key} if key else {}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(self._socket, force_close=True),
                    timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                ) as session,
                session.request(method, f"http://daemon{path}", json=body, headers=headers) as response,
            ):
                return Answer(response.status, await response.json(content_type=None))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Away(f"{method} {path}: {type(error).__name__}: {error}") from error

    async def look(self) -> Document:
        """The service's document."""
        return (await self.ask("GET", f"/v1/services/{self._service}")).document

    async def post(self, verb: str, key: str | None = None, **body: Any) -> Answer:
        """One of the service's verbs; `deployments` and `failback` among them."""
        return await self.ask("POST", f"/v1/services/{self._service}/{verb}", body, key)

    async def plan(self) -> Document:
        """The failback's plan as of now."""
        return (await self.ask("GET", f"/v1/services/{self._service}/failback")).document

    async def failback(self, reason: str = "as the test says", key: str | None = None) -> Answer:
        """A failback by the plan of now."""
        plan = await self.plan()
        said = {"acknowledge": plan.get("acknowledge", []), "confirm": self._service}
        return await self.post("failback", key, plan=plan.get("plan") or "none", reason=reason, **said)

    async def until(self, condition: Callable[[Document], object], what: str, seconds: float = 90.0) -> Document:
        """Look until it is so. Raises Away at once where nobody answers; fails after `seconds`."""
        document: Document = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition(document := await self.look()):  # noqa: ASYNC110 - it is in another process
                    await asyncio.sleep(0.05)
                return document
        raise AssertionError(f"not seen within {seconds:g} s: {what}; last seen: {document.get('switch')}")

    async def live(self) -> Document:
        """Until it is known who is live."""
        return await self.until(lambda seen: seen["live"] is not None, "who is live")

    async def ended(self, seconds: float = 90.0) -> Document:
        """Until the last switch is over or halted; gives it."""
        seen = await self.until(lambda seen: (seen["switch"] or {}).get("condition") in OVER, "the end", seconds)
        return dict(seen["switch"])

    async def events(self, after: int = 0) -> list[Document]:
        """The journal's entries."""
        found: list[Document] = []
        while True:
            answer = await self.ask("GET", f"/v1/events?after={after}")
            if not answer.document["events"]:
                return found
            found += answer.document["events"]
            after = answer.document["next"]
