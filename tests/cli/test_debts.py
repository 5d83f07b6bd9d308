"""`bluegreen debts`, and where else debts are shown."""

from __future__ import annotations

import pytest

from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply

DEBTS = "/v1/services/web/debts"
SCREEN = """\
DEBTS  what a failback left wrong on purpose
  UNREAD  advisory:CVE-2026-1  CVE-2026-1 (high) is open again on blue (closed by v2, tls is mended)
                               since 2026-11-23 09:08:00 UTC, by sw-8; nobody owns it
  no deployment before they are read: bluegreen debts web --acknowledge
"""


@pytest.fixture
def owing(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon with one debt."""
    daemon.say("GET", DEBTS, {"service": "web", "debts": [canned.debt()]})
    read = canned.debt(acknowledged=True, owner="ann")
    daemon.say("POST", DEBTS, Reply({"service": "web", "debts": [read]}, 202))
    daemon.say("GET", "/v1/services/web", canned.service(canned.switch("completed"), debts=[canned.debt()]))
    daemon.say("GET", "/v1/services", canned.services(canned.service(debts=[canned.debt()])))
    return daemon


def test_debts_are_told_with_what_to_do(owing: FakeDaemon, bluegreen: Bluegreen):
    assert bluegreen("debts", "web").out == SCREEN
    assert bluegreen("debts", "web", "--json").document["debts"] == [canned.debt()]


def test_what_nobody_knows_is_shown_as_such_and_asks_for_a_look_not_for_a_word(
    daemon: FakeDaemon, bluegreen: Bluegreen
):
    unknown = canned.debt("manifest:v2", what="nobody has said what v2 changed: look", verdict="unknown")
    daemon.say("GET", DEBTS, {"service": "web", "debts": [unknown]})
    daemon.say("GET", "/v1/services", canned.services(canned.service(debts=[unknown])))
    out = bluegreen("debts", "web").out
    assert "  ?       manifest:v2  nobody has said what v2 changed" in out
    assert "no deployment before" not in out
    assert 'bluegreen debts web --paid ID --reason "…"' in out


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--acknowledge"], {"acknowledge": []}),
        (["--acknowledge", "a", "b"], {"acknowledge": ["a", "b"]}),
        (["--own", "a", "--owner", "ann"], {"own": "a", "owner": "ann"}),
        (["--paid", "a", "--reason", "mended"], {"paid": "a", "reason": "mended"}),
    ],
)
def test_each_word_is_asked_for_and_the_new_state_shown(
    owing: FakeDaemon, bluegreen: Bluegreen, words: list[str], body: dict[str, object]
):
    ran = bluegreen("debts", "web", *words)
    assert (ran.code, owing.posts()[0].body) == (0, body)
    assert "read    advisory:CVE-2026-1" in ran.out
    assert "owner ann" in ran.out


@pytest.mark.parametrize(
    "words",
    [["--own", "a"], ["--owner", "ann"], ["--paid", "a"], ["a"], ["--acknowledge", "--paid", "a", "--reason", "r"]],
)
def test_half_a_word_asks_for_nothing(owing: FakeDaemon, bluegreen: Bluegreen, words: list[str]):
    assert (bluegreen("debts", "web", *words).code, owing.heard) == (2, [])


def test_without_debts_it_says_so(owing: FakeDaemon, bluegreen: Bluegreen):
    owing.say("GET", DEBTS, {"service": "web", "debts": []})
    assert bluegreen("debts", "web").out == "web: no failback left any debt\n"


def test_explain_and_status_show_them(owing: FakeDaemon, bluegreen: Bluegreen):
    assert "UNREAD  advisory:CVE-2026-1" in bluegreen("explain", "web").out
    assert "debts=1" in bluegreen("status", "web").out
