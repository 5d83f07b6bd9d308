"""`bluegreen explain`: why things are as they are. At a halt: what happened, what is done, where the traffic is, which
ways there are. To be read at 3 a.m."""

from __future__ import annotations

from datetime import datetime

import click

from bluegreen.cli import service_lines
from bluegreen.cli.debt_lines import debt_lines
from bluegreen.cli.findings import finding_lines, hanging, option_lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, clock, columns, moment, when
from bluegreen.errors import NotFound

_OUTCOMES = {"done": "good", "failed": "bad", "unknown": "bad", "not done": "dim"}
_OUTPUT_LINES = 12


@click.command("explain", cls=Verb)
@service_argument()
@click.argument("switch", required=False)
@click.pass_obj
def explain(settings: Settings, service: str, switch: str | None) -> int:
    """Say why things are as they are, and which ways on and back there are. SWITCH: the id of a past one."""
    screen, client = settings.screen, settings.client()
    present = client.get("services", service)
    past = client.get("switches", switch) if switch else None
    if past is not None and past["service"] != service:
        raise NotFound(f"{switch} is a switch of {past['service']}, not of {service}", f"bluegreen history {service}")
    if screen.json:
        screen.document(past or present)
    else:
        screen.lines(lines(present, past or present.get("switch"), screen.ink))
    return 0


def lines(service: Document, switch: Document | None, ink: Ink) -> list[str]:
    """The whole screen, at most 100 columns where the texts allow it."""
    now = moment(service.get("as_of"))
    if switch and switch.get("halt"):
        told = halt_lines(service, switch, now, ink)
    else:
        told = _steady(service, switch, now, ink)
    return [*told, *debt_lines(service, ink), "", *_ways(service, ink)]


def halt_lines(service: Document, switch: Document, now: datetime | None, ink: Ink) -> list[str]:
    """What happened, what is done, where the traffic is."""
    halt = switch["halt"]
    word = ink("HALTED", "bad") if switch["condition"] == "halted" else f"was halted, now {switch['condition']}"
    name = ink(switch["service"], "head")
    head = f"{word}  {name}  {halt['id']}: {halt['cause'].replace('_', ' ')} in {halt['phase'].replace('_', ' ')}"
    told = [f"{head}  {when(halt['at'], now)}  by {halt['by']}", ""]
    told += [ink("WHAT HAPPENED", "head"), *_what_happened(switch, ink), ""]
    if switch["operations"]:
        told += [ink("WHAT IS DONE", "head"), *operation_lines(switch, now, ink), ""]
    told += [ink("WHERE TRAFFIC IS", "head"), *("  " + line for line in service_lines.traffic(service, now, ink))]
    if switch["condition"] == "halted":
        told.append("  Everything stays as it is until a person decides, however long that takes.")
    return told


def operation_lines(switch: Document, now: datetime | None, ink: Ink) -> list[str]:
    """Each step with its outcome, in order."""
    rows = [
        [
            ink(one["outcome"].upper() if one["outcome"] in ("failed", "unknown") else one["outcome"], _ink(one)),
            one["step"],
            clock(one.get("at"), now) if one.get("at") else "",
            clean(one.get("detail") or ""),
        ]
        for one in switch["operations"]
    ]
    return columns(rows, "  ")


def _ink(operation: Document) -> str:
    return _OUTCOMES.get(operation["outcome"], "head")


def _what_happened(switch: Document, ink: Ink) -> list[str]:
    halt = switch["halt"]
    version = switch["version"] or "an unnamed version"
    told = hanging("  ", f"{switch['kind']} {switch['id']} of {version} to {switch['candidate']}, at {switch['step']}.")
    told += hanging("  ", halt["summary"])
    told += hanging("  ", halt["advice"]) if halt.get("advice") else []
    told += finding_lines(halt["findings"], ink)
    if switch["accepted"]:
        told.append(f"  accepted by an operator: {', '.join(switch['accepted'])}")
    output = [clean(line) for line in (halt.get("output") or "").splitlines()]
    if output:
        cut = f" (last {_OUTPUT_LINES} of {len(output)} lines)" if len(output) > _OUTPUT_LINES else ""
        told += [f"  output{cut}:", *(f"    | {line}".rstrip() for line in output[-_OUTPUT_LINES:])]
    return told


def _steady(service: Document, switch: Document | None, now: datetime | None, ink: Ink) -> list[str]:
    word = service_lines.state_word(service)
    told = [f"{ink(service['service'], 'head')}  {word}  {service_lines.live_line(service)}"]
    told += service_lines.switch_lines(switch, now, ink) if switch else ["no switch was ever recorded here"]
    warm = service.get("warm")
    told += (
        service_lines.warm_lines(warm, now, ink)
        if warm
        else ["warm    nothing: there is no environment to fail back to"]
    )
    told += service_lines.awaited(service, ink)[:1]
    return [*told, "", *service_lines.traffic(service, now, ink)]


def _ways(service: Document, ink: Ink) -> list[str]:
    lawful = [option for option in service["options"] if option["lawful"]]
    told = [ink("YOUR OPTIONS", "head"), *(option_lines(lawful, ink) or ["  none: wait for what runs"])]
    refused = [option for option in service["options"] if not option["lawful"]]
    if refused:
        names = max(len(option["verb"]) for option in refused)
        told += ["", ink("NOT LAWFUL NOW", "head")]
        for option in refused:
            told += hanging(f"  {option['verb']:<{names}}  ", option["why_not"])
    return told
