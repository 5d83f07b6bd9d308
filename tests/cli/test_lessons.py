"""`lessons` and `guard`, and the question after an answer: what is asked of the daemon, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluegreen.cli.guard import yaml_lines
from bluegreen.cli.lessons import lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import moment
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply, problem
from tests.cli.terminal import at_a_terminal

LESSONS, GUARDS = "/v1/services/web/lessons", "/v1/services/web/guards"
SEEN = "seen 3 times, last 2026-11-02; resume helped twice after 12 min (median); last note: 'mock' by ann"


def lesson(**more: Any) -> dict[str, Any]:
    return {
        "fingerprint": "smoke/orders/check_failed",
        "id": "a1b2c3d4",
        "times": 3,
        "last": "2026-11-02T09:00:00.000Z",
        "text": SEEN,
        "answers": [],
        "last_note": None,
        "phase": "smoke",
        "checks": ["orders"],
        "cause": "check_failed",
        "first_at": "2026-10-02T09:00:00.000Z",
        "last_at": "2026-11-02T09:00:00.000Z",
        "state": "open",
        "guards": [],
        "closed": None,
        "flag": "",
        "halts": [{"halt": "sw-3-h1", "at": "2026-11-02T09:00:00.000Z", "answer": "resume"}],
        **more,
    }


def document(*found: dict[str, Any], recurring: int = 1, missing: int = 0) -> dict[str, Any]:
    one = {"halt": "sw-3-h1", "fingerprint": "smoke/orders/check_failed", "at": canned.NOW, "answer": "resume"}
    missed = [one] * missing
    return {"service": "web", "lessons": list(found), "recurring": recurring, "without_cause": missed, "classes": []}


def guard(**more: Any) -> dict[str, Any]:
    return {
        "name": "orders-dns",
        "kind": "http",
        "check": {"name": "orders-dns", "http": "{url}/o", "timeout": "3s", "headers": {"X": "${env:TOKEN}"}},
        "lesson": "smoke/orders/check_failed",
        "shadow": True,
        "in_file": False,
        "by": "uid:0(root)",
        "at": "2026-11-23T09:00:00.000Z",
        "reason": "",
        "enforced_by": "",
        "enforced_at": None,
        "ran": 2,
        "would_have_failed": 1,
        "caught": 0,
        "last": "shadow: would have failed: refused",
        **more,
    }


def guards(*found: dict[str, Any], configured: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"service": "web", "guards": list(found), "configured": list(configured), "warnings": []}


# --- lessons ---


def test_lessons_lists_each_kind_of_halt_on_a_line_for_a_script(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", LESSONS, document(lesson()))
    ran = bluegreen("lessons", "web")
    assert ran.code == 0
    assert ran.out == (
        "service=web lesson=a1b2c3d4 fingerprint=smoke/orders/check_failed times=3 state=open "
        f'last=2026-11-02T09:00:00.000Z text="{SEEN}"\n'
    )
    assert bluegreen("lessons", "web", "--json").document == document(lesson())


def test_lessons_without_a_service_are_those_of_all(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", canned.services(canned.service()))
    daemon.say("GET", LESSONS, document(lesson()))
    assert "lesson=a1b2c3d4" in bluegreen("lessons").out
    assert bluegreen("lessons", "--json").document == {"services": [document(lesson())]}


def test_the_screen_says_what_comes_again_what_to_do_and_what_nobody_has_explained():
    closed = lesson(state="closed", id="22222222", closed={"reason": "a one-off", "guard": ""}, flag="it came again")
    kept = lesson(state="guarded", id="33333333", guards=[{"name": "orders-dns", "shadow": True}])
    told = "\n".join(lines(document(lesson(), closed, kept, missing=3), moment(canned.NOW), Ink()))
    assert told.startswith("web  3 kinds of halts, 1 recurring without a guard, 3 halts without a cause\n")
    recurring, others = told.split("THE OTHERS")
    assert "bluegreen guard add web NAME --kind … --lesson a1b2c3d4" in recurring
    assert SEEN.split(";")[0] in recurring
    assert "closed: a one-off" in others
    assert "AGAIN  it came again" in others
    assert "guarded by orders-dns (in shadow)" in others
    assert "guard add" not in others
    assert 'bluegreen lessons web resolve HALT --cause CLASS --note "…"' in others
    assert max(map(len, told.splitlines())) <= 100


def test_a_cause_is_told_to_the_daemon_with_its_note(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("POST", LESSONS, Reply(document(lesson()), 202))
    ran = bluegreen("lessons", "web", "resolve", "sw-3-h1", "--cause", "dependency", "--note", "mock was down")
    assert ran.code == 0
    assert "smoke/orders/check_failed" in ran.out
    assert daemon.posts()[0].body == {
        "lesson": "sw-3-h1", "act": "resolve", "cause": "dependency", "note": "mock was down"
    }  # fmt: skip
    assert bluegreen("lessons", "web", "close", "a1b2c3d4", "--reason", "a one-off").code == 0
    assert daemon.posts()[1].body == {"lesson": "a1b2c3d4", "act": "close", "reason": "a one-off"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["resolve", "x"], "needs --cause and --note"),
        (["resolve", "x", "--cause", "human", "--note", "n", "--reason", "r"], "--reason: not of `resolve`"),
        (["close", "x"], "--guard NAME, or --reason TEXT"),
        (["close"], "which lesson?"),
        (["--note", "n"], "these options go with"),
        (["forget", "x"], "forget"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(
    daemon: FakeDaemon, bluegreen: Bluegreen, arguments: list[str], told: str
):
    ran = bluegreen("lessons", "web", *arguments)
    assert ran.code == 2
    assert told in ran.err
    assert daemon.heard == []


# --- the past, at a halt ---


def test_explain_and_status_tell_of_halts_like_this_one(daemon: FakeDaemon, bluegreen: Bluegreen):
    halted = canned.halted()
    halted["halt"]["lessons"] = {
        "fingerprint": "shift/errors/gate_failed", "times": 3, "text": SEEN, "despite": "guard g did not catch it"
    }  # fmt: skip
    service = canned.service(halted, lessons={"recurring": 1, "without_cause": 3})
    daemon.say("GET", "/v1/services/web", service)
    told = bluegreen("explain", "web").out
    assert "SEEN    shift/errors/gate_failed  seen 3 times, last 2026-11-02" in told
    assert "AGAIN   guard g did not catch it" in told
    with at_a_terminal("--socket", str(daemon.path), "status", "web") as screen:
        screen.expect("1 recurring without a guard, 3 halts without a cause: bluegreen lessons web")
        assert screen.end() == 0


def test_a_first_halt_says_nothing_of_the_past(daemon: FakeDaemon, bluegreen: Bluegreen):
    halted = canned.halted()
    halted["halt"]["lessons"] = {"fingerprint": "x", "times": 0, "text": "not seen before", "despite": ""}
    daemon.say("GET", "/v1/services/web", canned.service(halted))
    assert "SEEN" not in bluegreen("explain", "web").out


# --- the cause, with the answer or after it ---


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["resume", "web"], "resume"),
        (["abort", "web"], "abort"),
        (["promote", "web"], "promote"),
        (["accept", "web", "errors", "--reason", "known"], "accept"),
    ],
)
def test_a_cause_goes_with_the_answer(
    daemon: FakeDaemon, bluegreen: Bluegreen, arguments: list[str], path: str
):  # fmt: skip
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted()))
    daemon.say("POST", f"/v1/services/web/{path}", Reply(canned.service(), 202))
    ran = bluegreen(*arguments, "--cause", "capacity", "--note", "too few")
    assert ran.code == 0
    body = daemon.posts()[0].body or {}
    assert (body["cause"], body["note"]) == ("capacity", "too few")
    assert len(daemon.posts()) == 1
    assert bluegreen(*arguments, "--cause", "bad-luck").code == 2


def test_without_a_terminal_nobody_is_asked(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted()))
    daemon.say("POST", "/v1/services/web/resume", Reply(canned.service(), 202))
    ran = bluegreen("resume", "web")
    assert ran.code == 0
    assert "come from" not in ran.err
    assert len(daemon.posts()) == 1


@pytest.mark.slow
def test_at_a_terminal_the_cause_is_asked_after_the_act_and_enter_skips(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services/web", canned.service(canned.halted()))
    daemon.say("POST", "/v1/services/web/resume", Reply(canned.service(), 202))
    daemon.say("POST", LESSONS, problem("not-written", 503, "the disk is full"), Reply(document(lesson()), 202))
    with at_a_terminal("--socket", str(daemon.path), "resume", "web") as screen:
        screen.expect("number or word: ")
        assert [one.path for one in daemon.posts()] == ["/v1/services/web/resume"], "the act comes first"
        screen.type("")
        assert screen.end() == 0
        assert "later: bluegreen lessons web resolve h-1" in screen.screen
    assert len(daemon.posts()) == 1
    for answer, told in (("2", "the cause was not recorded"), ("depend", "recorded: dependency, mock")):
        with at_a_terminal("--socket", str(daemon.path), "resume", "web") as screen:
            screen.expect("number or word: ")
            screen.type(answer)
            screen.expect("in a line: ")
            screen.type("mock")
            assert screen.end() == 0
            assert told in screen.screen
    assert daemon.posts()[-1].body == {"lesson": "h-1", "cause": "dependency", "note": "mock"}


# --- guards ---


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        (["--kind", "http", "{url}/o", "--set", "timeout=3s", "--set", "expect.status=204"],
         {"http": "{url}/o", "timeout": "3s", "expect": {"status": 204}}),
        (["--kind", "tcp", "db:5432", "--set", "attempts=3"], {"tcp": "db:5432", "attempts": 3}),
        (["--kind", "command", "--", "./look.sh", "-x", "a=b"], {"command": ["./look.sh", "-x", "a=b"]}),
        (["--kind", "prometheus", "url=http://p", "query=up{a=1}", "min=1"],
         {"prometheus": {"url": "http://p", "query": "up{a=1}", "min": 1}}),
        (["--kind", "http", "http://h/?a=b", "--set", "headers.Authorization=Bearer ${env:T}"],
         {"http": "http://h/?a=b", "headers": {"Authorization": "Bearer ${env:T}"}}),
        (["--kind", "targets", "2"], {"targets": 2}),
        (["--kind", "dns", "db.example.com"], {"dns": "db.example.com"}),
        (["--kind", "tls-expiry", "h:443", "--set", "left=21d"], {"tls_expiry": "h:443", "left": "21d"}),
        (["--kind", "credential-lifetime", "2h"], {"credential_lifetime": "2h"}),
        (["--kind", "disk", "/var", "--set", "free=5G"], {"disk": "/var", "free": "5G"}),
        (["--kind", "aws-permission", "ecs:X", "--set", "resource=arn:a"],
         {"aws_permission": "ecs:X", "resource": "arn:a"}),
    ],
)  # fmt: skip
def test_a_guard_is_told_in_words_as_a_check_of_the_file(
    daemon: FakeDaemon, bluegreen: Bluegreen, arguments: list[str], check: dict[str, Any]
):
    daemon.say("POST", GUARDS, Reply(guards(guard()), 202))
    ran = bluegreen("guard", "add", "web", "orders-dns", "--lesson", "a1b2c3d4", *arguments)
    assert ran.code == 0, ran.err
    assert daemon.posts()[0].body == {"act": "add", "name": "orders-dns", "check": check, "lesson": "a1b2c3d4"}
    assert "state=shadow" in ran.out
    assert "bluegreen guard enforce web orders-dns" in ran.err


def test_a_guard_may_come_from_a_file(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    daemon.say("POST", GUARDS, Reply(guards(guard()) | {"warnings": ["headers.X: /x cannot be looked at"]}, 202))
    file = tmp_path / "check.yaml"
    file.write_text("name: other\nhttp: http://h\nexpect: {json: {a.b: 1}}\n")
    ran = bluegreen("guard", "add", "web", "orders-dns", "--file", str(file))
    assert ran.code == 0
    assert (daemon.posts()[0].body or {})["check"] == {"http": "http://h", "expect": {"json": {"a.b": 1}}}
    assert "warning: headers.X: /x cannot be looked at" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--kind", "http"],
        ["--kind", "http", "a", "b"],
        ["--kind", "http", "a", "--file", "x"],
        ["--kind", "tcp", "a:1", "--set", "nonsense"],
        ["--kind", "tcp", "a:1", "--set", "tcp.x=1"],
        ["--file", "x", "value"],
    ],
)
def test_a_guard_that_cannot_be_meant_is_a_fault_of_use(
    daemon: FakeDaemon, bluegreen: Bluegreen, arguments: list[str]
):  # fmt: skip
    assert bluegreen("guard", "add", "web", "g", *arguments).code == 2
    assert daemon.heard == []


def test_list_and_show_say_how_a_guard_fared(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", GUARDS, guards(guard(), configured=("of-file",)))
    ran = bluegreen("guard", "list", "web")
    assert ran.out == (
        "service=web guard=orders-dns kind=http state=shadow ran=2 would_have_failed=1 caught=0 "
        "lesson=smoke/orders/check_failed\n"
    )
    told = bluegreen("guard", "show", "web", "orders-dns").out
    assert "looked at 2 preflights; in shadow it would have halted 1 of them; it halted 0" in told
    assert "bluegreen guard enforce web orders-dns" in told
    assert bluegreen("guard", "list", "web", "--json").document == guards(guard(), configured=("of-file",))
    nobody, of_file = bluegreen("guard", "show", "web", "nope"), bluegreen("guard", "show", "web", "of-file")
    assert (nobody.code, of_file.code) == (2, 2)
    assert "known: orders-dns" in nobody.err
    assert "stands in the file of web" in of_file.err
    with at_a_terminal("--socket", str(daemon.path), "guard", "list", "web") as screen:
        screen.expect("in the service's file: of-file")
        assert screen.end() == 0


def test_enforce_and_remove_ask_the_daemon_and_its_refusal_is_told(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("POST", GUARDS, problem("refused", 409, "guard orders-dns has not looked", "or --force with a reason"),
               Reply(guards(guard(shadow=False)), 202), Reply(guards(), 202))  # fmt: skip
    refused = bluegreen("guard", "enforce", "web", "orders-dns")
    assert refused.code == 3
    assert "--force" in refused.err
    done = bluegreen("guard", "enforce", "web", "orders-dns", "--force", "--reason", "sure")
    assert "state=enforcing" in done.out
    assert daemon.posts()[1].body == {"act": "enforce", "name": "orders-dns", "force": True, "reason": "sure"}
    assert bluegreen("guard", "remove", "web", "orders-dns").code == 2, "a reason is wanted"
    removed = bluegreen("guard", "remove", "web", "orders-dns", "--reason", "exported")
    assert removed.out == "guard orders-dns of web is removed\n"


def test_export_prints_what_goes_into_the_file_and_leaves_the_shadow_out(daemon: FakeDaemon, bluegreen: Bluegreen):
    import yaml

    daemon.say("GET", GUARDS, guards(guard(shadow=False), guard(name="later"), guard(name="there", in_file=True)))
    ran = bluegreen("guard", "export", "web")
    assert yaml.safe_load(ran.out) == {
        "guards": [{"name": "orders-dns", "http": "{url}/o", "timeout": "3s", "headers": {"X": "${env:TOKEN}"}}]
    }
    assert "# made of smoke/orders/check_failed" in ran.out
    assert "left out, in shadow: later" in ran.err
    named = bluegreen("guard", "export", "web", "later")
    assert yaml.safe_load(named.out)["guards"][0]["name"] == "later"
    assert bluegreen("guard", "export", "web", "--json").document["guards"][0]["http"] == "{url}/o"


def test_texts_of_any_kind_stay_what_they_are_in_the_exported_yaml():
    import yaml

    odd = {"name": "g", "http": 'a "b" \\ \n: # {x} ü 😀 yes', "expect": {"json": {"a.b": None, "c": [1, 2.5, True]}}}
    told = "\n".join(yaml_lines([guard(name="g", check=odd, lesson="")]))
    assert yaml.safe_load(told) == {"guards": [odd]}
    assert yaml.safe_load("\n".join(yaml_lines([]))) == {"guards": []}
    assert json.dumps(odd)
