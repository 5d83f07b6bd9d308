"""`bluegreen restore` and `bluegreen leave`: an operator's answers to a drift, about exactly what was shown here."""

from __future__ import annotations

import time

import click

from bluegreen.cli.acts import halt_of, state_lines
from bluegreen.cli.client import Client
from bluegreen.cli.drift_lines import meant, shows
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, split
from bluegreen.errors import ExitCode

EVERY = 0.3
WAIT_SECONDS_MAX = 180.0
"""How long the outcome is waited for; the daemon goes on whether or not anybody waits."""


@click.command("restore", cls=Verb)
@service_argument()
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
@click.pass_obj
def restore(settings: Settings, service: str, reason: str, halt: str | None) -> int:
    """Put the balancers back to what the journal says. Refused where they show something else than is shown here."""
    screen, client = settings.screen, settings.client()
    now = client.get("services", service)
    drifts = meant(now)
    for drift in drifts:
        screen.notice(f"{drift['switch_point']} {shows(drift)}; to be written: {split(drift['expected'])}")
    after = client.post("services", service, "restore", body=_body(drifts, reason, halt or halt_of(now)))
    after = _outcome(client, after)
    _show(settings, after)
    return _code(settings, after, {drift["id"] for drift in drifts})


@click.command("leave", cls=Verb)
@service_argument()
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.option("--halt", metavar="ID", help="The halt that this answers: refused when it is no longer that one.")
@click.pass_obj
def leave(settings: Settings, service: str, reason: str, halt: str | None) -> int:
    """Leave the balancers as they are. Nothing is written; nobody is alarmed until something changes again."""
    screen, client = settings.screen, settings.client()
    now = client.get("services", service)
    drifts = meant(now)
    for drift in drifts:
        screen.notice(
            f"{drift['switch_point']} {shows(drift)}, the journal says {split(drift['expected'])}; it stays so"
        )
    _show(settings, client.post("services", service, "leave", body=_body(drifts, reason, halt or halt_of(now))))
    return ExitCode.DONE


def _body(drifts: list[Document], reason: str, halt: str | None) -> Document:
    body: Document = {"reason": reason, "drift": [drift["id"] for drift in drifts]}
    return body if halt is None else {**body, "halt": halt}


def _outcome(client: Client, service: Document) -> Document:
    """Wait until the order has ended, or only waits for a balancer that cannot be read."""
    until = time.monotonic() + WAIT_SECONDS_MAX
    while (service.get("restore") or {}).get("pending") and time.monotonic() < until:
        time.sleep(EVERY)
        service = client.get("services", service["service"])
    return service


def _code(settings: Settings, service: Document, ids: set[str]) -> int:
    order, screen = service.get("restore") or {}, settings.screen
    if order.get("pending"):
        screen.notice(f"the time is up; the daemon goes on: bluegreen status {service['service']}")
        return ExitCode.TIMEOUT
    if order.get("unknown"):
        screen.notice(f"whether it was written is not known at {', '.join(order['unknown'])}: it is looked up")
        return ExitCode.UNKNOWN
    rest = [drift for drift in service.get("drift") or [] if drift["id"] in ids]
    for drift in rest:
        screen.notice(f"{drift['switch_point']} was not restored: {clean(drift.get('refused') or shows(drift))}")
    return ExitCode.FAILED if rest else ExitCode.DONE


def _show(settings: Settings, service: Document) -> None:
    if settings.screen.json:
        settings.screen.document(service)
    else:
        settings.screen.lines(state_lines(service, settings))
