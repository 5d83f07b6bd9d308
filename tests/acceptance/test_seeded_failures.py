"""What goes wrong, seeded: most of it in a service of its own behind one daemon. Whoever reads `explain` and knows
nothing of the service must find there what happened, where the traffic is, and the way that is right.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.acceptance.operator import Document, Operator, running, split
from tests.checks.servers import serving

pytestmark = pytest.mark.slow

SMOKE = '[{name: orders, http: "{url}/orders", timeout: 2s, every: 100ms}]'


@dataclass(frozen=True, eq=False)
class Failure:
    """What is wrong with one service, and what a reader must find. `yaml` replaces keys of its file, `given` is said at
    its deployment; `half`: the first share was given before it went wrong; `begin` happens then; `third`: there is a
    third environment."""

    name: str
    cause: str
    words: tuple[str, ...]
    right: str
    yaml: dict[str, str] = field(default_factory=dict)
    half: bool = False
    points: int = 1
    third: bool = False
    begin: Callable[[Path], None] | None = None
    given: dict[str, Any] = field(default_factory=dict)


def _drift(state: Path) -> None:
    (state / "memory-drift-a.json").write_text(json.dumps({"blue": 70, "green": 30}))


def _balancer_gone(state: Path) -> None:
    (state / "memory-gone-a.json").write_text("half of a fi")


def _half_written(state: Path) -> None:
    """The second balancer can be read and not be written: in place of the file that a write makes there is a folder."""
    (state / "memory-halfwritten-b.new").mkdir()


FAILURES = (
    Failure("dependency", "check_failed", ("orders", "status 500, wanted 200"), "deploy", {"smoke": SMOKE}),
    Failure("hung", "check_failed", ("orders", "did not answer within 2 s"), "abort", {"smoke": SMOKE}),
    Failure("refusing", "check_failed", ("tcp", "127.0.0.1:1", "Connection refused"), "abort",
            {"smoke": '[{name: tcp, tcp: "127.0.0.1:1", timeout: 2s}]'}),
    Failure("wrongversion", "check_failed", ("version", "v2", "v1.old"), "deploy",
            {"smoke": '[{name: version, http: "{url}/version", expect: {json: {version: "{version}"}}, timeout: 2s}]'}),
    Failure("script", "check_failed", ("basket", "ended with 3", "basket is empty"), "abort",
            {"smoke": '[{name: basket, command: [/bin/sh, -c, "echo basket is empty; exit 3"], timeout: 5s}]'}),
    Failure("placeholder", "check_failed", ("secret-check", "/nowhere/token"), "abort",
            {"smoke": '[{name: secret-check, http: "{url}/ok", headers: {x: "${file:/nowhere/token}"}, timeout: 2s}]'}),
    Failure("command", "deploy_failed", ("ended with 7", "migration 0042 is locked"), "abort",
            {"deploy": '{kind: command, run: [/bin/sh, -c, "echo migration 0042 is locked; exit 7"]}'}),
    Failure("slowdeploy", "deploy_failed", ("its time is 1 s",), "abort",
            {"deploy": '{kind: command, run: [sleep, "60"], timeout: 1s}'}),
    Failure("noprogram", "preflight_failed", ("/nowhere/deploy.sh",), "abort",
            {"deploy": "{kind: command, run: [/nowhere/deploy.sh]}"}),
    Failure("guarded", "preflight_failed", ("window", "ended with 1"), "accept",
            {"guards": "[{name: window, command: [/bin/false], timeout: 2s}]"}),
    Failure("nodata", "gate_failed", ("errors",), "failback", half=True,
            yaml={"gates": '[{name: errors, prometheus: {url: "{server}/prometheus", query: errors, max: 0.01}, '
                  "timeout: 2s, every: 200ms}]"}),
    Failure("burning", "gate_failed", ("errors", "status 503"), "failback", half=True,
            yaml={"gates": '[{name: errors, http: "{url}/gate", timeout: 2s, every: 200ms}]'}),
    Failure("drift", "drift", ("blue 70%", "green 30%"), "restore", half=True, begin=_drift),
    Failure("gone", "preflight_failed", ("cannot be read", "memory-gone-a.json"), "resume", begin=_balancer_gone),
    Failure("halfwritten", "balancer_unreachable", ("b", "cannot be written"), "resume", half=True, points=2,
            begin=_half_written),
    Failure("stopped", "operator", ("the graphs look odd",), "resume", half=True),
    Failure("wrongartifact", "wrong_artifact", ("sha256:aaaa", "sha256:bbbb"), "deploy",
            {"digest": '{http: "{url}/digest", json: digest, timeout: 2s}'}, given={"artifact": "sha256:aaaa"}),
    Failure("migration", "gate_failed", ("schema:0093 (contract)", "roll forward rather than back"), "deploy",
            half=True, third=True,
            yaml={"gates": '[{name: errors, http: "{url}/gate", timeout: 2s, every: 200ms}]'},
            given={"changes": [{"kind": "schema", "id": "0093", "summary": "the column total is gone",
                                "phase": "contract", "backward_compatible": "no"}]}),
    Failure("lostwarm", "gate_failed", ("blue is not ready", "502"), "deploy", half=True, third=True,
            yaml={"gates": '[{name: errors, http: "{url}/gate", timeout: 2s, every: 200ms}]', "smoke": SMOKE,
                  "shift": "{steps: [100%]}", "bake": "60s", "warm": "{every: 1s}"}),
)  # fmt: skip

WHOLE = {
    "smoke": "[]",
    "gates": "[]",
    "guards": "[]",
    "deploy": "{kind: command, run: [/bin/true]}",
    "shift": "{steps: [50%, 100%], wait: 60s}",
    "failback": "{steps: [100%]}",
}


class App:
    """What answers for every environment of every service."""

    def __init__(self) -> None:
        self.burns = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith("/hung/green/"):
            await asyncio.sleep(60)
        if path == "/dependency/green/orders":
            return web.Response(status=500, text="orders: cannot reach the database at db-1")
        if path == "/lostwarm/blue/orders" and self.burns.is_set():
            return web.Response(status=502, text="this side was switched off")
        if path.endswith("/digest"):
            return web.json_response({"digest": "sha256:bbbb"})
        if path.endswith("/version"):
            return web.json_response({"version": "v1.old"})
        if path == "/prometheus/api/v1/query":
            return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})
        if path.endswith("/gate") and self.burns.is_set():
            return web.Response(status=503, text="upstream gone")
        return web.Response(text="ok")


def laid_out(directory: Path, url: str) -> Path:
    """One file a failure."""
    services = directory / "services"
    services.mkdir()
    for failure in FAILURES:
        name = failure.name
        points = ", ".join(f"{{kind: memory, name: {point}}}" for point in "ab"[: failure.points])
        lines = [
            f"service: {name}",
            "environments:",
            *(f"  {side}: {{url: '{url}/{name}/{side}'}}" for side in ("blue", "green", "red")[: 2 + failure.third]),
            f"switch_points: [{points}]",
            *(f"{key}: {value.replace('{server}', url)}" for key, value in {**WHOLE, **failure.yaml}.items()),
        ]
        (services / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    config = directory / "bluegreen.yaml"
    config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 500ms}\n")
    return config


async def explained(directory: Path, name: str) -> str:
    """What a person reads."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bluegreen", "--socket", str(directory / "c.sock"), "explain", name],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def seed(failure: Failure, operator: Operator, state: Path) -> Document:
    """Deploy, let it go wrong, and wait for the halt."""
    await operator.until(lambda seen: seen["live"] == "blue", "who is live")
    if failure.begin is not None and failure.begin is not _drift:
        failure.begin(state)
    await operator.deploy("v2", **{"changes": [], **failure.given})
    if failure.half and failure.points == 1:
        await operator.at("green", 50)
        if failure.begin is _drift:
            failure.begin(state)
        if failure.name == "stopped":
            await operator.post("halt", reason="the graphs look odd")
    document = await operator.ended("halted")
    if failure.name == "lostwarm":
        return await operator.until(lambda seen: "not ready" in _back(seen)["risk"], "that the way back is lost")
    return document


