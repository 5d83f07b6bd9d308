"""The entry: global options, doors, errors, exit codes, completion, and that it starts without anything heavy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bluegreen.cli.client import Client, UnixDoor
from bluegreen.cli.main import VERBS
from bluegreen.cli.problems import AnswerLost
from bluegreen.cli.words import ago, clean, moment, pairs, span, until
from tests.cli import canned
from tests.cli.conftest import Bluegreen
from tests.cli.fake_daemon import FakeDaemon, Reply, problem, running

HEAVY = ("aiohttp", "boto3", "botocore", "pydantic", "yaml", "structlog", "rich", "prometheus_client", "asyncio")


# --- global options ---


def test_global_options_stand_before_and_after_the_verb(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", canned.services(canned.service()))
    door = ("--socket", str(daemon.path))
    before, after = bluegreen.bare("--json", *door, "status"), bluegreen.bare("status", *door, "--json")
    assert before.document == after.document == canned.services(canned.service())


def test_the_socket_comes_from_the_environment_or_the_configuration(
    daemon: FakeDaemon, bluegreen: Bluegreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    daemon.say("GET", "/v1/services", canned.services(canned.service()))
    config = tmp_path / "bluegreen.yaml"
    config.write_text("control:\n  socket: control.sock\nnonsense: 1\n")  # a fault elsewhere is no reason to be lost
    assert bluegreen.bare("status", "--config", str(config)).code == 0
    monkeypatch.setenv("BLUEGREEN_CONFIG", str(config))
    assert bluegreen.bare("status").code == 0
    monkeypatch.setenv("BLUEGREEN_SOCKET", str(tmp_path / "other.sock"))
    assert bluegreen.bare("status").code == 7
    assert bluegreen.bare("status", "--config", str(config)).code == 0
    assert bluegreen.bare("status", "--config", str(tmp_path / "none.yaml")).code == 2


def test_a_url_goes_with_a_token(bluegreen: Bluegreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        secret = tmp_path / "token"
        secret.write_text("s3cret\n")
        monkeypatch.setenv("BLUEGREEN_TOKEN", "from-env")
        for more in ([], ["--token-file", str(secret)]):
            process = subprocess.Popen(
                [sys.executable, "-m", "bluegreen", "status", "--url", url, *more],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536).decode())
                connection.sendall(b"HTTP/1.1 401 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            process.communicate(timeout=90)
            assert process.returncode == 6
    assert ["Bearer from-env" in heard[0], "Bearer s3cret" in heard[1]] == [True, True]


@pytest.mark.parametrize("url", ["https://x:1", "ftp://x", "localhost:80", "http://h:99999"])
def test_another_url_than_http_is_refused(bluegreen: Bluegreen, url: str):
    assert bluegreen.bare("status", "--url", url).code == 2


# --- errors ---


def test_no_daemon_is_told_with_advice(bluegreen: Bluegreen):
    ran = bluegreen("status")
    assert (ran.code, ran.out) == (7, "")
    assert ran.err.startswith("error: no daemon answers at ")
    assert "systemctl status bluegreen" in ran.err
    assert "bluegreen failback SERVICE" in ran.err
    assert json.loads(bluegreen("status", "--json").err)["type"] == "urn:bluegreen:unreachable"


def test_a_socket_that_is_not_ours_to_open_names_the_group(daemon: FakeDaemon, tmp_path: Path):
    tmp_path.chmod(0o000)  # root becomes nobody for this: nothing stops root
    code = (
        "import os, sys\n"
        "from bluegreen.cli import main, status\n"
        "os.geteuid() or os.setuid(65534)\n"
        f"sys.exit(main.main(['status', '--socket', {str(daemon.path)!r}]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    tmp_path.chmod(0o700)
    assert ran.returncode == 6, ran.stderr
    assert "group" in ran.stderr


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [
        ("refused", 409, 3),
        ("state-moved", 409, 3),
        ("not-permitted", 403, 6),
        ("not-found", 404, 2),
        ("bad-request", 422, 2),
        ("bad-configuration", 422, 2),
        ("unreachable", 503, 7),
        ("balancer", 502, 1),
        ("store", 503, 1),
        ("something-new", 500, 1),
        ("something-new", 403, 6),
    ],
)
def test_every_problem_has_its_exit_code(daemon: FakeDaemon, bluegreen: Bluegreen, slug: str, status: int, code: int):
    reply = problem(slug, status, "so it is", "do that", errors={"version": "is empty"})
    daemon.say("GET", "/v1/services", reply)
    ran = bluegreen("status")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: so it is\n")
    assert ran.err.endswith("do that\n")
    assert json.loads(bluegreen("status", "--json").err) == reply.document


def test_the_faults_of_a_request_are_told_field_by_field(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", problem("bad-request", 422, "not so", errors={"version": "is empty"}))
    assert "  version: is empty\n" in bluegreen("status").err


def test_control_characters_of_others_do_not_reach_the_terminal(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", problem("refused", 409, "bad\x1b]0;owned\x07 text"))
    assert "\x1b" not in bluegreen("status").err


def test_something_else_at_the_door_is_not_taken_for_the_daemon(daemon: FakeDaemon, bluegreen: Bluegreen):
    daemon.say("GET", "/v1/services", Reply({"message": "bad gateway"}, 502))
    ran = bluegreen("status")
    assert ran.code == 1
    assert "is this bluegreen's control endpoint?" in ran.err


def test_what_nobody_expected_is_short_and_traced_only_on_request(
    daemon: FakeDaemon, bluegreen: Bluegreen, monkeypatch: pytest.MonkeyPatch
):
    daemon.say("GET", "/v1/services", {"services": [{}], "as_of": canned.NOW})
    ran = bluegreen("status")
    assert (ran.code, len(ran.err.splitlines())) == (1, 2)
    assert "BLUEGREEN_DEBUG=1" in ran.err
    monkeypatch.setenv("BLUEGREEN_DEBUG", "1")
    assert "Traceback" in bluegreen("status").err


@pytest.mark.parametrize("arguments", [["no-such-verb"], ["status", "--no-such"], ["deploy", "web"], []])
def test_wrong_usage_exits_with_2(bluegreen: Bluegreen, arguments: list[str]):
    ran = bluegreen.bare(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "bluegreen" in ran.err


def test_a_reader_that_goes_away_is_no_error_of_ours(daemon: FakeDaemon):
    page = {"events": [canned.event(number) for number in range(3000)], "next": 3000}
    daemon.say("GET", "/v1/events", page)
    ran = subprocess.run(
        f"{sys.executable} -m bluegreen events --socket {daemon.path} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (len(ran.stdout.splitlines()), ran.stderr) == (1, "")


def test_a_daemon_that_never_answers_is_given_up_in_time(tmp_path: Path):
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        client = Client(UnixDoor(str(path)), deadline=0.05, grace=0.1)
        with pytest.raises(Exception, match="did not answer: the time is up"):
            client.get("services")
        with pytest.raises(AnswerLost):
            client.post("services", "web", "release", body={})


def test_a_request_is_not_repeated_where_it_never_went_out(tmp_path: Path):
    client = Client(UnixDoor(str(tmp_path / "none.sock")), deadline=0.05, grace=0.1)
    with pytest.raises(Exception, match="no daemon answers") as raised:
        client.post("services", "web", "release", body={})
    assert not isinstance(raised.value, AnswerLost)


def test_a_daemon_that_is_back_within_the_grace_gets_the_lost_request_again(tmp_path: Path):
    path = tmp_path / "control.sock"
    with running(path) as first:
        first.say("POST", "/v1/services/web/release", Reply(lost=True, first=path.unlink))
        client = Client(UnixDoor(str(path)), grace=10.0)

        # the socket is gone when the answer is lost; another daemon takes its place while the client asks again
        def come_back() -> None:
            while path.exists():
                time.sleep(0.01)
            with running(path, ("POST", "/v1/services/web/release", Reply({"revision": 2}, 202))):
                answered.wait(10.0)

        answered = threading.Event()
        thread = threading.Thread(target=come_back)
        thread.start()
        try:
            assert client.post("services", "web", "release", body={}) == {"revision": 2}
        finally:
            answered.set()
            thread.join()


# --- small verbs ---


def test_version_and_help_say_what_this_is(bluegreen: Bluegreen):
    assert bluegreen.bare("--version").out.startswith("bluegreen, version 0.")
    shown = bluegreen.bare("--help").out
    assert [verb for verb in VERBS if f"\n  {verb} " not in shown] == []


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(bluegreen: Bluegreen, verb: str):
    ran = bluegreen.bare(verb, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: bluegreen {verb}")
    assert "--json" in ran.out


def _write_config(directory: Path, service: str) -> Path:
    (directory / "services").mkdir()
    (directory / "services/web.yaml").write_text(service)
    file = directory / "bluegreen.yaml"
    file.write_text("state: {directory: state}\nservices: services/*.yaml\n")
    return file


GOOD = """\
service: web
environments:
  blue: {url: "http://127.0.0.1:1"}
  green: {url: "http://127.0.0.1:2"}
