"""`bluegreen token`: the token is made here, shown once, and never sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply

TOKENS = "/v1/tokens"
NOW = "2026-11-23T09:00:00.000Z"
MADE = {
    "name": "laptop", "from": "made", "by": "uid:0(root)", "at": NOW, "reason": "",
    "revoked_by": "", "revoked_at": None,
}  # fmt: skip
DOCUMENT = {"http": "127.0.0.1:8474", "error": "", "tokens": [MADE]}


def test_a_token_is_printed_once_and_only_its_digest_is_sent(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("POST", TOKENS, Reply(DOCUMENT, 202))
    told = bluegreen("token", "make", "laptop", "--reason", "the dashboard")
    token = told.out.strip()
    assert (told.code, len(token.split())) == (0, 1)
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert daemon.heard[-1].body == {"act": "make", "name": "laptop", "sha256": digest, "reason": "the dashboard"}
    assert token not in str(daemon.heard)


def test_a_token_in_a_file_is_for_its_owner_alone(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    daemon.say("POST", TOKENS, Reply(DOCUMENT, 202))
    told = bluegreen("token", "make", "laptop", "--output", str(tmp_path / "token"))
    token = (tmp_path / "token").read_text().strip()
    assert (told.code, (tmp_path / "token").stat().st_mode & 0o777) == (0, 0o600)
    assert token not in told.out + told.err
    assert bluegreen("token", "make", "laptop", "--output", str(tmp_path / "token")).code == 2


def test_a_refused_token_leaves_no_file(daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path):
    problem = {"type": "urn:bluegreen:not-permitted", "status": 403, "detail": "tokens are made by root"}
    daemon.say("POST", TOKENS, Reply(problem, 403))
    assert bluegreen("token", "make", "laptop", "--output", str(tmp_path / "token")).code == 6
    assert not (tmp_path / "token").exists()


def test_tokens_are_listed_and_revoked(daemon: FakeDaemon, bluegreen: Bluegreen):
    gone = {**MADE, "revoked_by": "uid:0(root)", "revoked_at": NOW}
    daemon.say("GET", TOKENS, DOCUMENT, {**DOCUMENT, "tokens": [gone]})
    assert bluegreen("token", "list", "--json").document == DOCUMENT
    assert "revoked" in bluegreen("token", "list").out
    daemon.say("POST", TOKENS, Reply({**DOCUMENT, "tokens": [gone]}, 202))
    assert bluegreen("token", "revoke", "laptop").code == 0
    assert daemon.heard[-1].body == {"act": "revoke", "name": "laptop"}
