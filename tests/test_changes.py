"""Change manifests where they come in: every fault at once, each by its place; and what a journal keeps of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen import changes
from bluegreen.core.manifest import Change, ChangeKind, Compatible, Direction, on_record, write_down
from bluegreen.errors import BadRequest, ConfigError

GOOD = """\
- kind: schema
  id: 0093
  summary: orders lose a column
  backward_compatible: no
  phase: contract
  undo: restore it from the backup
- {kind: security, id: tls, summary: tls is mended, advisories: [{id: CVE-2026-1, severity: high}]}
- {kind: job, id: 7, summary: mails at night}
"""


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "changes.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("indent", ["", "  "])
def test_a_manifest_is_a_list_or_stands_under_changes(tmp_path: Path, indent: str):
    text = GOOD if not indent else "changes:\n" + "".join(f"{indent}{line}\n" for line in GOOD.splitlines())
    read = changes.from_file(_file(tmp_path, text))
    assert [change.name for change in read] == ["schema:0093", "security:tls", "job:7"]
    assert (read[0].backward_compatible, read[0].phase) == (Compatible.NO, Direction.CONTRACT)
    assert read[2].backward_compatible is Compatible.UNKNOWN, "nobody has said so"
    assert on_record(write_down(read)).changes == read


def test_json_is_read_too(tmp_path: Path):
    file = _file(tmp_path, '[\n  {"kind": "data", "id": "x", "summary": "s"}\n]\n')
    assert changes.from_file(file) == (Change(ChangeKind.DATA, "x", "s"),)


def test_nothing_but_code_is_a_manifest_and_no_manifest_is_none(tmp_path: Path):
    assert on_record(write_down(changes.from_file(_file(tmp_path, "[]\n")))).is_whole
    assert not on_record("").given


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {kind: schma, id: x, summary: s}", ["1: changes[0].kind: unknown value schma; wanted schema, data, api,"]),
        ("- {kind: data, id: x, summary: s, phase: expand}", ["1: changes[0]: `phase` belongs to a schema change"]),
        ("- {kind: data, id: x, summary: s, advisories: [{id: C}]}", ["`advisories` belong to a security change"]),
        ("- {kind: data, id: x, summary: s, backward_compatible: true}", ["wanted yes, no or unknown"]),
        ("- {kind: data, id: 'a b', summary: ''}", ["changes[0].id: not an id", "changes[0].summary: empty"]),
        (
            "- {kind: data, id: x, summary: s}\n- {kind: data, id: x, summary: t}",
            ["2: changes[1].id: data:'x' is already entry 0"],
        ),
        ("- 3\n- {}\n", ["1: changes[0]: found a number", "2: changes[1].kind: missing", "2: changes[1].id: missing"]),
        ("change: []\n", ["1: change: unknown key; wanted `changes`"]),
        ("changes: x\n", ["1: changes: wanted a list of changes"]),
        (
            "- {kind: security, id: x, summary: s, advisories: [{cve: C}]}",
            ["advisories[0].cve: unknown key; wanted one of id, severity"],
        ),
        ("", ["the file is empty"]),
        ("a: [", ["this is not YAML"]),
    ],
)  # fmt: skip
def test_every_fault_of_a_file_has_its_line_and_place(tmp_path: Path, text: str, told: list[str]):
    with pytest.raises(ConfigError) as faults:
        changes.from_file(_file(tmp_path, text))
    for one in told:
        assert one in str(faults.value)


def test_a_manifest_has_a_limit():
    entry = {"kind": "data", "summary": "s"}
    with pytest.raises(BadRequest, match="1 fault"):
        changes.from_body([{**entry, "id": str(number)} for number in range(changes.ENTRIES_MAX + 1)])
