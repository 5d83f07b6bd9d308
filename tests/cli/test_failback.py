"""`bluegreen failback`: what it shows, what it asks, and that it moves nothing without a person's word."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bluegreen.cli.failback_screen import Asked, dialog, plan_lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import moment
from bluegreen.errors import BadRequest, Refused
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply, problem
from tests.cli.terminal import at_a_terminal

PLAN_SCREEN = """\
FAILBACK  web  green v2 (100%)  ->  blue v1 (0%)

SWITCH POINT  NOW                  AFTER
alb           blue 0%  green 100%  blue 100%  green 0%

CAN blue TAKE IT?
  !!  3 of 4 targets are healthy
  ok  ready, proven 09:09:38 UTC (22 s ago)
      kept warm since 09:05:00 UTC (5 min ago), protected until 13:05:00 UTC

WHAT IT RISKS
  unsafe   data:tax   v2 writes tax lines that v1 ignores
  unknown  drill      no failback was ever completed
  safe     schema:93  migration 93 only expands

ADVICE  roll forward rather than back: the schema or data has moved (data:tax)

PLAN  fb-1: blue goes to 100%, after it was proven.
      green is left as it is, for examination.
"""

SAID = ("--yes", "--acknowledge", "data:tax")


def _back(condition: str = "completed") -> canned.Document:
    made = canned.halted() if condition == "halted" else canned.switch(condition)
    return made | {"id": "sw-8", "kind": "failback", "source": "green", "candidate": "blue", "version": "v1"}


@pytest.fixture
def ready(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon that can fail back."""
    daemon.say("GET", "/v1/services/web/failback", canned.failback_plan())
    daemon.say("POST", "/v1/services/web/failback", Reply({"switch": _back("running")}, 202))
    daemon.say("GET", "/v1/switches/sw-8", _back())
    daemon.say("GET", "/v1/services/web", canned.service(_back(), green=0.0))
    return daemon


def test_the_plan_shows_where_traffic_is_and_goes_and_what_it_risks():
    assert "\n".join(plan_lines(canned.failback_plan(), moment(canned.NOW), Ink())) + "\n" == PLAN_SCREEN


def test_without_a_terminal_it_names_what_is_missing_and_asks_nobody(ready: FakeDaemon, bluegreen: Bluegreen):
    missing = {(): "--yes and --reason TEXT", ("--yes",): "missing --reason TEXT", ("--reason", "r"): "missing --yes"}
    for given, named in missing.items():
        ran = bluegreen("failback", "web", *given)
        assert (ran.code, ready.heard) == (2, [])
        assert named in ran.err


def test_with_yes_and_a_reason_it_moves_and_shows_before_and_after(ready: FakeDaemon, bluegreen: Bluegreen):
    ran = bluegreen("failback", "web", *SAID, "--reason", "5xx on pay")
    assert ran.code == 0
    assert ready.posts()[0].body == {
        "plan": "fb-1",
        "reason": "5xx on pay",
        "acknowledge": ["data:tax"],
        "confirm": "web",
    }
    assert ran.out.startswith(PLAN_SCREEN)
    assert ran.out.endswith(
        "SWITCH POINT  BEFORE               AFTER\n"
        "alb           blue 0%  green 100%  blue 100%  green 0%\n\n"
        "failback sw-8 of v1: completed by uid:0(root)\n"
    )


def test_yes_is_no_word_on_what_is_unsafe(ready: FakeDaemon, bluegreen: Bluegreen):
    for more in ((), ("--acknowledge", "drill")):
        ran = bluegreen("failback", "web", "--yes", "--reason", "r", *more)
        assert (ran.code, ready.posts()) == (3, [])
        assert "data:tax (v2 writes tax lines that v1 ignores)" in ran.err
        assert "--yes --acknowledge data:tax" in ran.err


def test_what_is_no_line_of_the_report_cannot_be_acknowledged(ready: FakeDaemon, bluegreen: Bluegreen):
    ran = bluegreen("failback", "web", *SAID, "--acknowledge", "data:text", "--reason", "r")
    assert (ran.code, ready.posts()) == (2, [])
    assert "not in this plan's report: data:text" in ran.err


def test_as_json_it_is_one_document(ready: FakeDaemon, bluegreen: Bluegreen):
    ran = bluegreen("failback", "web", *SAID, "--reason", "r", "--json")
    assert ran.document == _back()
    assert ran.err.startswith(PLAN_SCREEN)


def test_a_dry_run_moves_nothing_and_needs_no_word(ready: FakeDaemon, bluegreen: Bluegreen):
    assert bluegreen("failback", "web", "--dry-run").out.startswith(PLAN_SCREEN)
    assert bluegreen("failback", "web", "--dry-run", "--json").document == canned.failback_plan()
    assert ready.posts() == []


def test_another_plan_than_the_one_named_moves_nothing(ready: FakeDaemon, bluegreen: Bluegreen):
    ran = bluegreen("failback", "web", "--yes", "--reason", "r", "--plan", "fb-0")
    assert (ran.code, ready.posts()) == (3, [])
    assert "the plan is fb-1 now, not fb-0" in ran.err


