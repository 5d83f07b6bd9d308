"""The verbs that answer a switch: each says what will happen, asks the daemon for it, and shows the new state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bluegreen.cli import cause as causes
from bluegreen.cli import service_lines
from bluegreen.cli.cause import cause_options, freeze_option
from bluegreen.cli.findings import hanging
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, moment


def act(
    settings: Settings, verb: str, service: str, body: Mapping[str, Any], *, ends_a_halt: bool = False
) -> int:  # fmt: skip
    """Ask for one verb, as an answer to exactly the halt that is shown here. The daemon alone decides whether it is
    lawful."""
    screen, client = settings.screen, settings.client()
    now = client.get("services", service)
    halt = body.get("halt") or halt_of(now)
    subject = body.get("check") or body.get("environment") or ""
    for line in shown(now, verb, subject, halt):
        screen.notice(line)
    given = {key: value for key, value in {**body, "halt": halt}.items() if value is not None}
    after = client.post("services", service, verb, body=given)
    if screen.json:
        screen.document(after)
    else:
        screen.lines(state_lines(after, settings))
    if ends_a_halt and (answered := causes.halt_of(now)) != causes.halt_of(after):
        causes.ask(client, screen, service, answered, body.get("cause"))
    return 0


def halt_of(service: Document) -> str | None:
    """The id of the halt that is open now."""
    switch = service_lines.open_switch(service)
    halt = (switch or {}).get("halt")
    return str(halt["id"]) if halt else None


def shown(service: Document, verb: str, subject: str = "", halt: str | None = None) -> list[str]:
    """What a verb will do, before it is asked for; nothing where it is not lawful: the refusal says why."""
    options = [one for one in service["options"] if one["verb"] == verb and one["lawful"]]
    options = [one for one in options if not subject or one["subject"] == subject] or options
    if not options:
        return []
    one = options[0]
    answering = f", the answer to {halt}" if halt else ""
    lines = hanging(f"{verb} {service['service']}{answering}: effect on traffic: ", one["effect"], 2)
    lines += hanging("  takes: ", one["duration"]) if one["duration"] else []
    return [*lines, *(hanging("  risk: ", one["risk"]) if one["risk"] else [])]


def state_lines(service: Document, settings: Settings) -> list[str]:
    """The state as a screen, or in a pipe as one line."""
    screen = settings.screen
    if screen.terminal:
        return service_lines.screen(service, moment(service.get("as_of")), screen.ink)
    return [service_lines.script_line(service)]


def _answer(verb: str, does: str) -> click.Command:
    """A verb that takes a service, and optionally a reason and the halt that it answers."""

    @click.command(verb, cls=Verb, help=does)
    @service_argument()
    @click.option("--reason", help="Why; it stands in the journal.")
    @click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
    @click.pass_obj
    def command(settings: Settings, /, service: str, **given: str | bool | None) -> int:
        return act(settings, verb, service, given)

    return command


def _end(verb: str, does: str) -> click.Command:
    """A verb that may end a halt: it takes its cause too."""

    @click.command(verb, cls=Verb, help=does)
    @service_argument()
    @click.option("--reason", help="Why; it stands in the journal.")
    @click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
    @cause_options
    @click.pass_obj
    def command(settings: Settings, /, service: str, **given: str | bool | None) -> int:
        return act(settings, verb, service, given, ends_a_halt=True)

    return command


approve = freeze_option(_answer("approve", "Let a switch go past a planned wait for a person's word."))
pause = _answer("pause", "Let a switch wait where it is, until `resume`. Nothing is wrong.")
resume = _end("resume", "Go on after a pause, or after a halt: the failed step really runs again.")
promote = freeze_option(_end("promote", "Skip the remaining shift steps: 100% now."))
abort = _end("abort", "End a switch whose candidate has no traffic; the candidate is left as it is.")
adopt = _answer("adopt", "Take what the balancer shows for the truth, where it differs from the journal.")


@click.command("release", cls=Verb)
@service_argument()
@click.option("--environment", metavar="NAME", help="Which one, where several are warm.")
@click.option("--reason", help="Why; it stands in the journal.")
@freeze_option
@click.pass_obj
def release(settings: Settings, /, service: str, **given: str | bool | None) -> int:
    """Let the warm environment go. There is no failback to it afterwards."""
    return act(settings, "release", service, given)


@click.command("halt", cls=Verb)
@service_argument()
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.pass_obj
def halt(settings: Settings, service: str, reason: str) -> int:
    """Stop the line: everything stays where it is until a person decides."""
    return act(settings, "halt", service, {"reason": reason})


@click.command("accept", cls=Verb)
@service_argument()
@click.argument("check")
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
@cause_options
@click.pass_obj
def accept(settings: Settings, /, service: str, **given: str | None) -> int:
    """Go past CHECK, one named failed check. The reason stands in the journal."""
    return act(settings, "accept", service, given, ends_a_halt=True)
