"""What a switch needs of its host: names, programs, people, room. Real sockets, real programs, a real file system."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluegreen import needs
from bluegreen.config import schema
from bluegreen.config.load import load
from bluegreen.config.notify import Notifier
from bluegreen.model import UNANSWERED, Finding
from bluegreen.needs import ServiceNeeds
from bluegreen.ports import Scene

BLUE = Scene("web", "blue", "v1", None, {"url": "http://127.0.0.1:1", "host": "localhost"})
GREEN = Scene("web", "green", "v2", None, {"url": "http://shop.invalid/", "host": "127.0.0.1"})
SERVICE: dict[str, Any] = {
    "service": "web",
    "environments": {"blue": dict(BLUE.values), "green": dict(GREEN.values)},
    "switch_points": [{"kind": "memory"}],
    "deploy": {"kind": "command", "run": ["true"]},
}


async def look(directory: Path, *notifiers: Notifier, scenes: tuple[Scene, ...] = (GREEN, BLUE), **more: Any):
    """What is found, by its name."""
    found = await ServiceNeeds(service_in(directory, **more), lambda: notifiers, directory).look(scenes)
    return {one.check: one for one in found}


def service_in(directory: Path, **more: Any) -> schema.Service:
    (directory / "services").mkdir(exist_ok=True)
    (directory / "services" / "web.yaml").write_text(yaml.safe_dump(SERVICE | more))
    (directory / "bluegreen.yaml").write_text("state: {directory: state}\n")
    return load(directory / "bluegreen.yaml").services["web"]


def notifier(**fields: Any) -> Notifier:
    return Notifier.model_validate({"name": "pager", **fields})


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def refusing() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- names ---


async def test_a_name_that_does_not_resolve_is_told_with_what_needs_it_and_where(tmp_path: Path):
    smoke = [{"name": "orders", "http": "{url}/orders"}, {"name": "port", "tcp": "{host}:80"}]
    finding = (await look(tmp_path, smoke=smoke))["host: names"]
    assert (finding.ok, finding.acceptable) == (False, True)
    assert finding.summary.startswith("shop.invalid does not resolve (")
    assert finding.summary.endswith("), orders on green needs it")
    assert "localhost" not in finding.summary
    assert "getent hosts shop.invalid" in finding.advice


async def test_names_that_resolve_are_named_and_addresses_need_no_name(tmp_path: Path):
    smoke = [{"name": "port", "tcp": "{host}:80"}, {"name": "version", "http": "http://[::1]:80/{version}"}]
    found = await look(tmp_path, smoke=smoke)
    assert found["host: names"].summary == "1 resolve: localhost"
    assert "host: names" not in await look(tmp_path, smoke=smoke[1:])


@pytest.mark.parametrize(
    "more",
    [
        {"gates": [{"name": "errors", "prometheus": {"url": "http://prom.invalid:9090", "query": "up", "min": 1}}]},
        {"guards": [{"name": "db", "tcp": "db.invalid:5432"}]},
        {"digest": {"http": "http://digest.invalid/"}},
        {"flags": {"ofrep": "http://flags.invalid"}},
    ],
)
async def test_every_address_of_the_service_is_looked_at(tmp_path: Path, more: dict[str, Any]):
    finding = (await look(tmp_path, **more))["host: names"]
    assert not finding.ok
    assert ".invalid does not resolve" in finding.summary


async def test_what_is_no_host_name_at_all_is_said(tmp_path: Path):
    label = "x" * 64
    assert (await needs.resolved(label))[1] == "it is not a host name"
    assert (await needs.resolved("localhost"))[1] == ""
    scene = Scene("web", "green", None, None, {"url": "http://127.0.0.1/", "host": "h"})
    smoke = [{"name": "version", "http": "http://{version}.shop.invalid/"}]
    assert "host: names" not in await look(tmp_path, scenes=(scene,), smoke=smoke)  # a version that nobody recorded


# --- programs ---


async def test_every_program_is_looked_at_and_none_is_run(tmp_path: Path):
    ran = tmp_path / "ran"
    run = [sys.executable, "-c", f"open({str(ran)!r}, 'w')"]
    more: dict[str, Any] = {
        "smoke": [{"name": "ticket", "command": [*run, "{url}"]}],
        "evidence": [{"name": "logs", "command": [*run, "{halt}", "{live}", "{switch}"]}],
        "digest": {"command": run},
        "flags": {"command": {"read": run, "write": [*run, "{flag}", "{value}"]}},
    }
    found = await look(tmp_path, **more)
    assert found["host: programs"] == Finding("host: programs", True, "5 programs can be run")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"gates": [{"name": "rate", "command": ["/no/such/rate"]}]}, "check rate: /no/such/rate does not exist"),
        ({"evidence": [{"name": "logs", "command": ["/etc/passwd"]}]}, "evidence logs: /etc/passwd may not be run"),
        ({"flags": {"command": {"read": ["true"], "write": ["no-such-flagger", "{flag}", "{value}"]}}},
         "flags.command.write: no-such-flagger does not exist"),
        ({"digest": {"command": ["true"], "variables": {"A": "${env:NO_SUCH_VARIABLE}"}}},
         "digest.command: ${env:NO_SUCH_VARIABLE}"),
    ],
)  # fmt: skip
async def test_a_program_that_cannot_be_run_is_told_with_where_it_is_configured(
    tmp_path: Path, more: dict[str, Any], told: str
):
    finding = (await look(tmp_path, **more))["host: programs"]
    assert (finding.ok, finding.acceptable) == (False, True)
    assert told in finding.summary
    assert finding.advice


async def test_without_programs_and_names_only_the_disk_and_whoever_is_told_are_looked_at(tmp_path: Path):
    assert list(await look(tmp_path)) == ["host: disk", "notifiers"]


# --- people ---


async def test_a_notifier_that_takes_connections_is_good_and_is_sent_nothing(tmp_path: Path, listening: int):
    told = notifier(webhook=f"http://127.0.0.1:{listening}/hook")
    finding = (await look(tmp_path, told))["notifier: pager"]
    assert (finding.ok, finding.summary) == (True, f"127.0.0.1:{listening} takes connections; nothing was sent")


async def test_notifiers_that_would_tell_nobody_are_found(
    tmp_path: Path, refusing: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SLACK_URL", f"http://127.0.0.1:{refusing}/T0/secret-path")
    monkeypatch.setenv("NO_URL", "http://[x")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"webhook": f"http://127.0.0.1:{refusing}/"}, f"127.0.0.1:{refusing}: Connection refused"),
        ({"webhook": "https://pager.invalid/"}, "pager.invalid:443: "),
        ({"slack": "${env:SLACK_URL}"}, f"127.0.0.1:{refusing}: Connection refused"),
        ({"slack": "${env:NO_SUCH_URL}"}, "${env:NO_SUCH_URL}"),
        ({"slack": "${env:NO_URL}"}, "what stands there is not a URL"),
        ({"webhook": "http://127.0.0.1:1/", "secret": "${file:/no/such/secret}"}, "${file:/no/such/secret}"),
        ({"command": ["/no/such/mailer"]}, "/no/such/mailer does not exist"),
    ]
    for fields, told in cases:
        finding = (await look(tmp_path, notifier(**fields)))["notifier: pager"]
        assert (finding.ok, finding.acceptable) == (False, True), fields
        assert finding.summary.startswith(told), finding
        assert "secret-path" not in finding.summary
        assert finding.advice


async def test_that_nobody_would_be_told_of_a_halt_is_said_and_holds_nothing_up(tmp_path: Path):
    finding = (await look(tmp_path))["notifiers"]
    assert (finding.ok, finding.proven) == (True, False)
    assert "nobody would be told of a halt" in finding.summary


async def test_only_notifiers_that_are_told_of_the_service_are_looked_at(tmp_path: Path):
    found = await look(tmp_path, notifier(command=["true"], services=["other"]))
    assert "notifier: pager" not in found
    assert (await look(tmp_path, notifier(command=["true"], services=["web"])))["notifier: pager"].ok


# --- the disk ---


def test_room_is_told_and_a_directory_that_is_not_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = needs.disk(tmp_path)
    assert good.ok
    assert f"MiB free at {tmp_path}" in good.summary
    gone = needs.disk(tmp_path / "gone")
    assert (gone.ok, gone.advice) == (False, "mend `state.directory`")
    monkeypatch.setattr(needs, "DISK_BYTES_MIN", 1 << 60)
    short = needs.disk(tmp_path)
    assert (short.ok, short.acceptable) == (False, True)
    assert f", wanted {1 << 40}" in short.summary


# --- gates ---


class Gate:
    """A gate that finds what it is told to; it keeps whom it was asked about."""

    name, every = "errors", 10.0

    def __init__(self, found: Finding) -> None:
        self.found, self.asked = found, [""]

    async def look(self, scene: Scene) -> Finding:
        self.asked.append(scene.environment)
        return self.found

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("found", "ok"),
    [
        (Finding("errors", True, "OK"), True),
        (Finding("errors", False, "alarm web-5xx is ALARM", detail={"state": "ALARM"}), True),
        (Finding("errors", False, "alarm web-5xx cannot be read", "grant it", detail={UNANSWERED: "yes"}), False),
    ],
)
async def test_a_gate_that_cannot_be_asked_is_found_and_one_that_complains_of_what_is_live_is_none(
    tmp_path: Path, found: Finding, ok: bool
):
    gate = Gate(found)
    looked = await ServiceNeeds(service_in(tmp_path), list, tmp_path, [gate]).look((GREEN, BLUE))
    seen = next(one for one in looked if one.check == "gates: asked")
    assert (seen.ok, gate.asked[-1]) == (ok, "blue"), seen
    assert ok or ("cannot be read" in seen.summary and seen.advice == "grant it" and seen.acceptable)
