"""The API's documents as the daemon would send them, at 2026-11-23T09:10:00Z."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
NOW = "2026-11-23T09:10:00.000Z"


def option(verb: str, effect: str = "none", why_not: str = "", command: str = "", **more: Any) -> Document:
    made: Document = {
        "verb": verb,
        "label": verb,
        "subject": "",
        "lawful": not why_not,
        "effect": effect,
        "moves_traffic": not effect.startswith("none"),
        "traffic": [],
        "seconds": None,
        "duration": "unknown: no earlier run",
        "risk": "none",
        "command": command or f"bluegreen {verb} web",
        "why_not": why_not,
        "instead": "",
    }
    return made | more


def stage(what: str, outcome: str = "not done", detail: str = "", **more: Any) -> Document:
    made: Document = {
        "step": "set_weights" if ":" in what else what,
        "what": what,
        "switch_point": None,
        "outcome": outcome,
        "at": None,
        "detail": detail,
        "undo": "nothing",
        "takes": "",
    }
    return made | more


def switch(condition: str = "running", **more: Any) -> Document:
    ended = condition not in ("running", "paused", "halted")
    made: Document = {
        "id": "sw-7",
        "kind": "deployment",
        "service": "web",
        "phase": "ended" if ended else "shift",
        "condition": condition,
        "step": condition.replace("_", " ") if ended else "shift 2 of 4: 25%",
        "awaiting": {"paused": "approval", "halted": "operator"}.get(condition),
        "version": "v2",
        "artifact": None,
        "candidate": "green",
        "source": "blue",
        "requested_by": "uid:0(root)",
        "reason": "ticket 12",
        "started_at": "2026-11-23T09:00:00.000Z",
        "changed_at": "2026-11-23T09:06:00.000Z",
        "ended_at": "2026-11-23T09:08:00.000Z" if ended else None,
        "ended_by": "uid:0(root)" if ended else None,
        "steps": ["5%", "25%", "50%", "100%"],
        "index": 1,
        "share": None if ended else 25.0,
        "watched_seconds": 3.0,
        "wait_seconds": 120.0,
        "halt": None,
        "accepted": [],
        "operations": [
            {"step": "deploy", "outcome": "done", "at": "2026-11-23T09:01:00.000Z", "detail": "exit 0 after 4.1 s"},
            {"step": "alb: green 25%", "outcome": "done", "at": "2026-11-23T09:04:00.000Z", "detail": ""},
        ],
        "way": [stage("deploy", "done", "exit 0 after 4.1 s", at="2026-11-23T09:01:00.000Z")],
        "options": [],
        "alive_at": "2026-11-23T09:09:58.000Z" if condition == "running" else None,
    }
    return made | more


def halted() -> Document:
    halt = {
        "id": "h-1",
        "at": "2026-11-23T09:06:00.000Z",
        "by": "daemon",
        "phase": "shift",
        "cause": "gate_failed",
        "summary": "gate errors failed at green 25%: 5.2 % of the answers were errors, allowed are 1 %",
        "advice": "look at the release; when it is mended: resume. Or fail back.",
        "findings": [
            {
                "check": "latency",
                "ok": True,
                "summary": "p99 is 80 ms",
                "advice": "",
                "acceptable": False,
                "detail": {},
            },
            {
                "check": "errors",
                "ok": False,
                "summary": "5.2 % of the answers were errors",
                "advice": "look at the error log of green",
                "acceptable": True,
                "detail": {},
            },
        ],
        "output": "line one\nline two\x1b[31m",
    }
    operations = [
        {"step": "deploy", "outcome": "done", "at": "2026-11-23T09:01:00.000Z", "detail": "exit 0 after 4.1 s"},
        {"step": "alb: green 25%", "outcome": "done", "at": "2026-11-23T09:04:00.000Z", "detail": ""},
        {"step": "watch", "outcome": "failed", "at": "2026-11-23T09:06:00.000Z", "detail": "gate errors"},
        {"step": "alb: green 50%", "outcome": "not done", "at": None, "detail": ""},
    ]
    one_write = "one write moves it back to blue: bluegreen failback web"
    way = [
        stage("deploy", "done", "exit 0 after 4.1 s", at="2026-11-23T09:01:00.000Z", undo="by_hand", takes="ask dba"),
        stage("alb: green 25%", "done", at="2026-11-23T09:04:00.000Z", undo="one_write", takes=one_write),
        stage("shift", "failed", "gate errors", at="2026-11-23T09:06:00.000Z"),
        stage("alb: green 50%"),
    ]
    return switch("halted", halt=halt, operations=operations, way=way)


def service(the_switch: Document | None = None, *, green: float = 100.0, **more: Any) -> Document:
    weights = {"blue": 100.0 - green, "green": green}
    is_open = the_switch is not None and the_switch["condition"] in ("running", "paused", "halted")
    made: Document = {
        "service": "web",
        "revision": 41,
        "as_of": NOW,
        "live": "blue" if is_open else "green",
        "live_unknown": None,
        "environments": {
            "blue": _environment("v1", "live" if is_open else "warm", weights["blue"]),
            "green": _environment("v2", "candidate" if is_open else "live", weights["green"]),
        },
        "switch_points": {
            "alb": {
                "kind": "elbv2",
                "asked": weights,
                "shown": weights,
                "read_at": "2026-11-23T09:09:58.000Z",
                "agrees": True,
                "error": "",
            }
        },
        "warm": None
        if is_open
        else {
            "environment": "blue",
            "ready": True,
            "proven_at": "2026-11-23T09:09:38.000Z",
            "reasons": [],
            "since": "2026-11-23T09:05:00.000Z",
            "protected_until": "2026-11-23T13:05:00.000Z",
        },
        "drift": [],
        "unknown": [],
        "debts": [],
        "switch": the_switch,
        "options": [
            option("failback", "blue goes to 100%, green to 0%", command='bluegreen failback web --reason "…"'),
            option("resume", "none at first: shift runs again; then green goes to 50%, 100%"),
            option("approve", why_not="web: no approval is awaited"),
            option(
                "abort",
                why_not="green has 25% of the traffic: ending the switch would not move it",
                instead="to move it back: bluegreen failback web",
            ),
        ],
    }
    return made | more


def _environment(version: str, role: str, weight: float) -> Document:
    return {
        "role": role,
        "release": {"version": version, "artifact": None, "since": "2026-11-23T09:01:00.000Z"},
        "weight": weight,
        "weights": {"alb": weight},
        "healthy": 4,
        "targets": 4,
        "target_list": [],
    }


def services(*all_of_them: Document) -> Document:
    daemon = {
        "version": "0.1.0",
        "pid": 4711,
        "started_at": "2026-11-23T06:10:00.000Z",
        "config_hash": "ab",
        "user": "root",
    }
    return {"services": list(all_of_them), "as_of": NOW, "daemon": daemon}


def failback_plan(**more: Any) -> Document:
    made: Document = {
        "plan": "fb-1",
        "service": "web",
        "lawful": True,
        "why_not": "",
        "source": {"environment": "green", "version": "v2", "weight": 100.0, "healthy": 4, "targets": 4},
        "target": {
            "environment": "blue",
            "version": "v1",
            "weight": 0.0,
            "healthy": 3,
            "targets": 4,
            "ready": True,
            "proven_at": "2026-11-23T09:09:38.000Z",
            "since": "2026-11-23T09:05:00.000Z",
            "protected_until": "2026-11-23T13:05:00.000Z",
            "reasons": [],
        },
        "traffic": [
            {"switch_point": "alb", "now": {"blue": 0.0, "green": 100.0}, "after": {"blue": 100.0, "green": 0.0}}
        ],
        "steps": ["100%"],
        "lines": [
            {"id": "data:tax", "verdict": "unsafe", "text": "v2 writes tax lines that v1 ignores", "topic": "data"},
            {"id": "drill", "verdict": "unknown", "text": "no failback was ever completed", "topic": "drill"},
            {"id": "schema:93", "verdict": "safe", "text": "migration 93 only expands", "topic": "schema"},
        ],
        "advice": "roll forward rather than back: the schema or data has moved (data:tax)",
        "acknowledge": ["data:tax"],
    }
    return made | more


def unlawful_failback() -> Document:
    """As the daemon says it: no sides, no plan."""
    why = "web has no warm environment to fail back to; the way on is an ordinary deployment"
    return failback_plan(
        plan="", lawful=False, why_not=why, source=None, target=None, traffic=[], lines=[], acknowledge=[]
    )


def event(seq: int, kind: str = "shifted", **more: Any) -> Document:
    made: Document = {
        "seq": seq,
        "at": "2026-11-23T09:06:00.000Z",
        "service": "web",
        "switch": "sw-7",
        "by": "uid:0(root)",
        "reason": "",
        "kind": kind,
        "data": {},
    }
    return made | more


def deployment_plan(**more: Any) -> Document:
    made: Document = {
        "service": "web",
        "version": "v2",
        "lawful": True,
        "why_not": "",
        "candidate": "green",
        "source": "blue",
        "steps": [{"step": "deploy", "what": "v2 is brought to green"}, {"step": "shift", "what": "green 100% at alb"}],
        "findings": [
            {
                "check": "balancer",
                "ok": True,
                "summary": "alb answers",
                "advice": "",
                "acceptable": False,
                "detail": {},
            }
        ],
    }
    return made | more


def debt(id_: str = "advisory:CVE-2026-1", **more: Any) -> Document:
    made: Document = {
        "id": id_,
        "topic": "security",
        "what": "CVE-2026-1 (high) is open again on blue (closed by v2, tls is mended)",
        "since": "2026-11-23T09:08:00.000Z",
        "switch": "sw-8",
        "verdict": "unsafe",
        "owner": None,
        "acknowledged": False,
        "acknowledged_by": "",
        "acknowledged_at": None,
    }
    return made | more