def _back(document: Document) -> Document:
    return next(one for one in document["options"] if one["verb"] == "failback")


def judged(failure: Failure, document: Document, text: str) -> list[str]:
    """What a reader would miss; empty where all is there."""
    halt, options = document["switch"]["halt"], {one["verb"]: one for one in document["options"]}
    read = " ".join(text.split())
    missing = [f"`{word}` is not said" for word in failure.words if word not in read]
    if halt["cause"] != failure.cause:
        missing.append(f"the cause is {halt['cause']}: {halt['summary']}")
    if not options.get(failure.right, {"lawful": False})["lawful"]:
        missing.append(f"{failure.right} is not offered: {options.get(failure.right)}")
    ways, _, _ = text.partition("YOUR OPTIONS")[2].partition("NOT ")
    if f"bluegreen {failure.right} {failure.name}" not in ways:
        missing.append(f"the command for {failure.right} is not among the ways")
    if not halt["advice"] and not any(one["advice"] for one in halt["findings"] if not one["ok"]):
        missing.append("nobody says what to do")
    if not failure.half and split(document)["blue"] != 100.0:
        missing.append(f"traffic moved: {split(document)}")
    return missing


async def test_whoever_knows_nothing_of_the_service_finds_what_happened_and_the_right_way(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    app = App()
    async with serving(app) as url, running(laid_out(tmp_path, url), tmp_path / "c.sock"):
        state = tmp_path / "state"
        operators = {failure.name: Operator(tmp_path / "c.sock", failure.name) for failure in FAILURES}
        async with asyncio.TaskGroup() as group:
            seeded = {failure: group.create_task(seed(failure, operators[failure.name], state)) for failure in FAILURES}
            for name in ("burning", "migration", "lostwarm"):
                await operators[name].at("green", 50)
            app.burns.set()
        found = {
            failure.name: missing
            for failure, task in seeded.items()
            if (missing := judged(failure, task.result(), await explained(tmp_path, failure.name)))
        }
        assert not found, json.dumps(found, indent=2)
    report_figures(f"{len(FAILURES)} seeded failures: each told with its cause, its words, and the right way")
