"""`ready`: whether a failback is possible now, every proof with its age, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen.cli.ready import view
from bluegreen.cli.screen import Ink
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, problem

NOW = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)


def proof(check: str, summary: str = "as it should be", age: float = 12.0, **more: Any) -> canned.Document:
    at = "2026-11-23T09:09:48.000Z"
    made = {"check": check, "ok": True, "fresh": True, "summary": summary, "advice": "", "proven_at": at}
    return made | {"age_seconds": age, "valid_seconds": 60.0} | more


def document(*proofs: canned.Document, **more: Any) -> canned.Document:
    made: canned.Document = {
        "service": "web", "as_of": canned.NOW, "environment": "blue", "version": "v1", "ready": True, "lawful": True,
        "reasons": [], "proven_at": "2026-11-23T09:09:48.000Z", "lost_since": None,
        "proofs": list(proofs or (proof("alb: weights"), proof("orders", age=22.0))),
    }  # fmt: skip
    return made | more


BAD = document(
    proof("alb: weights"),
    proof("orders", "status 500, wanted 200", ok=False, advice="look at the orders of blue"),
    proof("tax", age=180.0, fresh=False),
    ready=False, reasons=["orders: status 500, wanted 200", "tax: last proven 180 s ago"],
    lost_since="2026-11-23T09:06:00.000Z",
)  # fmt: skip
NONE = document(ready=False, lawful=False, environment=None, version=None, proven_at=None) | {
    "proofs": [], "reasons": ["web has no warm environment to fail back to; deploy the version you want"],
}  # fmt: skip


@pytest.mark.parametrize(("found", "code"), [(document(), 0), (BAD, 3), (NONE, 3)])
def test_its_exit_code_says_whether_a_failback_is_possible(
    daemon: FakeDaemon, bluegreen: Bluegreen, found: canned.Document, code: int
):
    daemon.say("GET", "/v1/services/web/ready", found)
    assert bluegreen("ready", "web").code == code
    ran = bluegreen("ready", "web", "--json")
    assert (ran.code, ran.document, ran.err) == (code, found, "")


def test_what_nobody_could_be_asked_is_shown_as_that_with_what_to_do():
    unsure = proof("alb: permission", "ModifyListener is not proven", proven=False, advice="allow the simulation")
    lines = view(document(proof("alb: weights"), unsure), NOW, Ink(False))
    at = next(at for at, text in enumerate(lines) if "alb: permission" in text)
    assert lines[at].split()[:2] == ["?", "alb:"]
    assert lines[at + 1].strip() == "allow the simulation"


def test_in_a_pipe_it_is_one_line(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/web/ready", BAD)
    assert bluegreen("ready", "web").out == (
        "service=web ready=no environment=blue version=v1 proven_at=2026-11-23T09:09:48.000Z failed=orders old=tax "
        "lawful=yes\n"
    )


def test_an_unknown_service_is_told_as_everywhere(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services/wbe/ready", problem("not-found", 404, "no service 'wbe'", "known services: web"))
    ran = bluegreen("ready", "wbe")
    assert ran.code == 2
    assert "known services: web" in ran.err


def test_what_holds_is_shown_with_its_age_and_the_command():
    told = view(document(), NOW, Ink())
    assert told[0] == "web  READY  a failback to blue (v1) is possible now"
    assert "  ok      alb: weights  12 s ago  as it should be" in told
    assert "  ok      orders        22 s ago  as it should be" in told
    assert told[-1] == '  bluegreen failback web --reason "…"'


def test_what_does_not_hold_comes_first_with_what_to_do_and_no_command_is_offered():
    told = view(BAD, NOW, Ink())
    assert told[0] == "web  NOT READY  a failback to blue (v1) is not possible now, by what was proven"
    assert told[1] == "LOST  on record since 09:06:00 UTC (4 min ago)"
    failed = next(at for at, line in enumerate(told) if "FAILED" in line)
    assert told[failed] == "  FAILED  orders        12 s ago   status 500, wanted 200"
    assert told[failed + 1] == "          look at the orders of blue"
    assert "OLD     tax           3 min ago" in told[failed + 2]
    assert "before it moves anything" in " ".join(told)
    assert not any("bluegreen failback" in line for line in told)


def test_where_there_is_nothing_to_go_back_to_it_says_why():
    told = view(NONE, NOW, Ink())
    assert told[0] == "web  NOT READY  there is no environment to fail back to"
    assert "web has no warm environment to fail back to" in told[1]


def test_a_foreign_text_gives_the_terminal_no_orders():
    told = view(document(proof("orders", "\x1b[2Jgone", ok=False), ready=False), NOW, Ink())
    assert not any("\x1b" in line for line in told)
