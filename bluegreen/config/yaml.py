"""One YAML file, read safely: plain values, and the line of each. No types of its own, no tags, no code.

Within limits: 1 MiB, 32 levels, 20,000 values after aliases are followed. Every key is text as written (`on:` stays
`on`). Words are booleans only as `true` and `false`; times and dates stay text. What cannot be read is a Fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bluegreen.errors import Fault

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
VALUES_MAX = 20_000

Place = tuple[str | int, ...]
"""The way to a value: `("switch_points", 0, "servers")`."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content: mappings, lists, text, numbers, booleans and None, and the line of each by its place."""

    file: str
    content: dict[str, Any]
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of a place; of the nearest one around it where the file does not have it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, what: str, severity: str = "error") -> Fault:
        """A fault of this file, with the place as a user writes it."""
        return Fault(self.file, self.line(place), spell(place), what, severity)


def spell(place: Place) -> str:
    """`("smoke", 1, "expect", "a b")` -> `smoke[1].expect["a b"]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def read(file: Path, lists: str | None = None) -> tuple[Document | None, tuple[Fault, ...]]:
    """Read one file. There is no document where its text is not YAML; faults of single keys come with a document.

    A file that holds a list is taken for the value of the key `lists`, where that is given.
    """
    shown = str(file)
    try:
        text = _text(file)
        root = _Loader(text).get_single_node()
        walk = _Walk()
        top: Place = (lists,) if lists and isinstance(root, yaml.SequenceNode) else ()
        content = walk.value(root, top, 0) if root else None
    except _Unreadable as unreadable:
        return None, (Fault(shown, unreadable.line, "", unreadable.what),)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return None, (Fault(shown, line, "", "a control character stands here; wanted plain text"),)
    except yaml.MarkedYAMLError as error:
        return None, (_syntax(shown, error),)
    except (ValueError, OverflowError):  # PyYAML's own chr() of an escape such as "\\UFFFFFFFF"
        return None, (Fault(shown, 0, "", "an escape names a character that does not exist; wanted plain text"),)
    if lists and isinstance(content, list):
        content = {lists: content}
    if not isinstance(content, dict):
        found = "the file is empty" if content is None else "the file does not hold a mapping"
        return None, (Fault(shown, 1, "", f"{found}; wanted lines of `key: value`"),)
    document = Document(shown, content, walk.lines)
    return document, tuple(Fault(shown, line, spell(place), what) for place, line, what in walk.faults)


class _Unreadable(Exception):
    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


def _text(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            raise _Unreadable("this is not a plain file; wanted a YAML file")
        with file.open("rb") as opened:
            raw = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise _Unreadable(f"the file cannot be read: {error.strerror}; mend the path or its rights") from None
    if len(raw) > BYTES_MAX:
        raise _Unreadable("the file is larger than 1 MiB; wanted a smaller one")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Unreadable("the file is not UTF-8; save it as UTF-8", line) from None


def _syntax(shown: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    problem = error.problem or "it cannot be read"
    if r"'\t'" in problem:
        return Fault(shown, line, "", "a tab stands here; wanted spaces: YAML is indented with spaces only")
    if "expected a single document" in (error.context or ""):
        return Fault(shown, line, "", "a second document begins here; wanted one document a file")
    if problem == _TOO_DEEP:
        return Fault(shown, line, "", problem)
    return Fault(shown, line, "", f"this is not YAML: {problem}; mend this line or the one before it")


_TOO_DEEP = f"nested more than {DEPTH_MAX} levels deep; wanted fewer"
_SCALARS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    "tag:yaml.org,2002:float": (r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-0123456789"),
}
_DIGITS_MAX = 30


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without its traps: `on`, `yes`, 12:30, 0660, 1_000 and 2024-01-01 are text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise yaml.composer.ComposerError(None, None, _TOO_DEEP, self.get_mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise yaml.composer.ComposerError(None, None, "half of a surrogate pair is no text", node.start_mark)
        return node


# A table of its own, from nothing: SafeLoader's is shared by the whole process and stays as it is.
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), ["" if c == "\0" else c for c in _first])


class _Number(float):
    """A number whose text is as written: an environment's `1.10` must not become 1.1."""

    __slots__ = ("written",)
    written: str

    def __str__(self) -> str:
        return self.written


@dataclass(slots=True)
class _Walk:
    """Turns nodes to values, and notes their lines and the faults on the way."""

    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[tuple[Place, int, str]] = field(default_factory=list)
    seen: int = 0

    def value(self, node: yaml.Node, place: Place, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.seen += 1
        if self.seen > VALUES_MAX:
            raise _Unreadable(f"more than {VALUES_MAX} values once the aliases are followed; wanted fewer", line)
        if depth > DEPTH_MAX:
            raise _Unreadable(_TOO_DEEP, line)
        self.lines.setdefault(place, line)
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return {key: self.value(item, (*place, key), depth + 1) for key, item in self._entries(node, place)}
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.value(item, (*place, i), depth + 1) for i, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, place, line)
        self.faults.append((place, line, f"the tag {_shown(node.tag)} is not read; wanted a plain value"))
        return None

    def _entries(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, yaml.Node]]:
        first: dict[str, int] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append((place, line, "a key that is not text; wanted lines of `key: value`"))
            elif key.value == "<<" and key.style is None:
                self.faults.append((place, line, "`<<` merges are not read; write the keys out"))
            elif key.value in first:
                what = f"given twice, first on line {first[key.value]}; wanted once"
                self.faults.append(((*place, key.value), line, what))
            else:
                first[key.value] = line
                self.lines[(*place, key.value)] = line
                yield key.value, item

    def _scalar(self, node: yaml.ScalarNode, place: Place, line: int) -> Any:
        text: str = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if re.fullmatch(r"-?[0-9]+", text) and len(text) <= _DIGITS_MAX:
                return int(text)
            case "int" | "float":
                return self._number(text, place, line)
        self.faults.append((place, line, f"the tag {_shown(node.tag)} is not read; wanted a plain value"))
        return None

    def _number(self, text: str, place: Place, line: int) -> float | None:
        try:
            number = _Number(text)
        except ValueError:
            number = _Number("nan")
        if not math.isfinite(number) or len(text) > _DIGITS_MAX:
            self.faults.append((place, line, "this number is not one that can be counted with; wanted a smaller one"))
            return None
        number.written = text
        return number


def _shown(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
