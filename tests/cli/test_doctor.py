"""`doctor`: everything that a switch will need, what is not good first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.cli.doctor import view
from bluegreen.cli.screen import Ink
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon


def finding(check: str, summary: str = "as it should be", **more: Any) -> canned.Document:
    return {"check": check, "ok": True, "summary": summary, "advice": "", "acceptable": True, "detail": {}} | more


def section(about: str, *findings: canned.Document) -> canned.Document:
    return {"about": about, "ok": all(one["ok"] for one in findings), "findings": list(findings)}


BAD = finding("host: names", "db.invalid does not resolve", ok=False, advice="getent hosts db.invalid")
THIS_HOST = section("this host", finding("host: disk"))
WELL: canned.Document = {
    "service": "web", "as_of": canned.NOW, "ok": True, "seconds": 0.3,
    "sections": [section("balancers", finding("alb: reachable")), THIS_HOST],
}  # fmt: skip
ILL = WELL | {"ok": False, "sections": [*WELL["sections"], section("this host", BAD)]}
ALL: canned.Document = {
    "as_of": canned.NOW, "ok": False, "seconds": 1.0, "daemon": section("the daemon", finding("journal")),
    "services": [ILL],
}  # fmt: skip


@pytest.mark.parametrize(("found", "code"), [(WELL, 0), (ILL, 3)])
def test_its_exit_code_says_whether_all_of_it_is_good(
    daemon: FakeDaemon, bluegreen: Bluegreen, found: canned.Document, code: int
):
    daemon.say("GET", "/v1/services/web/doctor", found)
    ran = bluegreen("doctor", "web")
    assert ran.code == code
    assert 'service=web about=balancers check="alb: reachable" ok=yes summary="as it should be"' in ran.out
    assert json.loads(bluegreen("doctor", "web", "--json").out) == found
    assert {(heard.method, heard.path) for heard in daemon.heard} == {("GET", "/v1/services/web/doctor")}


def test_without_a_service_it_is_about_all_of_them(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/doctor", ALL)
    ran = bluegreen("doctor")
    assert ran.code == 3
    assert 'about="the daemon" check=journal ok=yes' in ran.out
    assert 'service=web about="this host" check="host: names" ok=no' in ran.out
    assert 'advice="getent hosts db.invalid"' in ran.out


def test_at_a_terminal_what_is_not_good_comes_first_with_what_to_do():
    lines = [line.strip() for line in view(ALL, Ink(False))]
    assert lines[0] == "the daemon  WELL"
    head = lines.index("web  1 OF 3 NOT GOOD")
    assert lines[head + 1 : head + 3] == [
        "FAILED  host: names  db.invalid does not resolve",
        "getent hosts db.invalid",
    ]
    assert "ok      host: disk  as it should be" in lines[head + 3 :]
    assert lines[-1] == "looked at within 1 s: mend what failed before you deploy: a preflight looks at it again"
