"""Errors as RFC 9457 problem documents, each with a stable type. Nothing else leaves a handler in failure."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from bluegreen.errors import BadRequest, BlueGreenError, ConfigError, NotFound

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_BYTES_MAX = 256 * 1024
UNAUTHENTICATED = 401
BODY_SECONDS = 5.0
"""How long a body may take to come in whole."""

log = structlog.get_logger(__name__)


def problem(error: BlueGreenError, status: int | None = None) -> web.Response:
    """The document for one of our own errors; its `status` is the answer's own, as RFC 9457 wants it."""
    status = status or error.status
    document: dict[str, Any] = {
        "type": f"urn:bluegreen:{error.slug}",
        "title": error.slug.replace("-", " "),
        "status": status,
        "detail": error.what,
        "advice": error.advice,
    }
    if isinstance(error, BadRequest) and error.errors:
        document["errors"] = error.errors
    if isinstance(error, ConfigError):
        document["errors"] = {f"{fault.file}:{fault.line}": fault.what for fault in error.faults}
    made = web.Response(status=status, body=json.dumps(document).encode(), content_type="application/problem+json")
    if status == UNAUTHENTICATED:
        made.headers["WWW-Authenticate"] = 'Bearer realm="bluegreen"'
    return made


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error of every handler as a problem document; what nobody expected is logged with its traceback."""
    try:
        return await handler(request)
    except BlueGreenError as error:
        return problem(error)
    except web.HTTPNotFound:
        return problem(NotFound(f"no route {request.method} {request.path}", "see /openapi.json"))
    except web.HTTPMethodNotAllowed as error:
        what = f"{request.path} does not take {request.method}"
        refusal = problem(BadRequest(what, advice="see /openapi.json"), error.status)
        refusal.headers["Allow"] = error.headers["Allow"]
        return refusal
    except web.HTTPRequestEntityTooLarge as error:
        return problem(BadRequest("the body is too large", advice=f"at most {BODY_BYTES_MAX} bytes"), error.status)
    except web.HTTPRequestTimeout as error:
        what = "the body did not come in time"
        refusal = problem(BadRequest(what, advice=f"within {BODY_SECONDS:g} s, please"), error.status)
        refusal.force_close()
        return refusal
    except web.HTTPException:
        raise
    except Exception:
        log.exception("a request failed by a defect of bluegreen itself", path=request.path)
        return problem(BlueGreenError("a defect of bluegreen itself", "the log has the traceback; please report it"))
