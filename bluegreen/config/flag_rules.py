"""The rules of `flags:` and `digest:`: addresses, placeholders, and keys that mean nothing to their kind."""

from __future__ import annotations

from collections.abc import Iterator

import jmespath
from jmespath.exceptions import JMESPathError

from bluegreen.config.draft import Draft, texts
from bluegreen.config.flags import PROBES, PROVIDERS, DigestProbe, FlagSource
from bluegreen.config.placeholders import fill, names_in
from bluegreen.config.urls import is_url
from bluegreen.config.words import Note
from bluegreen.config.yaml import Place
from bluegreen.core.notes.artifacts import PROBE

_IN_FLAGS = ("service",)
_IN_WRITE = ("service", "flag", "value")
_FLAG_KEYS = {"ofrep": {"headers", "context"}, "appconfig": set[str](), "command": set[str]()}
_PROBE_KEYS = {"http": {"json", "headers"}, "command": {"directory", "variables"}}


def flag_notes(draft: Draft) -> Iterator[Note]:
    """Every fault in `flags:`."""
    source = draft.flags
    if source is None:
        return
    yield from _idle("flags", draft, source.kind, PROVIDERS, _FLAG_KEYS, {"timeout", "every"})
    content = draft.content["flags"]
    for place, text in texts(content, ("flags",)):
        known = _IN_WRITE if place[:3] == ("flags", "command", "write") else _IN_FLAGS
        for name in sorted(names_in(text) - set(known)):
            choices = ", ".join(f"{{{one}}}" for one in known)
            yield Note(
                place, f"unknown placeholder {{{name}}}; wanted one of {choices}, or {{{{{name}}}}} for plain braces"
            )
    yield from _written(source)
    address = source.ofrep
    if address is not None and names_in(address) <= set(_IN_FLAGS) and not is_url(fill(address, {"service": "x"})):
        yield Note(("flags", "ofrep"), "not an address; wanted http://HOST/... or https://HOST/...")
    yield from _above_zero(("flags",), source)


def digest_notes(draft: Draft) -> Iterator[Note]:
    """Every fault in `digest:` but its placeholders and addresses, which are those of checks."""
    probe = draft.digest
    if probe is None:
        return
    yield from _idle("digest", draft, probe.kind, PROBES, _PROBE_KEYS, {"attempts", "every", "timeout"})
    if probe.json_ is not None and not _is_path(probe.json_):
        yield Note(("digest", "json"), "not a JMESPath expression; wanted one such as image.digest")
    yield from _above_zero(("digest",), probe)
    for place, check in draft.checks.items():
        if check.name == PROBE:  # an operator accepts by name
            yield Note((*place, "name"), f"{PROBE!r} is the name of the `digest` probe; wanted a name of its own")


def _written(source: FlagSource) -> Iterator[Note]:
    """A command that sets a flag must be told which one, and to what."""
    write = source.command.write if source.command is not None else None
    if write is None:
        return
    used = set.union(*(names_in(part) for part in write))
    for name in ("flag", "value"):
        if name not in used:
            yield Note(("flags", "command", "write"), f"does not say which {name}; wanted {{{name}}} in it")


def _idle(
    section: str, draft: Draft, kind: str, kinds: tuple[str, ...], own: dict[str, set[str]], always: set[str]
) -> Iterator[Note]:
    """A key that means nothing to the kind would be a promise that nobody keeps."""
    known = {kind, *own[kind], *always}
    for key in draft.content[section]:
        if key not in known and key not in kinds:
            wanted = ", ".join(sorted(known - {kind}))
            yield Note((section, key), f"means nothing to {section} by {kind}; wanted one of {wanted}")


def _above_zero(place: Place, part: FlagSource | DigestProbe) -> Iterator[Note]:
    for name in ("timeout", "every"):
        if getattr(part, name) == 0:
            yield Note((*place, name), "no time at all; wanted more than 0s")


def _is_path(expression: str) -> bool:
    try:
        jmespath.compile(expression)
    except JMESPathError:
        return False
    return True
