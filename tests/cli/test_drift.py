"""`restore` and `leave`: before and after are shown, exactly that is answered, and the outcome is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply, problem


def drift(**more: Any) -> dict[str, Any]:
    return {
        "id": "d1",
        "switch_point": "alb",
        "expected": {"blue": 0.0, "green": 100.0},
        "shown": {"blue": 30.0, "green": 70.0},
        "what": "",
        "since": "2026-11-23T09:09:00.000Z",
        "last_good": "2026-11-23T09:08:45.000Z",
        "hands": [],
        "left": None,
        "refused": "",
        **more,
    }


LEFT = {"by": "uid:1000(ann)", "at": "2026-11-23T09:09:30.000Z", "reason": "a test of ours"}
ORDER = {"by": "uid:1000(ann)", "at": canned.NOW, "reason": "slip", "pending": ["alb"], "writing": "alb", "unknown": []}


def drifted(*drifts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return canned.service(drift=list(drifts), **more)


def test_restore_shows_before_and_after_waits_for_the_outcome_and_says_it(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", drifted(drift()), drifted(drift(), restore=ORDER), drifted())
    daemon.say("POST", "/v1/services/web/restore", Reply(drifted(drift(), restore=ORDER), 202))
    ran = bluegreen("restore", "web", "--reason", "slip")
    assert ran.code == 0
    assert ran.err == "alb shows blue 30%  green 70%; to be written: blue 0%  green 100%\n"
    assert daemon.posts()[0].body == {"reason": "slip", "drift": ["d1"]}
    assert "state=steady" in ran.out


def test_a_restore_that_was_refused_at_a_point_says_why_and_exits_with_1(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", drifted(drift()))
    daemon.say("POST", "/v1/services/web/restore", Reply(drifted(drift(refused="0 of 3 are healthy")), 202))
    ran = bluegreen("restore", "web", "--reason", "slip")
    assert ran.code == 1
    assert "alb was not restored: 0 of 3 are healthy" in ran.err


def test_a_restore_whose_outcome_is_unknown_exits_with_8(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", drifted(drift()))
    unknown = drifted(drift(), restore={**ORDER, "pending": [], "unknown": ["alb"]}, unknown=["alb"])
    daemon.say("POST", "/v1/services/web/restore", Reply(unknown, 202))
    ran = bluegreen("restore", "web", "--reason", "slip")
    assert ran.code == 8
    assert "whether it was written is not known at alb" in ran.err


def test_leave_names_what_stays_and_ends_the_alarm(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", drifted(drift()))
    daemon.say("POST", "/v1/services/web/leave", Reply(drifted(drift(left=LEFT)), 202))
    ran = bluegreen("leave", "web", "--reason", "a test of ours", "--halt", "h-1")
    assert ran.code == 0
    assert "it stays so" in ran.err
    assert daemon.posts()[0].body == {"reason": "a test of ours", "drift": ["d1"], "halt": "h-1"}
    assert "state=steady" in ran.out
    assert "left=alb" in ran.out


@pytest.mark.parametrize("verb", ["restore", "leave"])
def test_an_answer_needs_a_reason_and_a_moved_state_is_refused(daemon: FakeDaemon, bluegreen: Bluegreen, verb: str):
    assert bluegreen(verb, "web").code == 2
    assert daemon.heard == []
    daemon.say("GET", "/v1/services/web", drifted(drift()))
    daemon.say("POST", f"/v1/services/web/{verb}", problem("state-moved", 409, "no longer what you were shown"))
    ran = bluegreen(verb, "web", "--reason", "slip")
    assert ran.code == 3
    assert "no longer what you were shown" in ran.err


def test_only_what_nobody_has_left_is_meant_unless_all_is_left(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web", drifted(drift(left=LEFT), drift(id="d2", switch_point="nlb")))
    daemon.say("POST", "/v1/services/web/restore", Reply(drifted(drift(left=LEFT)), 202))
    assert bluegreen("restore", "web", "--reason", "slip").code == 0
    assert daemon.posts()[0].body == {"reason": "slip", "drift": ["d2"]}


def test_explain_says_before_after_when_who_and_what_was_said(daemon: FakeDaemon, bluegreen: Bluegreen):
    ann = {"who": "arn:aws:iam::1:user/ann", "what": "ModifyListener from 198.51.100.7", "at": canned.NOW}
    nobody = {"who": "", "what": "not allowed", "at": None}
    told = drifted(
        drift(hands=[ann, nobody], refused="0 of 3 are healthy"),
        drift(id="d2", switch_point="nlb", left=LEFT, what="the listener is gone", shown=None),
        restore=ORDER,
        unknown=["alb"],
    )
    daemon.say("GET", "/v1/services/web", told)
    out = " ".join(bluegreen("explain", "web").out.split())
    for words in (
        "DRIFT alb shows blue 30% green 70%; the journal says blue 0% green 100%; since",
        "(last as it should be",
        "changed by arn:aws:iam::1:user/ann: ModifyListener from 198.51.100.7",
        "who did it: not allowed",
        "not restored: 0 of 3 are healthy",
        "LEFT nlb the listener is gone",
        "left as it is by uid:1000(ann)",
        "a test of ours",
        "RESTORE alb: being restored, as uid:1000(ann) ordered",
        "UNKNOWN a write to alb was sent",
    ):
        assert words in out, words
