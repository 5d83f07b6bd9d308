"""The verbs that change something: deploy, and the answers to a switch."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bluegreen.cli.client import Client, UnixDoor
from bluegreen.cli.follow import SILENCE, Silence
from bluegreen.cli.screen import Screen
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import LOST, FakeDaemon, Reply, problem
from tests.cli.terminal import at_a_terminal

SIMPLE = ("approve", "pause", "resume", "promote", "abort", "adopt")


# --- answers ---


@pytest.mark.parametrize("verb", SIMPLE)
def test_a_verb_asks_the_daemon_and_shows_the_new_state(daemon: FakeDaemon, bluegreen: Bluegreen, verb: str):
    after = canned.service(canned.switch(), green=25.0)
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=25.0))
    daemon.say("POST", f"/v1/services/web/{verb}", Reply(after, 202))
    ran = bluegreen(verb, "web", "--reason", "mended", "--halt", "h-0")
    assert (ran.code, ran.out.split()[1]) == (0, "state=shift")
    assert daemon.posts()[0].body == {"reason": "mended", "halt": "h-0"}, "a halt that was named is the one meant"
    assert len(daemon.posts()[0].headers["Idempotency-Key"]) >= 16
    assert bluegreen(verb, "web", "--json").document == after
    assert daemon.posts()[1].body == {"halt": "h-1"}, "without one it answers the halt that it has shown"


def test_a_verb_answers_no_halt_where_none_is_open(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.switch(), green=25.0))
    daemon.say("POST", "/v1/services/web/pause", Reply(canned.service(canned.switch("paused"), green=25.0), 202))
    assert bluegreen("pause", "web").code == 0
    assert daemon.posts()[0].body == {}


def test_a_release_may_name_which_warm_environment_it_means(daemon: FakeDaemon, bluegreen: Bluegreen):
    after = canned.service(canned.switch(), green=25.0)
    daemon.say("GET", "/v1/services/web", after)
    daemon.say("POST", "/v1/services/web/release", Reply(after, 202))
    assert bluegreen("release", "web", "--environment", "blue", "--reason", "done").code == 0
    assert daemon.posts()[0].body == {"environment": "blue", "reason": "done"}


def test_a_verb_says_first_what_it_will_do_to_the_traffic(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=25.0))
    daemon.say("POST", "/v1/services/web/resume", Reply(canned.service(canned.switch(), green=25.0), 202))
    ran = bluegreen("resume", "web")
    assert ran.err == (
        "resume web, the answer to h-1: effect on traffic: none at first: shift runs again; then green goes\n"
        "  to 50%, 100%\n"
        "  takes: unknown: no earlier run\n"
        "  risk: none\n"
    )


def test_halt_and_accept_need_a_reason(daemon: FakeDaemon, bluegreen: Bluegreen):
    for arguments in (("halt", "web"), ("accept", "web", "errors")):
        ran = bluegreen(*arguments)
        assert (ran.code, daemon.heard) == (2, [])
        assert "--reason" in ran.err


def test_accept_names_the_check(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=25.0))
    daemon.say("POST", "/v1/services/web/accept", Reply(canned.service(canned.switch(), green=25.0), 202))
    assert bluegreen("accept", "web", "errors", "--reason", "known flake").code == 0
    assert daemon.posts()[0].body == {"check": "errors", "reason": "known flake", "halt": "h-1"}


def test_halt_stops_the_line(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.switch(), green=25.0))
    daemon.say("POST", "/v1/services/web/halt", Reply(canned.service(canned.halted(), green=25.0), 202))
    ran = bluegreen("halt", "web", "--reason", "support calls")
    assert (ran.code, daemon.posts()[0].body) == (0, {"reason": "support calls"})
    assert "halt=h-1" in ran.out


def test_a_refusal_says_why_and_what_is_lawful(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service())
    refusal = problem(
        "refused", 409, "web: no switch is under way", "there is nothing to resume", options=[canned.option("failback")]
    )
    daemon.say("POST", "/v1/services/web/resume", refusal)
    ran = bluegreen("resume", "web")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines()[-3:] == [
        "error: web: no switch is under way",
        "there is nothing to resume",
        "lawful now: bluegreen failback web",
    ]
    as_json = bluegreen("resume", "web", "--json")
    assert (as_json.code, as_json.out) == (3, "")
    assert json.loads(as_json.err.splitlines()[-1]) == refusal.document


def test_an_answer_that_is_lost_is_asked_for_once_more_with_the_same_key(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service())
    daemon.say("POST", "/v1/services/web/release", LOST, Reply(canned.service(), 202))
    assert bluegreen("release", "web").code == 0
    first, second = daemon.posts()
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body


def test_an_answer_that_is_lost_twice_is_an_unknown_outcome(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service())
    daemon.say("POST", "/v1/services/web/release", LOST)
    ran = bluegreen("release", "web")
    assert (ran.code, len(daemon.posts())) == (8, 2)
    assert "read before you do anything" in ran.err


# --- deploy ---


def _deployment(daemon: FakeDaemon, *states: canned.Document) -> None:
    daemon.say("POST", "/v1/services/web/deployments", Reply({"switch": canned.switch()}, 202))
    daemon.say("GET", "/v1/switches/sw-7", *states)
    last = states[-1] if states else None
    daemon.say("GET", "/v1/services/web", canned.service(last, green=25.0))


def test_a_roll_forward_answers_the_halt_that_it_has_shown(daemon: FakeDaemon, bluegreen: Bluegreen):
    forward = canned.option("deploy", "none until VERSION is in green", label="roll forward", risk="green is lost")
    _deployment(daemon)
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=0.0, options=[forward]))
    ran = bluegreen("deploy", "web", "v3")
    assert daemon.posts()[0].body == {"version": "v3", "halt": "h-1"}
    assert ran.err.startswith("deploy web, the answer to h-1: effect on traffic: none until v3 is in green\n")
    assert "risk: green is lost" in ran.err


def test_deploy_starts_and_says_what_it_started(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    _deployment(daemon)
    changes = tmp_path / "changes.yaml"
    changes.write_text("- {kind: schema, id: 0093, summary: a column more, phase: expand}\n")
    ran = bluegreen(
        "deploy", "web", "v2", "--artifact", "sha256:ab", "--changes", str(changes), "--replace-warm", "--reason", "why"
    )  # fmt: skip
    assert ran.code == 0
    assert ran.out == (
        "service=web switch=sw-7 kind=deployment version=v2 source=blue candidate=green condition=running\n"
    )
    assert daemon.posts()[0].body == {
        "version": "v2",
        "artifact": "sha256:ab",
        "reason": "why",
        "replace_warm": True,
        "changes": [
            {
                "kind": "schema",
                "id": "0093",
                "summary": "a column more",
                "backward_compatible": "unknown",
                "phase": "expand",
            }
        ],
    }


@pytest.mark.parametrize("verb", ["deploy", "approve", "promote", "release"])
def test_a_freeze_is_overridden_by_exactly_the_verbs_that_one_may_hold_up(
    daemon: FakeDaemon, bluegreen: Bluegreen, verb: str
):
    _deployment(daemon)
    daemon.say("POST", f"/v1/services/web/{verb}", Reply(canned.service(), 202))
    words = [verb, "web", *(["v2"] if verb == "deploy" else []), "--override-freeze", "--reason", "CVE-2026-1"]
    assert bluegreen(*words).code == 0
    body = daemon.posts()[0].body or {}
    assert (body["override_freeze"], body["reason"]) == (True, "CVE-2026-1")


def test_deploy_as_json_prints_the_answer(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon)
    assert bluegreen("deploy", "web", "v2", "--json").document == {"switch": canned.switch()}
    assert daemon.posts()[0].body == {"version": "v2"}


def test_an_empty_manifest_is_not_the_same_as_none(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    _deployment(daemon)
    (tmp_path / "changes.yaml").write_text("[]\n")
    assert bluegreen("deploy", "web", "v2", "--changes", str(tmp_path / "changes.yaml")).code == 0
    assert daemon.posts()[0].body == {"version": "v2", "changes": []}


def test_every_fault_of_a_manifest_is_told_with_its_line(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    file = tmp_path / "changes.yaml"
    file.write_text(
        "- {kind: schma, id: x, summary: s}\n- {kind: data, id: y}\n- {kind: job, id: z, summary: s, at: 1}\n"
    )
    ran = bluegreen("deploy", "web", "v2", "--changes", str(file))
    assert (ran.code, daemon.heard) == (2, [])
    for told in (
        f"{file}:1: changes[0].kind: unknown value schma; wanted schema, data,",
        f"{file}:2: changes[1].summary: missing",
        f"{file}:3: changes[2].at: unknown key; wanted one of kind, id,",
    ):
        assert told in ran.err


def test_a_broken_change_manifest_starts_nothing(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    for name, text in (("broken.yaml", "a: [1\n"), ("none.yaml", None)):
        if text:
            (tmp_path / name).write_text(text)
        ran = bluegreen("deploy", "web", "v2", "--changes", str(tmp_path / name))
        assert (ran.code, daemon.heard) == (2, [])
        assert name in ran.err


@pytest.mark.parametrize(
    ("condition", "code"), [("completed", 0), ("aborted", 1), ("failed_back", 1), ("superseded", 1)]
)
def test_wait_ends_as_the_deployment_ends(daemon: FakeDaemon, bluegreen: Bluegreen, condition: str, code: int):
    _deployment(daemon, canned.switch(condition))
    ran = bluegreen("deploy", "web", "v2", "--wait")
    assert ran.code == code
    assert ran.out.splitlines()[1:] == [
        "2026-11-23 09:01:00 UTC    done  deploy  exit 0 after 4.1 s",
        "2026-11-23 09:04:00 UTC    done  alb: green 25%",
        "2026-11-23 09:06:00 UTC  running  shift 2 of 4: 25%  green 25%",
        f"2026-11-23 09:06:00 UTC  {condition.replace('_', ' ')}",
        f"deployment sw-7 of v2: {condition.replace('_', ' ')} by uid:0(root)",
    ]


def test_wait_ends_with_4_at_a_halt_and_says_which_ways_there_are(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon, canned.halted())
    ran = bluegreen("deploy", "web", "v2", "--wait")
    assert ran.code == 4
    assert "HALTED  web  h-1: gate errors failed at green 25%" in ran.out
    assert 'bluegreen failback web --reason "…"' in ran.out
    assert "bluegreen explain web" in ran.out


def test_wait_as_json_is_the_last_document_and_progress_goes_to_stderr(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon, canned.switch("completed"))
    ran = bluegreen("deploy", "web", "v2", "--wait", "--json")
    assert ran.document == canned.switch("completed")
    assert "running  shift 2 of 4" in ran.err


def test_wait_goes_on_at_an_approval_and_names_the_command(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon, canned.switch("paused"), canned.switch("completed"))
    ran = bluegreen("deploy", "web", "v2", "--wait")
    assert ran.code == 0
    assert "an approval is awaited: bluegreen approve web" in ran.out


def test_no_pause_ends_with_5_at_an_approval(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon, canned.switch("paused"))
    ran = bluegreen("deploy", "web", "v2", "--wait", "--no-pause")
    assert (ran.code, ran.err.splitlines()[-1]) == (5, "an approval is awaited: bluegreen approve web")


def test_timeout_ends_with_124_and_leaves_the_switch_alone(daemon: FakeDaemon, bluegreen: Bluegreen):
    _deployment(daemon, canned.switch())
    ran = bluegreen("deploy", "web", "v2", "--wait", "--timeout", "50ms")
    assert (ran.code, len(daemon.posts())) == (124, 1)
    assert "the switch goes on" in ran.err


def test_options_of_waiting_are_refused_without_it(daemon: FakeDaemon, bluegreen: Bluegreen):
    for option in (["--no-pause"], ["--timeout", "5s"], ["--wait", "--timeout", "soon"]):
        assert bluegreen("deploy", "web", "v2", *option).code == 2
    assert daemon.heard == []


def test_ctrl_c_detaches_and_leaves_the_switch_alone(daemon: FakeDaemon):
    _deployment(daemon, canned.switch())
    with at_a_terminal("deploy", "web", "v2", "--wait", "--socket", str(daemon.path)) as terminal:
        terminal.expect("shift 2 of 4")
        terminal.interrupt()
        assert terminal.end() == 130
    assert "detached; the switch goes on" in terminal.screen
    assert len(daemon.posts()) == 1


@pytest.mark.slow
def test_a_daemon_that_restarts_meanwhile_loses_no_progress(daemon: FakeDaemon, bluegreen: Bluegreen):
    starting = problem("store", 503, "the journal is being read")
    _deployment(daemon)
    daemon.say("GET", "/v1/switches/sw-7", LOST, starting, Reply(canned.switch("completed")))
    ran = bluegreen("deploy", "web", "v2", "--wait")
    assert ran.code == 0
    assert ran.err.count("asking again until it answers") == 1
    assert "the daemon answers again" in ran.err


def test_a_long_silence_is_told_with_advice_once(bluegreen: Bluegreen, capsys: pytest.CaptureFixture[str]):
    client = Client(UnixDoor(str(bluegreen.socket)))
    silence = Silence(Screen.here(as_json=False, no_color=True), since=time.monotonic() - SILENCE - 1)
    assert silence.ask(client, canned.switch()) == silence.ask(client, canned.switch()) == canned.switch()
    assert capsys.readouterr().err.count("no answer for 30 s: is it running?") == 1
