"""The house rules that no other tool looks after: docstrings, sizes, leftovers, and the diagram in README.md."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from bluegreen.core.diagram import mermaid

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "bluegreen").rglob("*.py"))
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
MARKERS = ("<!-- diagram -->", "<!-- /diagram -->")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PAGE = ROOT / "bluegreen" / "control" / "page"
_EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const) (\w+)", re.MULTILINE)
_IMPORT = re.compile(r"^import \{([^}]+)\} from \"\./(\w+\.js)\";", re.MULTILINE)


def test_every_name_that_a_module_of_the_page_imports_is_there():
    """A module that imports a name which is not there does not run at all, and no part of the page either."""
    exported = {path.name: set(_EXPORT.findall(path.read_text())) for path in PAGE.glob("*.js")}
    imported = [
        (path.name, file, name.strip())
        for path in PAGE.glob("*.js")
        for names, file in _IMPORT.findall(path.read_text())
        for name in names.split(",")
    ]
    assert len(imported) > 20
    assert [one for one in imported if one[2] not in exported.get(one[1], set())] == []


def test_every_module_has_a_docstring():
    with_text = [path for path in SOURCES if path.read_text(encoding="utf-8").strip()]
    assert [_name(path) for path in with_text if not ast.get_docstring(_tree(path))] == []


def test_no_file_is_too_long():
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines >= FILE_LINES_MAX} == {}


def test_no_function_is_too_long():
    lengths = {
        f"{_name(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines >= FUNCTION_LINES_MAX} == {}


def test_nothing_is_left_to_do():
    leftover = "TO" + "DO"
    assert [_name(path) for path in SOURCES if leftover in path.read_text(encoding="utf-8")] == []


def test_the_diagram_in_the_readme_is_the_one_of_the_tables():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = MARKERS
    assert begin in readme, f"README.md has no {begin}: `make diagram` prints what goes there"
    shown = readme.split(begin)[1].split(end)[0].strip()
    assert shown == f"```mermaid\n{mermaid()}```", "README.md's diagram is old: `make diagram`"


@functools.lru_cache(None)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
