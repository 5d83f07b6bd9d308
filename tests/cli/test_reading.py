"""The verbs that read: status, watch, plan, explain, history, events."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bluegreen.cli import explain, service_lines
from bluegreen.cli.findings import finding_lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import moment
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import LOST, FakeDaemon, Reply, problem
from tests.cli.terminal import at_a_terminal

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)


# --- status ---


def test_status_in_a_pipe_is_one_plain_line_a_service(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", canned.services(canned.service(canned.halted(), green=25.0), canned.service()))
    ran = bluegreen("status")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "service=web state=halted live=blue asked=blue:75,green:25 shown=blue:75,green:25 release=v1 switch=sw-7 "
        'kind=deployment condition=halted step="shift 2 of 4: 25%" awaiting=operator halt=h-1',
        "service=web state=steady live=green asked=blue:0,green:100 shown=blue:0,green:100 release=v2 warm=blue:ready",
    ]


@pytest.mark.parametrize("arguments", [("status",), ("status", "web")])
def test_json_is_the_documents_own_and_nothing_else(daemon: FakeDaemon, bluegreen: Bluegreen, arguments):
    documents = {"/v1/services": canned.services(canned.service()), "/v1/services/web": canned.service()}
    for path, document in documents.items():
        daemon.say("GET", path, document)
    ran = bluegreen(*arguments, "--json")
    assert ran.document == documents["/v1/services/web" if "web" in arguments else "/v1/services"]
    assert ran.err == ""


def test_drift_and_unknown_are_never_shown_as_steady():
    drift = {"switch_point": "alb", "expected": {"blue": 100.0}, "shown": {"blue": 50.0}, "since": canned.NOW}
    drifted, unknown = canned.service(drift=[drift]), canned.service(unknown=["alb"])
    lost = canned.service(live=None, live_unknown="alb gives it to nobody")
    assert [service_lines.state_word(one) for one in (drifted, unknown, lost)] == ["DRIFT", "UNKNOWN", "UNKNOWN"]
    assert any("alb shows blue 50%" in line for line in service_lines.screen(drifted, NOW, Ink()))
    assert any("alb gives it to nobody" in line for line in service_lines.screen(lost, NOW, Ink()))
    assert "drift=alb" in service_lines.script_line(drifted)
    assert "live=?" in service_lines.script_line(lost)


def test_a_freeze_is_said_with_what_it_holds_up_and_until_when():
    one = {"name": "year-end", "why": "the busiest weeks", "actions": ["deploy", "promote"],
           "since": "2026-11-23T09:00:00.000Z", "until": "2026-11-23T11:10:00.000Z"}  # fmt: skip
    coming = {**one, "name": "night", "why": "", "actions": ["deploy"], "since": "2026-11-23T21:10:00.000Z"}
    service = canned.service(freeze={"active": [one], "next": coming})
    assert " frozen=year-end" in service_lines.script_line(service)
    now = moment(canned.NOW)
    for shown in (service_lines.screen(service, now, Ink(False)), service_lines.table([service], now, Ink(False))):
        told = " ".join(" ".join(shown).split())
        assert "web: year-end (the busiest weeks), in force until 11:10:00 UTC (in 2 h): deploy, promote" in told
        assert "web: night, ahead, from 21:10:00 UTC (in 12 h): deploy; never a failback" in told


def test_what_ails_the_journal_is_said_on_every_screen():
    full = canned.service(journal={"summary": "the disk of /var is full", "advice": "make room"})
    told = "JOURNAL  the disk of /var is full: make room"
    assert told in service_lines.screen(full, NOW, Ink())
    assert service_lines.table([full, full], NOW, Ink()).count(told) == 1, "all services have one journal"
    assert "journal=ailing" in service_lines.script_line(full)


def test_status_at_a_terminal_says_who_is_awaited(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services", canned.services(canned.service(canned.halted(), green=25.0)))
    with at_a_terminal("status", "--no-color", "--socket", str(daemon.path)) as terminal:
        assert terminal.end() == 0
    shown = terminal.screen.splitlines()
    assert shown[0] == "bluegreen 0.1.0  pid 4711  up 3 h  09:10:00 UTC  1 of 1 service(s) wait for a person"
    assert shown[3] == "web      HALTED  blue 75%  green 25%  as asked, 2 s ago  v1       -     4 min"
    assert shown[-1] == "     see: bluegreen explain web"


def test_colours_are_for_terminals_that_want_them(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services/web", canned.service(canned.switch(), green=25.0))
    arguments = ("status", "web", "--socket", str(daemon.path))
    with at_a_terminal(*arguments) as coloured, at_a_terminal(*arguments, NO_COLOR="1") as plain:
        coloured.end()
        plain.end()
    assert "\x1b[" in coloured.screen
    assert "\x1b[" not in plain.screen
    assert "ENVIRONMENT  ROLE       TRAFFIC  RELEASE  HEALTHY  SINCE" in plain.screen


# --- watch ---


@pytest.mark.slow
def test_watch_in_a_pipe_prints_a_line_for_each_change_only(daemon: FakeDaemon, bluegreen: Bluegreen):
    first, last = canned.service(canned.switch(), green=25.0), canned.service()
    older = first | {"as_of": "2026-11-23T09:10:01.000Z"}
    daemon.say("GET", "/v1/services/web", first, older, last)
    ran = bluegreen("watch", "web", "--count", "3")
    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines()] == ["state=shift", "state=steady"]


def test_watch_as_json_prints_changed_documents_a_line_each(daemon: FakeDaemon, bluegreen: Bluegreen):
    first = canned.service(canned.switch(), green=25.0)
    later = canned.service(canned.switch(watched_seconds=9.0), green=25.0, as_of="2026-11-23T09:10:01.000Z")
    daemon.say("GET", "/v1/services/web", first, later)
    assert bluegreen("watch", "web", "--count", "2", "--json").document == first


@pytest.mark.slow
def test_watch_goes_on_when_the_daemon_is_away_for_a_while(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", Reply(canned.service()), LOST, Reply(canned.service(canned.switch())))
    ran = bluegreen("watch", "web", "--count", "3")
    assert (ran.code, len(ran.out.splitlines())) == (0, 2)
    assert "asking again" in ran.err


def test_watch_ends_with_124_when_its_time_is_up(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", canned.services(canned.service()))
    assert bluegreen("watch", "--timeout", "10ms").code == 124


@pytest.mark.slow
def test_watch_redraws_until_ctrl_c(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services/web", canned.service(), canned.service(canned.switch(), green=25.0))
    with at_a_terminal("watch", "web", "--socket", str(daemon.path)) as terminal:
        terminal.expect("shift 2 of 4")
        terminal.interrupt()
        assert terminal.end() == 130


# --- plan ---


def test_plan_shows_steps_and_findings_and_changes_nothing(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web/plan", canned.deployment_plan())
    ran = bluegreen("plan", "web", "v2", "--artifact", "sha256:ab")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "service=web version=v2 lawful=yes source=blue candidate=green",
        'step=deploy what="v2 is brought to green"',
        'step=shift what="green 100% at alb"',
        'check=balancer ok=yes summary="alb answers"',
    ]
    assert daemon.heard[0].query == {"version": "v2", "artifact": "sha256:ab"}
    assert daemon.posts() == []


def test_a_plan_tells_scripts_what_is_not_proven(daemon: FakeDaemon, bluegreen: Bluegreen):
    unsure = [dict(canned.deployment_plan()["findings"][0], ok=True, detail={"unproven": "yes"})]
    daemon.say("GET", "/v1/services/web/plan", canned.deployment_plan(findings=unsure))
    assert "ok=yes proven=no" in bluegreen("plan", "web", "v2").out


def test_a_plan_that_would_not_pass_exits_with_3(daemon: FakeDaemon, bluegreen: Bluegreen):
    failing = [dict(canned.deployment_plan()["findings"][0], ok=False)]
    refused = canned.deployment_plan(
        lawful=False, why_not="one switch at a time", candidate=None, steps=[], findings=[]
    )
    daemon.say("GET", "/v1/services/web/plan", canned.deployment_plan(findings=failing), refused)
    assert bluegreen("plan", "web", "v2").code == 3
    ran = bluegreen("plan", "web", "v2", "--json")
    assert (ran.code, ran.document) == (3, refused)


def test_plan_at_a_terminal(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services/web/plan", canned.deployment_plan())
    with at_a_terminal("plan", "web", "v2", "--no-color", "--socket", str(daemon.path)) as terminal:
        assert terminal.end() == 0
    assert terminal.screen == (
        "PLAN  web  v2  blue -> green\n\n"
        "  1  deploy  v2 is brought to green\n"
        "  2  shift   green 100% at alb\n\n"
        "WHAT HOLDS NOW\n"
        "  ok      balancer  alb answers\n\n"
        "Nothing was changed. To do it: bluegreen deploy web v2\n"
    )


# --- explain ---

HALT_SCREEN = """\
HALTED  web  h-1: gate failed in shift  09:06:00 UTC (4 min ago)  by daemon