switch_points:
  - kind: memory
deploy: {kind: command, run: ["true"]}
"""


def test_check_config_sums_up_what_it_read(bluegreen: Bluegreen, tmp_path: Path):
    file = _write_config(tmp_path, GOOD)
    ran = bluegreen.bare("check-config", str(file))
    assert ran.code == 0
    assert "web: blue, green; switched at memory" in ran.out
    assert bluegreen.bare("check-config", "--config", str(file)).out == ran.out


def test_check_config_tells_every_fault_at_once(bluegreen: Bluegreen, tmp_path: Path):
    file = _write_config(tmp_path, GOOD.replace("kind: memory", "kind: abacus") + "bake: soon\n")
    ran = bluegreen.bare("check-config", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert "abacus" in ran.err
    assert "bake" in ran.err
    faults = bluegreen.bare("check-config", str(file), "--json")
    assert faults.code == 2
    assert {"file", "line", "path", "what", "severity"} == set(faults.document["faults"][0])


def test_schema_is_a_json_schema(bluegreen: Bluegreen):
    assert bluegreen.bare("schema").document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_serve_with_a_broken_configuration_exits_with_2(bluegreen: Bluegreen, tmp_path: Path):
    file = _write_config(tmp_path, "service: web\n")
    assert bluegreen.bare("serve", "--config", str(file)).code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(bluegreen: Bluegreen, shell: str):
    assert "_BLUEGREEN_COMPLETE" in bluegreen.bare("completion", shell).out


def test_services_are_completed_by_asking_the_daemon(daemon: FakeDaemon):
    daemon.say("GET", "/v1/services", canned.services(canned.service(), canned.service(service="shop")))
    words = {"COMP_WORDS": "bluegreen status w", "COMP_CWORD": "2", "_BLUEGREEN_COMPLETE": "bash_complete"}
    for path, expected in ((daemon.path, "plain,web"), (daemon.path.with_name("none.sock"), "")):
        ran = subprocess.run(
            [sys.executable, "-c", "from bluegreen.cli.main import main; main()"],
            env=os.environ | words | {"BLUEGREEN_SOCKET": str(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.stdout.strip(), ran.stderr) == (expected, "")


# --- start-up ---


@pytest.mark.parametrize("arguments", [["status"], ["explain", "web"], ["--help"], ["failback", "web", "--dry-run"]])
def test_nothing_heavy_is_imported(daemon: FakeDaemon, arguments: list[str]):
    daemon.say("GET", "/v1/services", canned.services(canned.service()))
    daemon.say("GET", "/v1/services/web", canned.service())
    daemon.say("GET", "/v1/services/web/failback", canned.failback_plan())
    code = (
        "import sys\n"
        "from bluegreen.cli.main import main\n"
        f"code = main({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    environment = os.environ | {"BLUEGREEN_SOCKET": str(daemon.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (0, "[]")


# --- words ---


def test_words():
    now = moment(canned.NOW)
    assert [span(seconds) for seconds in (0, 59, 60, 3599, 86400 * 3)] == ["0 s", "59 s", "1 min", "59 min", "3 d"]
    assert ago("2026-11-23T09:12:00Z", now) == "", "it has happened, and the clock was set back since"
    assert until("2026-11-23T09:12:00Z", now).endswith(" (in 2 min)")
    assert until("2026-11-23T09:08:00Z", now).endswith(" (2 min ago)")
    assert ago(None, now) == ago(canned.NOW, None) == ""
    assert pairs(a=None, b=True, c='x "y"', d="", e=3) == 'b=yes c="x \\"y\\"" d="" e=3'
    assert clean(" a\x1b[1m\nb ") == "a?[1m b"
