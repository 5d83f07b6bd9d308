"""docs/faults.md tells the truth: all 64 faults are in it, each with tests that exist, or why it does not apply."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {
    int(number): (fault, does, proof)
    for number, fault, does, proof in ROW.findall((ROOT / "docs/faults.md").read_text())
}
OPEN = [number for number, (_, _, proof) in ROWS.items() if "open" in re.sub("`[^`]*`", "", proof)]


@functools.lru_cache
def defined_in(file: Path) -> set[str]:
    """The names of the tests that a file defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}


def test_every_fault_is_there_once_with_what_the_daemon_does():
    assert sorted(ROWS) == list(range(1, 65))
    assert len(ROW.findall((ROOT / "docs/faults.md").read_text())) == 64
    for number, (_, does, proof) in ROWS.items():
        assert does.strip() or proof.startswith("not applicable: "), number


@pytest.mark.parametrize("number", sorted(ROWS))
def test_every_test_that_a_fault_names_exists(number: int):
    proof = ROWS[number][2]
    named = re.findall(r"`([^`]+)`", proof)
    assert named or proof.startswith(("not applicable: ", "open: "))
    for one in named:
        file, _, name = one.partition("::")
        assert name.startswith("test_")
        assert name in defined_in(ROOT / file), one


@pytest.mark.xfail(bool(OPEN), reason=f"no proof yet of the faults {', '.join(map(str, sorted(OPEN)))}", strict=True)
def test_no_fault_is_open():
    assert OPEN == []
