"""What the tests of the command line share: a fake daemon, and ways to run `bluegreen`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bluegreen.cli.main import main
from tests.cli.fake_daemon import FakeDaemon, running


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


class Bluegreen:
    """`bluegreen …` in this process, with standard output as a pipe."""

    def __init__(self, capsys: pytest.CaptureFixture[str], socket: Path) -> None:
        self.socket = socket
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        return self.bare("--socket", str(self.socket), *arguments)

    def bare(self, *arguments: str) -> Ran:
        """Without a --socket."""
        self._capsys.readouterr()
        code = main(list(arguments))
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("BLUEGREEN_CONFIG", "BLUEGREEN_SOCKET", "BLUEGREEN_TOKEN", "BLUEGREEN_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with running(tmp_path / "control.sock") as server:
        yield server


@pytest.fixture
def bluegreen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bluegreen:
    return Bluegreen(capsys, tmp_path / "control.sock")
