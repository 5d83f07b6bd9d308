"""Problem documents (RFC 9457) to exceptions, and exceptions to what a person or a script reads."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from bluegreen.cli.words import Document, clean
from bluegreen.errors import (
    BadRequest,
    BalancerError,
    BlueGreenError,
    ConfigError,
    DaemonUnreachable,
    ExitCode,
    Fault,
    NotFound,
    NotPermitted,
    Refused,
    StateMoved,
    StoreError,
)

URN = "urn:bluegreen:"

_PLAIN: dict[str, type[BlueGreenError]] = {
    kind.slug: kind
    for kind in (Refused, StateMoved, NotPermitted, NotFound, DaemonUnreachable, BalancerError, StoreError)
}
_BY_STATUS: dict[int, type[BlueGreenError]] = {401: NotPermitted, 403: NotPermitted, 404: NotFound, 409: Refused}


class Problem(Exception):
    """The document that an exception was made from: its `__cause__`."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.get("type"))
        self.document = document


class AnswerLost(BlueGreenError):
    """A request that changes something was sent twice with one key, and no answer came."""

    exit_code = ExitCode.UNKNOWN
    slug = "answer-lost"


def from_document(document: Document) -> BlueGreenError:
    """The exception of a problem document: by its slug, else by its status."""
    slug = str(document.get("type", "")).removeprefix(URN)
    what = str(document.get("detail") or document.get("title") or "the daemon refused without a reason")
    advice = str(document.get("advice") or "")
    if slug in (BadRequest.slug, ConfigError.slug):
        return BadRequest(what, document.get("errors") or {}, advice)
    kind = _PLAIN.get(slug) or _BY_STATUS.get(int(document.get("status") or 0), BlueGreenError)
    return kind(what, advice)


def to_document(error: BlueGreenError) -> Document:
    """The daemon's own document where the error came from it; else one of the same form."""
    if isinstance(error.__cause__, Problem):
        return error.__cause__.document
    made: Document = {
        "type": URN + error.slug,
        "title": (type(error).__doc__ or "").strip(),
        "status": error.status,
        "detail": error.what,
        "advice": error.advice,
    }
    if isinstance(error, BadRequest):
        made["errors"] = error.errors
    if isinstance(error, ConfigError):
        made["faults"] = [fault_document(fault) for fault in error.faults]
    return made


def fault_document(fault: Fault) -> Document:
    """One fault of a configuration file."""
    return asdict(fault)


def show(error: BlueGreenError, as_json: bool) -> int:
    """Tell an error on standard error; gives its exit code."""
    document = to_document(error)
    if as_json:
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
    else:
        for line in _told(error, document):
            print(line, file=sys.stderr)
    return error.exit_code


def _told(error: BlueGreenError, document: Document) -> list[str]:
    if isinstance(error, ConfigError):
        return [str(fault) for fault in error.faults]
    told = [f"error: {clean(error.what)}"]
    if isinstance(error, BadRequest):
        told += [f"  {clean(field)}: {clean(str(text))}" for field, text in error.errors.items()]
    if error.advice:
        told.append(clean(error.advice))
    lawful = [str(option["command"]) for option in document.get("options") or [] if option.get("lawful")]
    if lawful:
        told.append("lawful now: " + "; ".join(lawful))
    return told
