"""The routes of lessons: what halts have taught, what they came from, and that nothing more is to be done about one."""

from __future__ import annotations

from aiohttp import web

from bluegreen.control import lessons_documents
from bluegreen.control.exchange import CAUSE, DOOR, answer, asked, noted, read_body
from bluegreen.core import admit_lessons
from bluegreen.errors import BadRequest

ACTS = ("resolve", "close")


async def lessons(request: web.Request) -> web.Response:
    engine = request.app[DOOR].fleet.engine(request.match_info["service"])
    return answer(lessons_documents.all_lessons(engine))


async def learn(request: web.Request) -> web.Response:
    engine = request.app[DOOR].fleet.engine(request.match_info["service"])
    body = await read_body(request, {"lesson": str, "act": str, **CAUSE, "guard": str, "reason": str})
    name, act = body.get("lesson", ""), body.get("act", "resolve")
    if not name:
        raise BadRequest("which lesson?", {"lesson": "wanted a fingerprint, its short name, or the id of a halt"})
    match act:
        case "resolve":
            await noted(
                engine,
                lambda now: admit_lessons.resolve(now, name, body.get("cause", ""), body.get("note", "")),
                asked(request, body),
            )
        case "close":
            names = lessons_documents.configured(engine)
            await noted(
                engine,
                lambda now: admit_lessons.close(now, name, body.get("guard", ""), body.get("reason", ""), names),
                asked(request, body),
            )
        case _:
            raise BadRequest(f"{act!r} is not known", {"act": f"wanted one of {', '.join(ACTS)}"})
    return answer(lessons_documents.all_lessons(engine), status=202)


ROUTES = [
    web.get("/v1/services/{service}/lessons", lessons),
    web.post("/v1/services/{service}/lessons", learn),
]
