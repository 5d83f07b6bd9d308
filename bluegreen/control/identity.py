"""Who asks: the peer's uid on a unix socket, a bearer token on TCP. Every act has a name on it (law 9)."""

from __future__ import annotations

import hmac
import os
import pwd
import re
import socket
import struct
from collections.abc import Callable, Mapping

from aiohttp import web

from bluegreen.control.problems import Handler
from bluegreen.control.tokens import MadeTokens
from bluegreen.errors import NotPermitted
from bluegreen.model import Actor

ACTOR = web.RequestKey("actor", Actor)
OPEN_TO_ALL = ("/healthz", "/readyz", "/metrics", "/", "/openapi.json")
"""Paths that need no name: they change nothing and show no secret. The page asks for a token itself."""


Tokens = Callable[[], Mapping[str, str]]


def middleware(tokens: Tokens, made: MadeTokens) -> Callable[[web.Request, Handler], object]:
    """Puts the actor on each request. `tokens` gives the configuration's names and secrets as they are now."""

    @web.middleware
    async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
        actor = _peer(request) or _bearer(request, tokens, made)
        if actor is None and request.path not in OPEN_TO_ALL and not request.path.startswith("/page/"):
            advice = "send `Authorization: Bearer TOKEN`; to make one: bluegreen token make NAME"
            raise Unauthenticated("this door needs a token", advice)
        if actor is not None:
            request[ACTOR] = actor
        return await handler(request)

    return identify


class Unauthenticated(NotPermitted):
    """Nobody knows who asks."""

    status = 401
    slug = "unauthenticated"


def user_of(uid: int) -> Actor:
    """`uid:0(root)`: the number is the proof, the name is for people."""
    try:
        return Actor(f"uid:{uid}({pwd.getpwuid(uid).pw_name})")
    except KeyError:
        return Actor(f"uid:{uid}")


def is_the_daemons_own(actor: Actor) -> bool:
    """Whether this is root, or the very user that the daemon runs as: whoever may do as it does anyway."""
    number = re.match(r"uid:(\d+)", actor.name)
    return number is not None and int(number[1]) in (0, os.getuid())


def _peer(request: web.Request) -> Actor | None:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return user_of(uid)


def _bearer(request: web.Request, tokens: Tokens, made: MadeTokens) -> Actor | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        return None
    sent = given.strip().encode(errors="surrogateescape")  # as it came: a header may hold any bytes
    names = [name for name, secret in tokens().items() if hmac.compare_digest(secret.encode(), sent)]
    name = names[0] if names else made.name_of(sent)
    if name is None:
        raise Unauthenticated("this token is not known, or was revoked", "to see which there are: bluegreen token list")
    return Actor(f"token:{name}")
