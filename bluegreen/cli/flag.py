"""`bluegreen flag`: a service's feature flags, and setting one: a smaller way out than moving traffic."""

from __future__ import annotations

import time

import click

from bluegreen.cli.client import Client
from bluegreen.cli.flag_lines import act_line, flag_lines, table
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, moment, pairs
from bluegreen.errors import BadRequest, ExitCode, NotFound

EVERY = 0.3
WAIT_SECONDS_MAX = 90.0
"""How long the outcome is waited for; the daemon goes on whether or not anybody waits."""


@click.command("flag", cls=Verb)
@service_argument()
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option("--reason", help="Why; it stands in the journal. Wanted with a VALUE.")
@click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
@click.pass_obj
def flag(
    settings: Settings, service: str, name: str | None, value: str | None, reason: str | None, halt: str | None
) -> int:
    """List feature flags with what changed since the deployment, or set NAME to on, off or VALUE.

    Setting one moves no traffic and ends no halt: it takes effect for everybody that the provider serves.
    """
    client = settings.client()
    listed = client.get("services", service, "flags")
    if value is None:
        return _list(settings, client, listed, name)
    if not (reason or "").strip():
        raise BadRequest("setting a flag needs a reason", advice="say why: --reason TEXT")
    return _set(settings, client, listed, name or "", value, {"reason": reason, "halt": halt})


# --- reading ---


def _list(settings: Settings, client: Client, listed: Document, name: str | None) -> int:
    screen, found = settings.screen, listed["flags"]
    if name is not None:
        found = [one for one in found if one["flag"] == name]
        if not found and not listed["error"]:
            known = ", ".join(one["flag"] for one in listed["flags"]) or "none"
            raise NotFound(f"{listed['service']} has no flag {name!r}", f"known flags: {known}")
    shown = {**listed, "flags": found}
    if screen.json:
        screen.document(shown)
    elif screen.terminal:
        screen.lines(_screen(settings, client, shown))
    else:
        screen.lines(
            pairs(flag=one["flag"], now=one["now"], at_deploy=one["at_deploy"], changed=one["changed"]) for one in found
        )
    if listed["error"]:
        screen.notice(f"the flags cannot be read: {clean(listed['error'])}")
        return ExitCode.FAILED
    return ExitCode.DONE


def _screen(settings: Settings, client: Client, shown: Document) -> list[str]:
    ink, then = settings.screen.ink, shown["at_deploy"]
    able = "they can be set from here" if shown["writable"] else "they can only be read here"
    lines = [f"{shown['place']}; {able}", *table(shown, ink)]
    if then is None:
        lines.append("no deployment has begun since flags are read: there is nothing to compare with")
    elif then["error"]:
        lines.append(f"what they were when {then['of']} began is not known: {clean(then['error'])}")
    record = shown["record"] or {}
    lines += [act_line(act, client.now) for act in [*(record.get("acts") or []), *(record.get("setting") or [])]]
    return lines


# --- setting ---


def _set(
    settings: Settings, client: Client, listed: Document, name: str, value: str, body: dict[str, str | None]
) -> int:
    screen, service = settings.screen, str(listed["service"])
    shown = next((one["now"] for one in listed["flags"] if one["flag"] == name), None)
    if shown not in (None, value):
        what = f"{clean(name)} goes from {clean(shown or '')} to {clean(value)} for everybody that its provider serves"
        screen.notice(f"{what}; no traffic moves, and a halt stays a halt")
    asked = {"value": value, "expected": shown, **body}
    after = client.post(
        "services", service, "flags", name, body={key: given for key, given in asked.items() if given is not None}
    )
    act, after = _outcome(client, after, name)
    if screen.json:
        screen.document(after)
    elif act is not None:
        now = moment(after.get("as_of"))
        screen.lines([act_line(act, now), *flag_lines({**after, "flags": _without(after, name)}, now, screen.ink)])
    return _code(settings, service, act)


def _outcome(client: Client, service: Document, name: str) -> tuple[Document | None, Document]:
    """Wait until the order has an outcome, or is being looked up."""
    until = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        part = service.get("flags") or {}
        act = next((one for one in part.get("setting") or [] if one["flag"] == name), None)
        if act is None:
            ended = [one for one in part.get("acts") or [] if one["flag"] == name]
            return (ended[-1] if ended else None), service
        if act["outcome"] == "unknown" or time.monotonic() >= until:
            return act, service
        time.sleep(EVERY)
        service = client.get("services", service["service"])


def _without(service: Document, name: str) -> Document:
    """The flags on record, without the order that was just told of."""
    part = service.get("flags") or {}
    return {**part, "setting": [one for one in part.get("setting") or [] if one["flag"] != name]}


def _code(settings: Settings, service: str, act: Document | None) -> int:
    match act and act["outcome"]:
        case "set":
            return ExitCode.DONE
        case "not set":
            return ExitCode.FAILED
        case "under way":
            settings.screen.notice(f"the time is up; the daemon goes on: bluegreen flag {service}")
            return ExitCode.TIMEOUT
        case _:
            settings.screen.notice(f"whether it was set is not known yet; it is looked up: bluegreen flag {service}")
            return ExitCode.UNKNOWN
