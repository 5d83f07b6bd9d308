"""How hard the property tests look (HYPOTHESIS_PROFILE is fast, ci or deep), and the figures that tests report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.programs import zombies

for name, examples in {"fast": 25, "ci": 200, "deep": 3000}.items():
    settings.register_profile(name, max_examples=examples, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture
def no_strangers() -> None:
    """This process is the reaper of what other tests started and left behind: their zombies are not this test's."""
    for pid in zombies():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: HAProxy takes at most 97 bytes for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="bg-") as name:
        yield Path(name)


@pytest.fixture
def report_figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says a figure at the end of the run, whichever process measured it."""

    def say(figures: str) -> None:
        request.node.user_properties.append(("figures", figures))

    return say


def pytest_terminal_summary(terminalreporter) -> None:
    said = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for key, value in getattr(report, "user_properties", [])
        if key == "figures" and report.when == "call"
    ]
    if said:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(said))
