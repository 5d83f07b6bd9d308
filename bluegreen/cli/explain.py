"""`bluegreen explain`: why things are as they are. At a halt: what happened, what is done, where the traffic is, which
ways there are. To be read at 3 a.m."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from bluegreen.cli import service_lines
from bluegreen.cli.claim import claim_lines
from bluegreen.cli.debt_lines import debt_lines
from bluegreen.cli.drift_lines import since_then
from bluegreen.cli.evidence import conclusion_lines, evidence_line
from bluegreen.cli.findings import finding_lines, hanging, option_lines, refused_lines
from bluegreen.cli.lessons import seen_lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, clock, moment, when
from bluegreen.errors import NotFound

_OUTCOMES = {"done": "good", "failed": "bad", "unknown": "bad", "not done": "dim"}
_UNDO = {"nothing": "nothing needed", "one_write": "", "by_hand": "BY HAND", "cannot": "CANNOT BE UNDONE"}
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
    told += [ink("WHAT HAPPENED", "head"), *_what_happened(service, switch, now, ink), ""]
    told += [ink("WHAT IS DONE", "head"), *way_lines(switch["way"], now, ink), ""]
    told += [ink("WHERE TRAFFIC IS", "head"), *("  " + line for line in service_lines.traffic(service, now, ink))]
    if switch["condition"] == "halted":
        told.append("  Everything stays as it is until a person decides, however long that takes.")
    return told


def way_lines(way: Sequence[Document], now: datetime | None, ink: Ink) -> list[str]:
    """Each operation of the whole way with its outcome, in order; below it what taking it back would need."""
    outcomes = max((len(one["outcome"]) for one in way), default=0)
    names = max((len(clean(one["what"])) for one in way), default=0)
    times = max((len(clock(one["at"], now)) for one in way if one["at"]), default=0)
    lines = []
    for one, following in zip(way, [*way[1:], None], strict=True):
        outcome = one["outcome"].upper() if one["outcome"] in ("failed", "unknown") else one["outcome"]
        word = ink(outcome.ljust(outcomes), _OUTCOMES.get(one["outcome"], "head"))
        at = (clock(one["at"], now) if one["at"] else "").ljust(times)
        lines += hanging(f"  {word}  {clean(one['what']):<{names}}  {at}  ", one["detail"])
        if following is None or (one["undo"], one["takes"]) != (following["undo"], following["takes"]):
            lines += _undo_lines(one, " " * (outcomes + 4), ink)  # once for several that one act takes back
    return lines


def _undo_lines(one: Document, indent: str, ink: Ink) -> list[str]:
    if one["undo"] == "nothing" and not one["takes"]:
        return []
    word = _UNDO[one["undo"]]
    return hanging(f"{indent}to undo: {ink(word, 'wait') + ': ' if word else ''}", one["takes"], len(indent) + 9)


def _what_happened(service: Document, switch: Document, now: datetime | None, ink: Ink) -> list[str]:
    halt = switch["halt"]
    version = switch["version"] or "an unnamed version"
    told = hanging("  ", f"{switch['kind']} {switch['id']} of {version} to {switch['candidate']}, at {switch['step']}.")
    told += hanging("  ", halt["summary"])
    told += conclusion_lines(switch)
    told += since_then(service, halt, now, ink) if switch["condition"] == "halted" else []
    told += hanging("  ", halt["advice"]) if halt.get("advice") else []
    told += finding_lines([_once(one, halt) for one in halt["findings"]], ink, answers=True)
    told += seen_lines(halt, ink)
    told += [*claim_lines(switch, ink), *evidence_line(switch, ink)]
    if switch["accepted"]:
        told.append(f"  accepted by an operator: {', '.join(switch['accepted'])}")
    output = [clean(line) for line in (halt.get("output") or "").splitlines()]
    if output:
        cut = f" (last {_OUTPUT_LINES} of {len(output)} lines)" if len(output) > _OUTPUT_LINES else ""
        told += [f"  output{cut}:", *(f"    | {line}".rstrip() for line in output[-_OUTPUT_LINES:])]
    return told


def _once(finding: Document, halt: Document) -> Document:
    """Without an advice that stands above already."""
    return {**finding, "advice": ""} if finding.get("advice") == halt.get("advice") else finding


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
    if switch and (switch["ended_at"] is None or switch["id"] != (service.get("switch") or {}).get("id")):
        told += ["", ink("WHAT IS DONE", "head"), *way_lines(switch["way"], now, ink)]
    return [*told, "", *service_lines.traffic(service, now, ink)]


def _ways(service: Document, ink: Ink) -> list[str]:
    lawful = [option for option in service["options"] if option["lawful"]]
    told = [ink("YOUR OPTIONS", "head"), *(option_lines(lawful, ink) or ["  none: wait for what runs"])]
    refused = [option for option in service["options"] if not option["lawful"]]
    return [*told, "", ink("NOT POSSIBLE NOW", "head"), *refused_lines(refused)] if refused else told