WHAT HAPPENED
  deployment sw-7 of v2 to green, at shift 2 of 4: 25%.
  gate errors failed at green 25%: 5.2 % of the answers were errors, allowed are 1 %
  look at the release; when it is mended: resume. Or fail back.
  FAILED  errors   5.2 % of the answers were errors
                   look at the error log of green
  ok      latency  p99 is 80 ms
  in hand   nobody: bluegreen claim web
  output:
    | line one
    | line two?[31m

WHAT IS DONE
  done      deploy          09:01:00 UTC  exit 0 after 4.1 s
            to undo: BY HAND: ask dba
  done      alb: green 25%  09:04:00 UTC
            to undo: one write moves it back to blue: bluegreen failback web
  FAILED    shift           09:06:00 UTC  gate errors
  not done  alb: green 50%

WHERE TRAFFIC IS
  SWITCH POINT  ASKED                ON THE BALANCER
  alb           blue 75%  green 25%  blue 75%  green 25%  as asked, read 2 s ago
  Everything stays as it is until a person decides, however long that takes.

YOUR OPTIONS
  failback  traffic MOVES  blue goes to 100%, green to 0%
            takes          unknown: no earlier run
            risk           none
            type           bluegreen failback web --reason "…"
  resume    traffic stays  none at first: shift runs again; then green goes to 50%, 100%
            takes          unknown: no earlier run
            risk           none
            type           bluegreen resume web

NOT POSSIBLE NOW
  approve  web: no approval is awaited
  abort    green has 25% of the traffic: ending the switch would not move it
           instead: to move it back: bluegreen failback web
"""


def test_explain_at_a_halt_says_all_that_a_person_needs(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=25.0))
    ran = bluegreen("explain", "web")
    assert (ran.code, ran.out) == (0, HALT_SCREEN)


def test_explain_tells_at_once_what_another_hand_has_changed_since_a_halt(daemon: FakeDaemon, bluegreen: Bluegreen):
    drift = {"switch_point": "alb", "expected": {"blue": 75.0}, "shown": {"blue": 50.0}, "since": canned.NOW}
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted(), green=25.0, drift=[drift]))
    happened = bluegreen("explain", "web").out.partition("WHAT IS DONE")[0]
    assert "DRIFT  another hand has changed alb: it shows blue 50%, not blue 75%; seen" in happened


def test_at_a_halt_by_a_drift_only_what_changed_afterwards_is_told_apart():
    def happened(since: str) -> str:
        switch = canned.halted()
        switch["halt"]["cause"] = "drift"
        drift = {"switch_point": "alb", "expected": {"blue": 75.0}, "shown": {"blue": 50.0}, "since": since}
        told = explain.lines(canned.service(switch, green=25.0, drift=[drift]), switch, Ink())
        return "\n".join(told).partition("WHAT IS DONE")[0]

    at = canned.halted()["halt"]["at"]
    assert "another hand" not in happened(at)
    assert "another hand has changed alb" in happened(canned.NOW)


def test_an_advice_that_stands_above_is_not_told_again_nor_that_explain_is_the_place_to_look():
    switch = canned.halted()
    switch["halt"]["advice"] = switch["halt"]["findings"][1]["advice"]
    refused = canned.option("accept", why_not="no", instead="mend it; acceptable: none; see `bluegreen explain web`")
    told = explain.lines(canned.service(switch, green=25.0, options=[refused]), switch, Ink())
    assert "\n".join(told).count("look at the error log of green") == 1
    assert any(line.endswith("instead: mend it") for line in told)


def test_explain_tells_the_beginning_of_what_a_failed_check_was_answered():
    switch = canned.halted()
    switch["halt"]["findings"][0]["detail"] = {"body": "fine"}
    switch["halt"]["findings"][1]["detail"] = {"body": '{"error":\n  "column total does not exist"}' + "x" * 500}
    told = " ".join(" ".join(explain.lines(canned.service(switch, green=25.0), switch, Ink())).split())
    assert 'answered: {"error": "column total does not exist"}' in told
    assert "…" in told
    assert "fine" not in told


def test_what_a_failed_command_has_printed_is_told_where_its_summary_does_not_say_so():
    finding = {"check": "basket", "ok": False, "summary": "ended with 3: empty", "detail": {"output": "empty\n"}}
    assert "printed" not in " ".join(finding_lines([finding], Ink(), answers=True))
    finding["detail"] = {"output": "basket 7\nempty\n"}
    assert any("printed: basket 7 empty" in line for line in finding_lines([finding], Ink(), answers=True))
    assert not any("printed" in line for line in finding_lines([finding], Ink()))


def test_explain_without_a_halt_says_why_and_what_is_lawful(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.switch("completed")))
    shown = bluegreen("explain", "web").out
    assert shown.startswith(
        "web  steady  green is live with v2\nswitch  deployment sw-7 of v2, blue -> green: completed\n"
    )
    assert "blue: ready for a failback, proven 09:09:38 UTC (22 s ago)" in shown
    assert "YOUR OPTIONS\n  failback  traffic MOVES  blue goes to 100%" in shown


def test_explain_fits_on_100_columns_whatever_the_texts():
    long = "many words " * 60
    switch = canned.halted()
    switch["halt"].update(summary=long, advice=long)
    switch["way"] = [canned.stage("deploy", "failed", long, undo="cannot", takes=long)]
    service = canned.service(
        switch,
        green=25.0,
        options=[canned.option("abort", why_not=long, instead=long), canned.option("x", long, risk=long)],
    )
    assert max(map(len, explain.lines(service, switch, Ink()))) <= 100


def test_explain_of_a_past_switch_reads_that_switch(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service())
    daemon.say("GET", "/v1/switches/sw-3", canned.switch("aborted", id="sw-3"))
    daemon.say("GET", "/v1/switches/sw-4", canned.switch("aborted", id="sw-4", service="shop"))
    assert "deployment sw-3 of v2, blue -> green: aborted" in bluegreen("explain", "web", "sw-3").out
    assert bluegreen("explain", "web", "sw-3", "--json").document["id"] == "sw-3"
    other = bluegreen("explain", "web", "sw-4")
    assert (other.code, other.out) == (2, "")
    assert "sw-4 is a switch of shop" in other.err


def test_an_unknown_service_is_told_with_advice(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/wbe", problem("not-found", 404, "there is no service wbe", "known: web"))
    ran = bluegreen("explain", "wbe")
    assert (ran.code, ran.out, ran.err) == (2, "", "error: there is no service wbe\nknown: web\n")


# --- history and events ---


def test_history_is_a_line_a_switch(daemon: FakeDaemon, bluegreen: Bluegreen):
    page = {"switches": [canned.switch("completed"), canned.switch("failed_back", id="sw-6")]}
    daemon.say("GET", "/v1/services/web/history", page)
    assert bluegreen("history", "web", "--limit", "2").out.splitlines()[1] == (
        "switch=sw-6 kind=deployment version=v2 source=blue candidate=green condition=failed_back "
        'started_at=2026-11-23T09:00:00.000Z ended_at=2026-11-23T09:08:00.000Z by=uid:0(root) reason="ticket 12"'
    )
    assert daemon.heard[0].query == {"limit": "2"}
    assert bluegreen("history", "web", "--json").document == page


def test_history_at_a_terminal_is_a_table(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services/web/history", {"switches": [canned.switch("failed_back")]})
    with at_a_terminal("history", "web", "--no-color", "--socket", str(daemon.path)) as terminal:
        assert terminal.end() == 0
    assert terminal.screen.splitlines()[1] == (
        "sw-7    deployment  v2       blue -> green  failed back  09:00:00 UTC  8 min  uid:0(root)  ticket 12"
    )


def test_events_are_a_line_each(daemon: FakeDaemon, bluegreen: Bluegreen):
    page = {
        "events": [canned.event(4, "weights_set", data={"point": "alb", "split": {"blue": 75, "green": 25}})],
        "next": 4,
    }
    daemon.say("GET", "/v1/events", page)
    ran = bluegreen("events", "web", "--after", "3")
    assert ran.out == (
        "seq=4 at=2026-11-23T09:06:00.000Z service=web switch=sw-7 by=uid:0(root) kind=weights_set "
        'data="point=alb split=blue:75,green:25"\n'
    )
    assert daemon.heard[0].query == {"service": "web", "after": "3"}
    assert bluegreen("events", "--json").document == page


@pytest.mark.slow
def test_followed_events_go_on_after_a_lost_stream_without_a_gap(daemon: FakeDaemon):
    first = Reply(events=(canned.event(4), canned.event(5)))
    daemon.say("GET", "/v1/events", first, LOST, Reply(events=(canned.event(6),)))
    with at_a_terminal("events", "--follow", "--json", "--socket", str(daemon.path)) as terminal:
        terminal.expect('"seq": 6')
        terminal.interrupt()
        assert terminal.end() == 130
    told = [json.loads(line)["seq"] for line in terminal.screen.splitlines() if line.startswith("{")]
    assert told == [4, 5, 6]
    assert [one.headers.get("Last-Event-ID") for one in daemon.heard[:3]] == [None, "5", "5"]
    assert "asking again" in terminal.screen


def test_a_follow_that_never_began_is_an_error(bluegreen: Bluegreen):
    assert bluegreen("events", "--follow").code == 7
