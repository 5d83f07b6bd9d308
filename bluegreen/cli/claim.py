"""`bluegreen claim`: somebody says of a halt, I have it; everybody sees who."""

from __future__ import annotations

import click

from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, clock, moment
from bluegreen.errors import ExitCode, Refused


@click.command("claim", cls=Verb)
@service_argument()
@click.option("--drop", is_flag=True, help="Hand it back: nobody has it any more.")
@click.option("--reason", default="", help="Stands in the journal.")
@click.pass_obj
def claim(settings: Settings, service: str, drop: bool, reason: str) -> int:
    """Say: I have it. Changes nothing in what is lawful; the halt stops notifying others."""
    screen, client = settings.screen, settings.client()
    switch = client.get("services", service).get("switch") or {}
    if not switch.get("halt"):
        raise Refused(f"{service}: nothing is halted", "there is nothing to claim")
    before = switch.get("claim")
    if before and not drop:
        screen.notice(f"{before['by']} has had it since {clock(before['at'])}: it is yours from here on")
    body = {"halt": switch["halt"]["id"], "drop": drop, "reason": reason}
    after = client.post("services", service, "claim", body=body)
    if screen.json:
        screen.document(after)
    else:
        screen.lines(
            [f"{switch['halt']['id']}: {clean(switch['halt']['summary'])}", *claim_lines(after["switch"], screen.ink)]
        )
    return ExitCode.DONE


def claim_lines(switch: Document, ink: Ink) -> list[str]:
    """Who has it, or that nobody has; and where telling people has failed."""
    if not switch.get("halt"):
        return []
    held = switch.get("claim")
    name = switch["service"]
    lines = [
        f"  in hand   {held['by']} since {clock(held['at'], moment(held['at']))}"
        if held
        else f"  in hand   {ink('nobody', 'bad')}: bluegreen claim {name}"
    ]
    told = switch.get("told")
    if told:
        lines.append(
            f"  told      {', '.join(told['told']) or 'nobody'}, {times(told['times'])}, last {clock(told['at'])}"
        )
        lines += [f"  {ink('not told', 'bad')}  {who}: {clean(why)}" for who, why in told["failed"].items()]
    return lines


def times(count: int) -> str:
    """`once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"
