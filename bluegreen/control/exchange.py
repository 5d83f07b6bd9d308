"""What every route shares: the door that it came by, the body with all its faults at once, who asks, and the answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bluegreen.control import identity
from bluegreen.control.metrics import Metrics
from bluegreen.control.problems import BODY_SECONDS
from bluegreen.control.stream import Hub
from bluegreen.control.tokens import MadeTokens
from bluegreen.core.event import Event
from bluegreen.core.requests import Ask, asked_before
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest
from bluegreen.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Door:
    """What the handlers reach: the fleet, the live streams, the metrics, and facts about the daemon itself."""

    fleet: Fleet
    hub: Hub
    metrics: Metrics
    about: Mapping[str, Any]
    tokens: Callable[[], Mapping[str, str]]
    """Those of the configuration, as they are now: names and secrets."""
    made: MadeTokens


DOOR = web.AppKey("door", Door)
CAUSE = {"cause": str, "note": str}
"""What the answer to a halt may say about it, beside its reason."""


async def read_body(request: web.Request, fields: Mapping[str, type]) -> dict[str, Any]:
    """The JSON body, every field of the type it must have. All faults at once."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        body = json.loads(raw, parse_constant=_no_json) if raw.strip() else {}
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is JSON, but no text that can be kept
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON", {"body": str(error)}) from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object", {"body": "wanted {...}"})
    faults = {key: f"not known; known: {', '.join(fields)}" for key in body if key not in fields}
    wanted = {str: "text", bool: "true or false", list: "a list", dict: "an object"}
    for key, kind in fields.items():
        if body.get(key) is None:
            body.pop(key, None)
        elif not isinstance(body[key], kind):
            faults[key] = f"wanted {wanted[kind]}"
    if faults:
        raise BadRequest(f"{', '.join(sorted(faults))}: not as wanted", faults)
    return body


async def noted(engine: ServiceEngine, make: Callable[[ServiceState], Sequence[Event]], ask: Ask) -> None:
    """What is beside the switch goes on record, once for a key. Raises BadRequest where that key came with another
    request, and what `make` raises."""
    if ask.key is not None and ask.key in engine.state.keys:
        asked_before(ask, engine.state)
    await engine.note(make, ask)


def given(body: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the names that the body has, with their values."""
    return {name: body[name] for name in names if name in body}


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def asked(request: web.Request, body: Mapping[str, Any]) -> Ask:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= 255 and key.isascii()):
        raise BadRequest("this Idempotency-Key is not usable", {"Idempotency-Key": "wanted 1 to 255 ASCII characters"})
    facts = json.dumps([request.method, request.path, body], sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest() if key else None
    return Ask(request[identity.ACTOR], str(body.get("reason", ""))[:2000], key, digest)


def number(request: web.Request, name: str, default: int) -> int:
    found = whole(request.query.get(name, str(default)))
    if found is None:
        raise BadRequest(f"{name} is not a number", {name: "wanted a whole number from 0, of 15 digits at most"})
    return found


def whole(text: str) -> int | None:
    """A whole number that the journal can count to; None for everything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def answer(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers=dict(headers or {}))
