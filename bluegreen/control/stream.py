"""The journal as a live stream (SSE). A client that falls behind begins again; it never holds up the engine."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from bluegreen.control import documents, identity
from bluegreen.core.events import Entry
from bluegreen.fleet import Fleet

QUEUE_MAX = 1000
PAGE = 500
SEND_SECONDS = 5.0
"""A reader that takes nothing for so long is cut off."""
PING_SECONDS = 15.0
"""How often an idle stream is written to: that shows whether anybody is still there."""


class Hub:
    """Hands each new entry to every open stream."""

    def __init__(self, send_seconds: float = SEND_SECONDS, ping_seconds: float = PING_SECONDS) -> None:
        self._send_seconds, self._ping_seconds = send_seconds, ping_seconds
        self._queues: dict[asyncio.Queue[Entry | None], str] = {}  # and who reads it
        self._closing = False

    def publish(self, entry: Entry) -> None:
        """Called by the engine: never waits. A queue that is full is ended; its client comes back by Last-Event-ID."""
        for queue in tuple(self._queues):
            if queue.full():
                self._queues.pop(queue, None)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(entry)

    def close(self) -> None:
        """End every stream, so that a stop does not wait for them."""
        self._closing = True
        for queue in tuple(self._queues):
            _end(queue)

    def part(self, reader: str) -> None:
        """End the streams of one reader, who may not come again."""
        for queue, name in tuple(self._queues.items()):
            if name == reader:
                _end(queue)

    async def serve(self, request: web.Request, fleet: Fleet, service: str | None, after: int) -> web.StreamResponse:
        """What is in the journal after `after`, then everything new, until the client goes or the daemon ends."""
        queue: asyncio.Queue[Entry | None] = asyncio.Queue(QUEUE_MAX)
        if self._closing:
            queue.put_nowait(None)
        self._queues[queue] = str(request.get(identity.ACTOR, ""))
        try:
            async with sse_response(
                request, send_timeout=self._send_seconds, ping_interval=self._ping_seconds
            ) as response:
                await self._feed(response, queue, fleet, service, after)
                return response
        except (ConnectionResetError, TimeoutError):
            return web.Response()  # a closed tab is no error, and a stalled one has been cut off
        finally:
            self._queues.pop(queue, None)

    async def _feed(
        self, response: EventSourceResponse, queue: asyncio.Queue[Entry | None], fleet: Fleet,
        service: str | None, after: int,
    ) -> None:  # fmt: skip
        while page := await fleet.store.read(service, after, PAGE):
            for entry in page:
                await _send(response, entry)
            after = page[-1].seq
        while response.is_connected():
            try:
                async with asyncio.timeout(self._ping_seconds):
                    entry_or_end = await queue.get()
            except TimeoutError:
                continue  # a ping has been tried meanwhile: it tells whether the reader is still there
            if entry_or_end is None:
                return
            if entry_or_end.seq > after and service in (None, entry_or_end.record.service):
                await _send(response, entry_or_end)


def _end(queue: asyncio.Queue[Entry | None]) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


async def _send(response: EventSourceResponse, entry: Entry) -> None:
    await response.send(json.dumps(documents.event(entry)), id=str(entry.seq))
