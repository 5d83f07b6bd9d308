"""Deployers whose processes end with the test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluegreen import processes
from bluegreen.config.schema import ProcessDeploy
from bluegreen.deployers import process
from bluegreen.deployers.process import ProcessDeployer
from tests.deployers.kept import Open
from tests.programs import carrying, kill


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's own times, made short."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.4)
    monkeypatch.setattr(process, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(process, "PAUSE_MIN", 0.05)


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """What all processes of a test carry in their environment, so that they can be ended."""
    return f"TEST={tmp_path}"


@pytest.fixture
def make(tmp_path: Path, mark: str) -> Iterator[Open]:
    """Opens deployers on one state directory; at the end nothing of theirs runs."""

    def opened(*run: str, service: str = "web", variables: dict[str, str] | None = None, **rest: Any):
        name, _, value = mark.partition("=")
        config = {"kind": "process", "ready": "100ms", "stop_timeout": "3s", **rest}
        config |= {"run": list(run), "variables": {name: value, **(variables or {})}}
        return ProcessDeployer(ProcessDeploy.model_validate(config), service, tmp_path)

    yield opened
    for pid in carrying(mark):
        kill(pid)
    deadline = time.monotonic() + 60
    while carrying(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    processes.reap()