def test_a_state_that_moves_meanwhile_is_refused(ready: FakeDaemon, bluegreen: Bluegreen):
    moved = problem("state-moved", 409, "plan fb-1 was made from another state", "look again")
    ready.say("POST", "/v1/services/web/failback", moved)
    ran = bluegreen("failback", "web", *SAID, "--reason", "r")
    assert ran.code == 3
    assert ran.err.endswith("error: plan fb-1 was made from another state\nlook again\n")


def test_where_there_is_no_way_back_it_says_why(ready: FakeDaemon, bluegreen: Bluegreen):
    ready.say("GET", "/v1/services/web/failback", canned.unlawful_failback())
    for arguments in (("--yes", "--reason", "r"), ("--dry-run",)):
        ran = bluegreen("failback", "web", *arguments)
        assert (ran.code, ran.out, ready.posts()) == (3, "", [])
        assert "no warm environment" in ran.err


def test_a_failback_that_halts_ends_with_4(ready: FakeDaemon, bluegreen: Bluegreen):
    ready.say("GET", "/v1/switches/sw-8", _back("halted"))
    ready.say("GET", "/v1/services/web", canned.service(_back("halted"), green=25.0))
    ran = bluegreen("failback", "web", *SAID, "--reason", "r")
    assert ran.code == 4
    assert "bluegreen explain web" in ran.out


# --- at a terminal ---


def test_at_a_terminal_it_asks_for_the_reason_and_the_services_name(ready: FakeDaemon):
    with at_a_terminal("failback", "web", "--socket", str(ready.path)) as terminal:
        terminal.expect("Why?")
        assert ready.posts() == []
        terminal.type("5xx on pay")
        terminal.expect("You have read that? Type data:tax")
        terminal.type("data:tax")
        terminal.expect("Type the service's name to move its traffic to blue:")
        assert ready.posts() == []
        terminal.type("web")
        assert terminal.end() == 0
    assert ready.posts()[0].body == {
        "plan": "fb-1",
        "reason": "5xx on pay",
        "acknowledge": ["data:tax"],
        "confirm": "web",
    }


def test_another_word_than_the_services_name_moves_nothing(ready: FakeDaemon):
    with at_a_terminal("failback", "web", "--reason", "r", "--socket", str(ready.path)) as terminal:
        terminal.expect("Type data:tax")
        terminal.type("data:tax")
        terminal.expect("Type the service's name")
        terminal.type("yes")
        assert terminal.end() == 2
    assert "'yes' is not 'web'; nothing was moved" in terminal.screen
    assert ready.posts() == []


def test_an_unsafe_line_that_is_not_acknowledged_moves_nothing(ready: FakeDaemon):
    with at_a_terminal("failback", "web", "--reason", "r", "--socket", str(ready.path)) as terminal:
        for typed in ("y", "yes", "tax"):
            terminal.expect("You have read that?")
            terminal.screen = ""
            terminal.type(typed)
        assert terminal.end() == 2
    assert "data:tax was not acknowledged; nothing was moved" in terminal.screen
    assert ready.posts() == []


def test_ctrl_c_at_the_question_moves_nothing(ready: FakeDaemon):
    with at_a_terminal("failback", "web", "--reason", "r", "--socket", str(ready.path)) as terminal:
        terminal.expect("Type data:tax")
        terminal.type("data:tax")
        terminal.expect("Type the service's name")
        terminal.interrupt()
        assert terminal.end() == 130
    assert ready.posts() == []


def test_ctrl_c_after_the_start_detaches(ready: FakeDaemon):
    ready.say("GET", "/v1/switches/sw-8", _back("running"))
    with at_a_terminal("failback", "web", "--reason", "r", *SAID, "--socket", str(ready.path)) as terminal:
        terminal.expect("shift 2 of 4")
        terminal.interrupt()
        assert terminal.end() == 130
    assert "detached; the failback goes on" in terminal.screen


def test_an_empty_reason_is_asked_for_again_but_not_for_ever():
    questions = dialog(canned.failback_plan(), Asked("web", "", yes=False, plan=None, dry_run=False))
    asked = [next(questions), questions.send("\n"), questions.send("  \n")]
    assert asked == [asked[0]] * 3
    with pytest.raises(BadRequest, match="needs a reason"):
        questions.send("\n")


# --- without a daemon ---


def test_without_daemon_and_configuration_it_says_what_it_needs(bluegreen: Bluegreen, tmp_path: Path):
    config = tmp_path / "bluegreen.yaml"
    ran = bluegreen("failback", "web", "--yes", "--reason", "r", "--config", str(config))
    assert ran.code == 7
    assert f"{config} cannot be read" in ran.err
    assert "--config FILE" in ran.err


def test_a_daemon_elsewhere_is_never_replaced_by_this_process(bluegreen: Bluegreen, unused_tcp_port: int):
    ran = bluegreen.bare("failback", "web", "--yes", "--reason", "r", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert ran.code == 7
    assert "this process does it" not in ran.err


def test_the_id_of_an_unsafe_line_can_be_copied_into_a_shell():
    line = {"id": "ready:front: weights", "verdict": "unsafe", "text": "shows 7%"}
    asked = Asked("web", "r", True, None, False)
    with pytest.raises(Refused) as refusal:
        next(dialog({"plan": "fb-1", "service": "web", "lines": [line]}, asked))
    assert shlex.split(refusal.value.advice.partition(": ")[2]) == ["--yes", "--acknowledge", line["id"]]
