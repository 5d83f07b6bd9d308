"""What pydantic found, in our own words: the place as a user writes it, what is wrong, what is wanted.

A value is shown only where it is a word of ours gone wrong (a kind, a choice); anything else might be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bluegreen.config.document import Root, known_keys, known_kinds
from bluegreen.config.units import NAME
from bluegreen.config.yaml import Place

_KEY = "[key]"
_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True)
class Note:
    """A fault whose file and line are still to be looked up."""

    place: Place
    what: str
    severity: str = "error"


def notes(root: Root, error: ValidationError) -> list[Note]:
    """Every fault that pydantic found, in its order."""
    return [_note(root, detail) for detail in error.errors(include_url=False)]


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """`unknown key 'gren'; did you mean 'green'? wanted one of blue, green`."""
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"unknown {what} {shown(word)}{hint} wanted one of {', '.join(choices)}"


def shown(value: object) -> str:
    """A value in a message: short."""
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 4]}...{text[0]}"


def _note(root: Root, detail: ErrorDetails) -> Note:
    location, context = detail["loc"], detail.get("ctx", {})
    place = _place(location)
    match detail["type"]:
        case "extra_forbidden":
            return Note(place, unknown("key", str(place[-1]), known_keys(root, location[:-1])))
        case "union_tag_invalid":
            return Note((*place, "kind"), unknown("kind", context["tag"], known_kinds(root, location)))
        case "union_tag_not_found" if isinstance(detail["input"], dict):
            return Note((*place, "kind"), f"missing; add `kind: ...`, one of {', '.join(known_kinds(root, location))}")
        case "literal_error":
            choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return Note(place, unknown("value", str(detail["input"]), choices))
        case "string_pattern_mismatch":
            return Note(place, _pattern(context["pattern"]))
    return Note(place, plain(detail))


def _place(location: tuple[str | int, ...]) -> Place:
    """The way as a user writes it: without the tag of a tagged union, and without pydantic's mark for a key."""
    if location and location[-1] == _KEY:
        location = location[:-1]
    match location:
        case ("switch_points", int() as index, str(), *rest):
            return ("switch_points", index, *rest)
        case ("deploy", str(), *rest):
            return ("deploy", *rest)
    return location


def _pattern(pattern: str) -> str:
    if pattern == NAME:
        return "not a name; wanted a-z, 0-9, - and _, a letter or digit first, at most 63"
    if pattern.endswith(r":\d{1,5}$"):
        return "not an address; wanted HOST:PORT, such as 127.0.0.1:8474"
    if "[0-7]" in pattern:
        return 'not a mode; wanted octal digits, such as "0660"'
    return f"not of the right form; wanted text like {pattern}"


_WANTED = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping of `key: value`",
    "model_type": "a mapping of `key: value`",
    "model_attributes_type": "a mapping of `key: value`",
    "union_tag_not_found": "a mapping of `key: value`",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def plain(detail: ErrorDetails) -> str:
    """One fault in our own words, where no rule of ours has better ones."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _WANTED:
        quotes = ": put it in quotes" if kind == "string_type" and isinstance(detail["input"], int | float) else ""
        return f"found {_what(detail['input'])}; wanted {_WANTED[kind]}{quotes}"
    if kind == "missing":
        return f"missing; add `{detail['loc'][-1]}: ...`"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_long", "string_too_long") and isinstance(detail["input"], str):
        return f"longer than {context['max_length']} characters; wanted less"
    if kind == "too_short" and isinstance(detail["input"], str):
        return "empty; wanted a text"
    if kind == "too_long":
        return f"found {context['actual_length']} here; wanted at most {context['max_length']}"
    if kind == "too_short":
        return f"found {context['actual_length']} here; wanted at least {context['min_length']}"
    for name, words in (("ge", "at least"), ("le", "at most"), ("gt", "more than"), ("lt", "less than")):
        if name in context:
            return f"found {detail['input']}; wanted {words} {context[name]}"
    return f"not valid; {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _what(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"
