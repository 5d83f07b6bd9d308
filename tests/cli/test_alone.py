"""A failback where no daemon answers, on the real journal of a real daemon that was killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.cards import make
from bluegreen.core.state import ServiceState
from tests.cli.conftest import Bluegreen
from tests.cli.terminal import at_a_terminal

pytestmark = pytest.mark.slow

SERVICE = """\
service: web
environments:
  blue: {url: "http://127.0.0.1:1"}
  green: {url: "http://127.0.0.1:2"}
switch_points:
  - kind: memory
deploy: {kind: command, run: ["true"]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    (tmp_path / "services/web.yaml").write_text(SERVICE)
    file = tmp_path / "bluegreen.yaml"
    file.write_text("state: {directory: state}\ncontrol: {socket: control.sock}\nservices: services/*.yaml\n")
    return file


@contextlib.contextmanager
def _serving(config: Path, bluegreen: Bluegreen) -> Iterator[None]:
    """A real daemon, killed at the end: nothing of it may be needed to go on."""
    process = subprocess.Popen([sys.executable, "-m", "bluegreen", "serve", "--config", str(config)])
    try:
        until = time.monotonic() + 120
        while bluegreen.bare("status", "--config", str(config)).code != 0:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def test_a_killed_daemon_does_not_keep_an_operator_from_failing_back(config: Path, bluegreen: Bluegreen):
    with _serving(config, bluegreen):
        ran = bluegreen.bare("deploy", "web", "v1", "--wait", "--timeout", "120s", "--config", str(config))
        assert ran.code == 0, ran.out + ran.err
    with at_a_terminal("failback", "web", "--config", str(config), "--no-color") as terminal:
        terminal.expect("this process does it, under the same lock, on the same journal")
        terminal.expect("Why?")
        terminal.type("5xx on pay")
        terminal.expect("Type the service's name")
        terminal.type("web")
        assert terminal.end() == 0, terminal.screen
    assert "memory        blue 0%  green 100%  blue 100%  green 0%" in terminal.screen.split("BEFORE")[1]
    with _serving(config, bluegreen):
        after = bluegreen.bare("status", "web", "--json", "--config", str(config)).document
    assert (after["live"], after["switch"]["kind"], after["switch"]["reason"]) == ("blue", "failback", "5xx on pay")


def test_a_card_that_cannot_be_used_is_a_mistake_of_the_call_and_moves_nothing(config: Path, bluegreen: Bluegreen):
    other, torn = config.parent / "shop.json", config.parent / "torn.json"
    other.write_text(make(ServiceState("shop"), "{}", (1, "hash"), datetime(2026, 1, 1, tzinfo=UTC)).text())
    torn.write_text(other.read_text()[:-30])
    cards = {
        config.parent / "nowhere.json": "cannot be read",
        torn: "cannot be read",
        other: "is the card of shop, not of web",
    }
    for card, why in cards.items():
        ran = bluegreen.bare(
            "failback", "web", "--yes", "--reason", "5xx", "--card", str(card), "--config", str(config)
        )
        assert (ran.code, why in ran.err) == (2, True), ran.err


def test_a_daemon_that_hangs_is_named_while_it_is_waited_for(config: Path, bluegreen: Bluegreen):
    at = ("--config", str(config))
    process = subprocess.Popen([sys.executable, "-m", "bluegreen", "serve", *at])
    try:
        until = time.monotonic() + 120
        while bluegreen.bare("status", *at).code != 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        ran = bluegreen.bare("status", "--json", *at)
        assert (ran.code, ran.out) == (7, "")
        assert f"(pid {process.pid}) has not answered for 2 s; waiting up to 10 s" in ran.err
        process.send_signal(signal.SIGCONT)
        assert "has not answered" not in bluegreen.bare("status", "web", *at).err
    finally:
        process.kill()
        process.wait()


def test_a_daemon_killed_in_mid_shift_leaves_a_way_back(config: Path, bluegreen: Bluegreen):
    (config.parent / "services/web.yaml").write_text(SERVICE + "shift: {steps: [25%, 100%], wait: approve}\n")
    at = ("--config", str(config))
    with _serving(config, bluegreen):
        assert bluegreen.bare("deploy", "web", "v1", "--wait", "--no-pause", "--timeout", "120s", *at).code == 5
    plan = bluegreen.bare("failback", "web", "--dry-run", "--json", *at).document
    assert plan["traffic"][0]["now"] == {"blue": 75.0, "green": 25.0}
    ran = bluegreen.bare("failback", "web", "--yes", "--reason", "5xx", "--plan", plan["plan"], "--json", *at)
    assert ran.code == 0, ran.err
    assert (ran.document["kind"], ran.document["condition"]) == ("failback", "halted")
    assert ran.document["halt"]["cause"] == "without_daemon"
    with _serving(config, bluegreen):
        told = bluegreen.bare("resume", "web", *at)
        assert told.code == 0, told.err
        until = time.monotonic() + 120
        while bluegreen.bare("status", "web", "--json", *at).document["switch"]["condition"] != "completed":
            assert time.monotonic() < until
        ended = bluegreen.bare("history", "web", "--json", *at).document["switches"]
    assert [one["condition"] for one in ended] == ["completed", "failed_back"]


def test_a_journal_that_a_daemon_holds_is_left_alone(config: Path, bluegreen: Bluegreen, tmp_path: Path):
    with _serving(config, bluegreen):
        elsewhere = ("--config", str(config), "--socket", str(tmp_path / "none.sock"))
        ran = bluegreen.bare("failback", "web", "--yes", "--reason", "r", *elsewhere)
        assert ran.code == 3
        assert "holds the journal" in ran.err
        assert "--socket" in ran.err


def test_a_daemon_that_hangs_is_taken_over_when_the_operator_says_so(config: Path, bluegreen: Bluegreen):
    at = ("--config", str(config))
    process = subprocess.Popen([sys.executable, "-m", "bluegreen", "serve", "--config", str(config)])
    try:
        until = time.monotonic() + 120
        while bluegreen.bare("status", *at).code != 0:
            assert time.monotonic() < until
        assert bluegreen.bare("deploy", "web", "v1", "--wait", "--timeout", "120s", *at).code == 0
        process.send_signal(signal.SIGSTOP)
        held = bluegreen.bare("failback", "web", "--yes", "--reason", "it hangs", *at)
        assert held.code == 3
        assert f"process {process.pid} holds the journal" in held.err
        assert "--take-over" in held.err
        with at_a_terminal("failback", "web", "--reason", "it hangs", "--take-over", *at, "--no-color") as terminal:
            terminal.expect(f"Type {process.pid} to end it")
            terminal.type(str(process.pid))
            terminal.expect("Type the service's name")
            terminal.type("web")
            assert terminal.end() == 0, terminal.screen
        assert process.wait(timeout=90) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    with _serving(config, bluegreen):
        assert bluegreen.bare("status", "web", "--json", *at).document["live"] == "blue"


def test_a_daemon_that_lives_is_not_ended_without_its_number(config: Path, bluegreen: Bluegreen, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(config.read_text().replace("control.sock", "another.sock"))
    with _serving(config, bluegreen):
        with at_a_terminal("failback", "web", "--take-over", "--config", str(elsewhere), "--no-color") as terminal:
            terminal.expect("to end it")
            terminal.type("no")
            assert terminal.end() == 3, terminal.screen
        assert bluegreen.bare("status", "--config", str(config)).code == 0
