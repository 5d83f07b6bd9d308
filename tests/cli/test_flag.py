"""`bluegreen flag`: what is shown before and after, and an exit code for each outcome."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply, problem

THEN = {"of": "web-1", "at": "2026-11-23T09:00:00.000Z", "flags": 2, "error": ""}
LIMIT = {"flag": "limit", "now": "5", "at_deploy": "5", "changed": False}
SEARCH = {"flag": "search", "now": "on", "at_deploy": "off", "changed": True}
FLAGS = ("GET", "/v1/services/web/flags")
SEARCH_PATH = ("POST", "/v1/services/web/flags/search")


def act(outcome: str = "set", detail: str = "") -> dict[str, Any]:
    return {"flag": "search", "value": "off", "before": "on", "by": "uid:1000(ann)", "at": canned.NOW,
            "reason": "orders fail", "outcome": outcome, "detail": detail}  # fmt: skip


def on_record(**more: Any) -> dict[str, Any]:
    return {"place": "the console", "writable": True, "at_deploy": THEN, "at_halt": None, "latest": THEN, "changed": [],
            "changed_unknown": "", "setting": [], "acts": [], **more}  # fmt: skip


def listed(*flags: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"service": "web", "place": "the console", "writable": True, "error": "", "flags": list(flags),
            "at_deploy": THEN, "record": on_record(), **more}  # fmt: skip


def after(**more: Any) -> dict[str, Any]:
    return canned.service(flags=on_record(**more))


def test_a_list_has_a_line_for_each_flag_and_says_what_changed(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(LIMIT, SEARCH))
    ran = bluegreen("flag", "web")
    assert ran.code == 0
    assert ran.out == "flag=limit now=5 at_deploy=5 changed=no\nflag=search now=on at_deploy=off changed=yes\n"
    assert bluegreen("flag", "web", "search").out == "flag=search now=on at_deploy=off changed=yes\n"
    ran = bluegreen("flag", "web", "serch")
    assert ran.code == 2
    assert "web has no flag 'serch'" in ran.err
    assert "known flags: limit, search" in ran.err


def test_json_is_the_documents_own(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(LIMIT, SEARCH))
    assert bluegreen("flag", "web", "--json").document == listed(LIMIT, SEARCH)


def test_flags_that_cannot_be_read_are_an_error_and_no_empty_list(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(error="no route to the console"))
    ran = bluegreen("flag", "web")
    assert (ran.code, ran.out) == (1, "")
    assert "the flags cannot be read: no route to the console" in ran.err


def test_setting_says_what_it_does_and_what_became_of_it(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(LIMIT, SEARCH))
    changed = [{"flag": "limit", "before": "4", "after": "5"}]
    daemon.say(*SEARCH_PATH, Reply(after(acts=[act()], changed=changed), 202))
    ran = bluegreen("flag", "web", "search", "off", "--reason", "orders fail", "--halt", "h-1")
    assert ran.code == 0
    assert ran.err == (
        "search goes from on to off for everybody that its provider serves; no traffic moves, and a halt stays a halt\n"
    )
    assert daemon.posts()[0].body == {"value": "off", "expected": "on", "reason": "orders fail", "halt": "h-1"}
    assert ran.out.startswith("search on -> off: set; asked for by uid:1000(ann)")
    assert "limit 4 -> 5 since the deployment began" in ran.out


def test_the_outcome_is_waited_for(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(SEARCH))
    daemon.say(*SEARCH_PATH, Reply(after(setting=[act("under way")]), 202))
    daemon.say("GET", "/v1/services/web", after(setting=[act("under way")]), after(acts=[act("not set", "refused")]))
    ran = bluegreen("flag", "web", "search", "off", "--reason", "orders fail")
    assert ran.code == 1
    assert "search on -> off: not set (refused)" in ran.out


def test_an_outcome_that_nobody_knows_exits_with_8(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(SEARCH))
    daemon.say(*SEARCH_PATH, Reply(after(setting=[act("unknown", "no answer")], changed_unknown="search?"), 202))
    ran = bluegreen("flag", "web", "search", "off", "--reason", "orders fail")
    assert ran.code == 8
    assert "search on -> off: UNKNOWN (no answer)" in ran.out
    assert "what changed is unknown: search?" in ran.out
    assert "whether it was set is not known yet; it is looked up: bluegreen flag web" in ran.err


def test_a_value_needs_a_reason_before_anything_is_asked_of_the_provider(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say(*FLAGS, listed(SEARCH))
    ran = bluegreen("flag", "web", "search", "off")
    assert ran.code == 2
    assert "setting a flag needs a reason" in ran.err
    assert daemon.posts() == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (problem("refused", 409, "search cannot be set from here", "set it there: the console"), 3),
        (problem("state-moved", 409, "search is off now, not on"), 3),
        (problem("not-found", 404, "web has no flag 'search'"), 2),
    ],
)
def test_a_refusal_is_shown_with_its_code(daemon: FakeDaemon, bluegreen: Bluegreen, reply: Reply, code: int):
    daemon.say(*FLAGS, listed(SEARCH))
    daemon.say(*SEARCH_PATH, reply)
    ran = bluegreen("flag", "web", "search", "off", "--reason", "orders fail")
    assert ran.code == code
    assert str(reply.document["detail"]) in ran.err


def test_explain_says_what_changed_what_is_unknown_and_which_artifact_runs(daemon: FakeDaemon, bluegreen: Bluegreen):
    changed = [{"flag": f"flag-{number:02}", "before": None, "after": "on"} for number in range(15)]
    document = canned.service(flags=on_record(changed=changed, setting=[act("unknown", "no answer")]))
    told = {"runs": "sha256:b", "given": "sha256:a", "same": False, "at": canned.NOW, "targets": "1 of 3 was asked",
            "summary": "green runs sha256:b, not sha256:a which was given at deploy"}  # fmt: skip
    document["environments"]["green"]["artifact"] = told
    daemon.say("GET", "/v1/services/web", document)
    out = " ".join(bluegreen("explain", "web").out.split())
    for words in (
        "FLAGS flag-00 (none) -> on since the deployment began",
        "and 3 more: bluegreen flag web",
        "FLAG search on -> off: UNKNOWN (no answer); asked for by uid:1000(ann)",
        "artifact green runs sha256:b, not sha256:a which was given at deploy (asked",
        "1 of 3 was asked)",
    ):
        assert words.lower() in out.lower(), words
    daemon.say("GET", "/v1/services/web", canned.service(flags=on_record(changed_unknown="they were not read")))
    assert "FLAGS what changed is unknown: they were not read" in " ".join(bluegreen("explain", "web").out.split())
