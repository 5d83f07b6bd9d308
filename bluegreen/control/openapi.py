"""The OpenAPI 3.1 document of the control endpoint, made from one table. A test holds it equal to the routes served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bluegreen import __version__
from bluegreen.core.operations import Outcome, Undo
from bluegreen.model import CAUSE_CLASSES, Condition, Kind, Phase, Role

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": ["number", "null"]}
_SHARES: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "number"}}
_CAUSE: Schema = {
    "cause": {"enum": list(CAUSE_CLASSES), "description": "what the halt came from that this answers"},
    "note": {"type": "string", "description": "about that halt: whoever sees one like it next reads it"},
}
_BODY_OF_VERB: Schema = {
    "type": "object",
    "properties": {
        **_CAUSE,
        "reason": {"type": "string", "description": "why; wanted by halt, accept, restore and leave"},
        "halt": {"type": "string", "description": "the id of the halt that is answered: another one is refused"},
        "check": {"type": "string", "description": "accept: the failed check, by name"},
        "environment": {"type": "string", "description": "release: which one, where several are warm"},
        "override_freeze": {
            "type": "boolean",
            "description": "approve, promote, release: past a freeze; needs a reason",
        },
        "drift": {
            "type": "array",
            "items": _TEXT,
            "description": "restore, leave: ids of the drifts that the asker was shown; none: all that are on record",
        },
    },
}
_VERBS = {
    "approve": "Let the switch go past a planned approval",
    "pause": "Wait; nothing is wrong",
    "resume": "Go on; a failed step really runs again",
    "promote": "Skip the remaining shift steps",
    "abort": "End a switch whose candidate has no traffic",
    "accept": "Go past one named failed check",
    "release": "Let the warm environment go",
    "halt": "Stop the line: everything stays where it is",
    "adopt": "Take what the balancers show for the truth",
    "restore": "Put the balancers back to what the journal says, on top of exactly the drifts that were shown",
    "leave": "Leave the balancers as they are, on record; nothing is written",
}


def document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bluegreen",
            "version": __version__,
            "description": "Blue/green switches. The daemon never moves traffic back by itself.",
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


def _paths() -> Schema:
    service = "/v1/services/{service}"
    paths: Schema = {
        "/v1/services": {"get": _get("Every service", "Services")},
        service: {"get": _get("One service", "Service", ["service"])},
        f"{service}/plan": {
            "get": _get("What a deployment would do", "Object", ["service"], {"version": _TEXT, "artifact": _TEXT})
        },
        f"{service}/history": {"get": _get("Past switches, newest first", "Object", ["service"], {"limit": _TEXT})},
        f"{service}/ready": {
            "get": _get("Whether a failback is possible right now: every proof with its age", "Ready", ["service"])
        },
        f"{service}/failback": {
            "get": _get("What a failback would do: the plan to name when asking for it", "Object", ["service"]),
            "post": _post("Move the traffic back", _failback_body(), required=True),
        },
        f"{service}/deployments": {"post": _post("Start a deployment", _deployment_body(), required=True)},
        f"{service}/lessons": {
            "get": _get("What halts have taught: what comes again without a guard first", "Object", ["service"]),
            "post": _post("Say what a halt came from, or close a lesson", _lesson_body(), required=True),
        },
        f"{service}/guards": {
            "get": _get("The guards that were made of halts", "Object", ["service"]),
            "post": _post("Add a guard in shadow, enforce it, or take it away", _guard_body(), required=True),
        },
        f"{service}/flags": {"get": _get("Feature flags, and what changed since", "Object", ["service"])},
        f"{service}/flags/{{name}}": {"post": _post("Set a feature flag", _flag_body(), required=True, more=["name"])},
        f"{service}/claim": {"post": _post("Say: I have it. Or hand it back", _claim_body())},
        f"{service}/debts": {
            "get": _get("What failbacks have left wrong on purpose", "Object", ["service"]),
            "post": _post("Acknowledge debts, own one, or say that one is paid", _debts_body(), required=True),
        },
        "/v1/doctor": {"get": _get("Everything that switches will need, looked at now", "Examinations")},
        f"{service}/doctor": {
            "get": _get("Everything that a switch of it will need, looked at now", "Examination", ["service"])
        },
        "/v1/tokens": {
            "get": _get("The tokens of the TCP door, without the tokens", "Object"),
            "post": _post("Make a token by its SHA-256, or revoke one", _token_body(), required=True, of=()),
        },
        "/v1/schemas/changes.json": {"get": _get("The JSON Schema of a change manifest", "Object")},
        "/v1/switches/{id}": {"get": _get("One switch", "Switch", ["id"])},
        "/v1/switches/{id}/evidence": {
            "get": _get("What was kept at its last halt, or at the one named", "Object", ["id"], {"halt": _TEXT})
        },
        "/v1/switches/{id}/evidence/archive": {
            "get": _get("All of that as one .tar.gz", None, ["id"], {"halt": _TEXT})
        },
        "/v1/switches/{id}/evidence/parts/{part}": {
            "get": _get("One part of it, as text", "Object", ["id", "part"], {"halt": _TEXT})
        },
        "/v1/events": {
            "get": _get("The journal: a page, or with Accept: text/event-stream a live stream", "Object", [],
                        {"service": _TEXT, "after": _TEXT, "limit": _TEXT})
        },
        "/healthz": {"get": _get("The process is there", None)},
        "/readyz": {"get": _get("Fit to switch", "Object")},
        "/metrics": {"get": _get("Prometheus metrics", None)},
        "/openapi.json": {"get": _get("This document", "Object")},
        "/": {"get": _get("The page", None)},
        "/page/{name}": {"get": _get("The page's parts", None, ["name"])},
    }  # fmt: skip
    for verb, text in _VERBS.items():
        paths[f"{service}/{verb}"] = {"post": _post(text, _BODY_OF_VERB)}
    return paths


def _get(text: str, schema: str | None, path: list[str] | None = None, query: Schema | None = None) -> Schema:
    media = {"application/json": {"schema": _ref(schema)}} if schema else {"text/plain": {"schema": _TEXT}}
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in path or []]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in (query or {}).items()]
    return {"summary": text, "parameters": parameters, "responses": {"200": {"description": text, "content": media},
                                                                     "default": _problem()}}  # fmt: skip


def _post(
    text: str, body: Schema, *, required: bool = False, more: Sequence[str] = (), of: Sequence[str] = ("service",)
) -> Schema:
    return {
        "summary": text,
        "parameters": [
            *[{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in (*of, *more)],
            {"name": "Idempotency-Key", "in": "header", "schema": _TEXT,
             "description": "the same key and request again gives the same answer and does nothing twice"},
        ],
        "requestBody": {"required": required, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": {
                "description": "Durably on record; under way",
                "headers": {"Location": {"schema": _TEXT, "description": "the switch"}},
                "content": {"application/json": {"schema": _ref("Object")}},
            },
            "default": _problem(),
        },
    }  # fmt: skip


def _problem() -> Schema:
    return {
        "description": "RFC 9457: what is wrong, and what to do",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _claim_body() -> Schema:
    return {
        "type": "object",
        "properties": {
            "halt": {"type": "string", "description": "the halt that is meant; refused when it is another one now"},
            "drop": {"type": "boolean", "description": "hand it back"},
            "reason": _TEXT,
        },
    }


def _failback_body() -> Schema:
    return {
        "type": "object",
        "required": ["plan", "reason"],
        "properties": {
            "plan": {"type": "string", "description": "the id from GET; refused when the state is another one now"},
            "reason": {"type": "string", "minLength": 1},
            "acknowledge": {
                "type": "array",
                "items": _TEXT,
                "description": "the id of each unsafe line of the report: one that is missing is refused",
            },
            "confirm": {"type": "string", "description": "the service's name; required where there are unsafe lines"},
            **_CAUSE,
        },
    }


def _lesson_body() -> Schema:
    return {
        "type": "object",
        "required": ["lesson"],
        "properties": {
            "lesson": {"type": "string", "description": "a fingerprint, its short name, or a halt's id"},
            "act": {"enum": ["resolve", "close"], "default": "resolve"},
            **_CAUSE,
            "guard": {"type": "string", "description": "close: by this guard"},
            "reason": {"type": "string", "description": "close: why no guard is wanted"},
        },
    }


def _guard_body() -> Schema:
    return {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": _TEXT,
            "act": {"enum": ["add", "enforce", "remove"], "default": "add"},
            "check": {"type": "object", "description": "add: a check as in the service's file, without its name"},
            "lesson": {"type": "string", "description": "add: the lesson that it is made of"},
            "force": {"type": "boolean", "description": "enforce: though it never looked at a preflight"},
            "reason": {"type": "string", "description": "why; wanted by remove, and by enforce with force"},
        },
    }


def _token_body() -> Schema:
    digest = {"type": "string", "description": "make: of the token, which stays with whoever made it"}
    act = {"enum": ["make", "revoke"], "default": "make"}
    properties = {"name": _TEXT, "act": act, "sha256": digest, "reason": _TEXT}
    return {"type": "object", "required": ["name"], "properties": properties}


def _flag_body() -> Schema:
    return {
        "type": "object",
        "required": ["value", "reason"],
        "properties": {
            "value": {"type": "string", "minLength": 1, "description": "on, off, or a value"},
            "reason": {"type": "string", "minLength": 1},
            "expected": {"type": "string", "description": "what the asker was shown: refused when it is another now"},
            "halt": {"type": "string", "description": "the id of the halt that is answered: another one is refused"},
        },
    }


def _debts_body() -> Schema:
    return {
        "type": "object",
        "description": "exactly one of acknowledge, own and paid",
        "properties": {
            "acknowledge": {"type": "array", "items": _TEXT, "description": "ids of debts; [] for all"},
            "own": {"type": "string", "description": "a debt's id; `owner` sees to it"},
            "owner": _TEXT,
            "paid": {"type": "string", "description": "a debt's id; `reason` says how it was put right"},
            "reason": _TEXT,
        },
    }


def _deployment_body() -> Schema:
    return {
        "type": "object",
        "required": ["version"],
        "properties": {
            "version": _TEXT,
            "artifact": {"type": "string", "description": "the artifact's digest"},
            "changes": {
                "type": "array",
                "description": "the change manifest (/v1/schemas/changes.json); [] says that nothing but code changed",
            },
            "halt": {"type": "string", "description": "the halt that this answers; refused when it is another one now"},
            "replace_warm": {
                "type": "boolean",
                "description": "give up a protected warm environment for it; needs a reason",
            },
            "override_freeze": {"type": "boolean", "description": "go past a freeze that is in force; needs a reason"},
            "reason": _TEXT,
            **_CAUSE,
        },
    }


def _schemas() -> Schema:
    environment = {
        "role": {"enum": list(Role)},
        "release": {"type": ["object", "null"], "properties": {"version": _MAYBE_TEXT, "artifact": _MAYBE_TEXT}},
        "artifact": {"anyOf": [_ref("Artifact"), {"type": "null"}]},
        "weight": _NUMBER, "weights": _SHARES, "healthy": _NUMBER, "targets": _NUMBER,
    }  # fmt: skip
    switch = {
        "id": _TEXT, "kind": {"enum": list(Kind)}, "service": _TEXT, "phase": {"enum": list(Phase)},
        "condition": {"enum": list(Condition)}, "step": _TEXT, "awaiting": {"enum": [None, "approval", "operator"]},
        "version": _MAYBE_TEXT, "candidate": _TEXT, "source": _TEXT, "share": _NUMBER,
        "halt": {"type": ["object", "null"]}, "options": {"type": "array", "items": _ref("Option")},
        "way": {"type": "array", "items": _ref("Stage")},
    }  # fmt: skip
    service = {
        "service": _TEXT,
        "revision": {"type": "integer"},
        "live": _MAYBE_TEXT,
        "environments": {"type": "object", "additionalProperties": {"type": "object", "properties": environment}},
        "switch_points": {"type": "object"},
        "warm": {"type": ["object", "null"]},
        "drift": {"type": "array", "items": _ref("Drift")},
        "restore": {"type": ["object", "null"]},
        "flags": {"anyOf": [_ref("Flags"), {"type": "null"}]},
        "freeze": {"type": "object"},
        "journal": {"type": ["object", "null"]},
        "lessons": {"type": "object"},
        "debts": {"type": "array", "items": _ref("Debt")},
        "switch": {"anyOf": [_ref("Switch"), {"type": "null"}]},
        "options": {"type": "array", "items": _ref("Option")},
    }
    drift = {
        "id": _TEXT, "switch_point": _TEXT, "expected": _SHARES, "shown": _SHARES, "what": _TEXT, "since": _TEXT,
        "last_good": _MAYBE_TEXT, "hands": {"type": "array"}, "left": {"type": ["object", "null"]}, "refused": _TEXT,
    }  # fmt: skip
    problem = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "advice": _TEXT}
    return {
        "Object": {"type": "object"},
        "Drift": {"type": "object", "required": list(drift), "properties": drift},
        **_ways_schemas(),
        **_topic_schemas(),
        "Switch": {"type": "object", "required": list(switch), "properties": switch},
        "Service": {"type": "object", "required": list(service), "properties": service},
        "Services": {
            "type": "object",
            "required": ["services"],
            "properties": {"services": {"type": "array", "items": _ref("Service")}},
        },
        "Problem": {"type": "object", "required": list(problem), "properties": problem},
    }


def _ways_schemas() -> Schema:
    flag = {"type": "boolean"}
    option = {
        "verb": _TEXT, "label": _TEXT, "subject": _TEXT, "lawful": flag, "effect": _TEXT, "moves_traffic": flag,
        "traffic": {"type": "array", "items": _ref("Moved")}, "seconds": _NUMBER, "duration": _TEXT, "risk": _TEXT,
        "command": _TEXT, "why_not": _TEXT, "instead": _TEXT,
    }  # fmt: skip
    moved = {"switch_point": _TEXT, "now": _SHARES, "after": _SHARES}
    stage = {
        "step": _TEXT, "what": _TEXT, "switch_point": _MAYBE_TEXT, "outcome": {"enum": list(Outcome)},
        "at": _MAYBE_TEXT, "detail": _TEXT, "undo": {"enum": list(Undo)}, "takes": _TEXT,
    }  # fmt: skip
    made = {"Moved": moved, "Stage": stage, "Option": option}
    return {name: {"type": "object", "required": list(one), "properties": one} for name, one in made.items()}


def _topic_schemas() -> Schema:
    maybe, many = {"type": ["object", "null"]}, {"type": "array", "items": {"type": "object"}}
    flags = {
        "place": _TEXT, "writable": {"type": "boolean"}, "at_deploy": maybe, "at_halt": maybe, "latest": maybe,
        "changed": many, "changed_unknown": _TEXT, "setting": many, "acts": many,
    }  # fmt: skip
    artifact = {
        "runs": _MAYBE_TEXT, "given": _MAYBE_TEXT, "same": {"type": ["boolean", "null"]}, "at": _TEXT, "summary": _TEXT,
        "targets": _TEXT,
    }  # fmt: skip
    proof = {
        "check": _TEXT, "ok": {"type": "boolean"}, "fresh": {"type": "boolean"}, "proven": {"type": "boolean"},
        "summary": _TEXT, "advice": _TEXT,
        "proven_at": _TEXT, "age_seconds": {"type": "number"}, "valid_seconds": {"type": "number"},
    }  # fmt: skip
    ready = {
        "service": _TEXT, "as_of": _TEXT, "environment": _MAYBE_TEXT, "version": _MAYBE_TEXT,
        "ready": {"type": "boolean"}, "lawful": {"type": "boolean"}, "reasons": {"type": "array", "items": _TEXT},
        "proven_at": _MAYBE_TEXT, "lost_since": _MAYBE_TEXT, "proofs": {"type": "array", "items": _ref("Proof")},
    }  # fmt: skip
    debt = {
        "id": _TEXT, "topic": _TEXT, "what": _TEXT, "since": _TEXT, "switch": _TEXT, "verdict": _TEXT,
        "owner": _MAYBE_TEXT,
        "acknowledged": {"type": "boolean"}, "acknowledged_by": _TEXT, "acknowledged_at": _MAYBE_TEXT,
    }  # fmt: skip
    finding = {
        "check": _TEXT, "ok": {"type": "boolean"}, "summary": _TEXT, "advice": _TEXT,
        "acceptable": {"type": "boolean"}, "detail": {"type": "object"},
    }  # fmt: skip
    found = {"about": _TEXT, "ok": {"type": "boolean"}, "findings": {"type": "array", "items": _ref("Finding")}}
    looked = {"as_of": _TEXT, "ok": {"type": "boolean"}, "seconds": {"type": "number"}}
    examination = {"service": _TEXT, **looked, "sections": {"type": "array", "items": _ref("Section")}}
    every = {**looked, "daemon": _ref("Section"), "services": {"type": "array", "items": _ref("Examination")}}
    made = {
        "Flags": flags, "Artifact": artifact, "Proof": proof, "Ready": ready, "Debt": debt,
        "Finding": finding, "Section": found, "Examination": examination, "Examinations": every,
    }  # fmt: skip
    return {name: {"type": "object", "required": list(one), "properties": one} for name, one in made.items()}
