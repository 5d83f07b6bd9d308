"""The shipped units are accepted by systemd's own checker, without a word."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bluegreen.config.schema import BLOCKED_SECONDS
from bluegreen.config.units import seconds
from bluegreen.control.doors import CLOSE_SECONDS
from bluegreen.errors import ExitCode
from bluegreen.running import STOP_SECONDS

SYSTEMD = Path(__file__).parent.parent / "systemd"
UNIT = SYSTEMD / "bluegreen.service"
ANALYZE = shutil.which("systemd-analyze")
SYSUSERS = shutil.which("systemd-sysusers")
PROGRAM = "/opt/bluegreen/bin/bluegreen"

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing: apt-get install systemd")


def verify(directory: Path, unit: str) -> subprocess.CompletedProcess[str]:
    """Let systemd look at a unit whose program exists: it checks that, and the test's machine has none installed."""
    program = directory / "bluegreen"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = directory / "bluegreen.service"
    copy.write_text(unit.replace(PROGRAM, str(program)))
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, "verify", "--man=no", copy], capture_output=True, text=True, timeout=120, check=False
    )


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


@needs_systemd
def test_systemd_accepts_the_unit_without_a_word(tmp_path):
    done = verify(tmp_path, UNIT.read_text())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize(
    ("right", "wrong"), [("WatchdogSec=60s", "WatchdogSec=soon"), ("RestartSec=", "RestartSeconds=")]
)
def test_the_check_sees_a_wrong_unit(tmp_path, right, wrong):
    unit = UNIT.read_text()
    assert right in unit
    assert verify(tmp_path, unit.replace(right, wrong)).stderr != ""


@pytest.mark.skipif(SYSUSERS is None, reason="systemd-sysusers is missing: apt-get install systemd")
def test_systemd_accepts_the_user(tmp_path):
    (tmp_path / "etc").mkdir()
    conf = SYSTEMD / "bluegreen.sysusers.conf"
    assert SYSUSERS is not None
    done = subprocess.run(
        [SYSUSERS, f"--root={tmp_path}", conf], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "etc" / "passwd").read_text().startswith("bluegreen:")


def test_the_unit_names_the_daemons_own_verbs_and_exit_code():
    assert setting("ExecStartPre") == [], "its exit code would be no reason not to start again, and again"
    assert setting("ExecStart") == [f"{PROGRAM} serve"]
    assert setting("RestartPreventExitStatus") == ["2"]
    assert setting("Type") == ["notify"]


def seconds_of(name: str) -> float:
    (value,) = setting(name)
    return seconds(value)


def test_a_daemon_that_ends_by_itself_always_comes_back_but_for_a_wrong_configuration():
    assert setting("Restart") == ["always"]
    assert setting("StartLimitIntervalSec") == ["0"], "a crash loop must not silence it for ever"
    assert seconds_of("RestartSec") >= 1
    assert setting("RestartPreventExitStatus") == [str(ExitCode.USAGE)]


def test_systemd_is_more_patient_than_the_daemon_itself():
    # a ping comes every third of WatchdogSec: the last one before a block may be that old
    assert seconds_of("WatchdogSec") * 2 / 3 >= BLOCKED_SECONDS + 10
    assert seconds_of("TimeoutStopSec") >= STOP_SECONDS + CLOSE_SECONDS + 10
    assert setting("KillMode") == ["process"], "what it leaves running carries traffic"
