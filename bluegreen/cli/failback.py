"""`bluegreen failback`: moves the traffic back. It asks the daemon; where none answers, see `alone`."""

from __future__ import annotations

import sys

import click

from bluegreen.cli import cause as causes
from bluegreen.cli.cause import cause_options
from bluegreen.cli.client import Client
from bluegreen.cli.debt_lines import debt_lines
from bluegreen.cli.failback_screen import Asked, Dialog, Said, dialog, show_plan, traffic_lines, without_terminal
from bluegreen.cli.follow import Patience, ending, follow
from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, moment
from bluegreen.errors import DaemonUnreachable, ExitCode, Refused


@click.command("failback", cls=Verb)
@service_argument()
@click.option("--reason", help="Why; it stands in the journal.")
@click.option("--yes", is_flag=True, help="Do not ask for the service's name. Needed where there is no terminal.")
@click.option("--acknowledge", metavar="ID", multiple=True, help="An unsafe line that you have read; once for each.")
@click.option("--plan", metavar="ID", help="Only if the plan is still this one (--dry-run shows it).")
@click.option("--dry-run", is_flag=True, help="Show the plan and its risks; move nothing.")
@click.option("--take-over", is_flag=True, help="End a daemon that holds the journal and does not answer.")
@click.option("--card", metavar="FILE", help="Without daemon and journal: fail back from this card of the service.")
@cause_options
@click.pass_obj
def failback(
    settings: Settings, service: str, reason: str | None, yes: bool, acknowledge: tuple[str, ...], plan: str | None,
    dry_run: bool, take_over: bool, card: str | None, cause: str | None, note: str | None,
) -> int:  # fmt: skip
    """Move the traffic of SERVICE back to the environment that was live before.

    Shows where traffic is and goes, whether the other side can take it, and what is safe, unsafe or not known about it;
    asks for each unsafe line's id and for the service's name; then does it and follows it to its end. Where no daemon
    answers, this process does it: same engine, same journal, same lock. Where the journal cannot be used either, it
    goes by the service's card, and the report is what the card knows.
    """
    asked = Asked(service, (reason or "").strip(), yes, plan, dry_run, take_over, card, acknowledge)
    if not dry_run and not sys.stdin.isatty():
        without_terminal(asked)
    client = settings.client()
    try:
        shown = client.get("services", service, "failback")
    except DaemonUnreachable as gone:
        if settings.url:
            raise
        from bluegreen.cli.alone import failback_alone

        if cause or note:
            settings.screen.notice(f"the cause is not recorded without the daemon; later: bluegreen lessons {service}")
        return failback_alone(settings, asked, gone)
    if card:
        raise Refused(
            "the daemon answers, and it has the journal: no card is needed; nothing was moved", "leave --card out"
        )
    show_plan(shown, asked, client.now, settings.screen)
    if dry_run:
        return ExitCode.DONE
    told = {key: value for key, value in {"cause": cause, "note": note}.items() if value}
    said, halt = _answered(dialog(shown, asked)), causes.answered(client, settings.screen, service)
    code = _move(client, shown, said, told, settings.screen)
    if code != ExitCode.DETACHED:
        causes.ask(client, settings.screen, service, halt, cause)
    return code


def _move(client: Client, plan: Document, said: Said, told: dict[str, str], screen: Screen) -> int:
    """Ask the daemon for it, and follow it. `told`: what the halt came from, where that was said."""
    service = plan["service"]
    body = {**said.body(plan["plan"]), **told}
    started = client.post("services", service, "failback", body=body)["switch"]
    try:
        code, last = follow(client, started, screen, Patience())
        after = client.get("services", service)
    except KeyboardInterrupt:
        screen.notice(f"\ndetached; the failback goes on: bluegreen watch {service}")
        return ExitCode.DETACHED
    show_end(plan, last, after, screen)
    return code


def show_end(plan: Document, switch: Document, after: Document, screen: Screen) -> None:
    """How it ended, and the split before and after."""
    points = after["switch_points"]
    traffic = [
        {**one, "after": _split_after(points[one["switch_point"]], switch)}
        for one in plan["traffic"]
        if one["switch_point"] in points
    ]
    told = ["", *traffic_lines(traffic, "BEFORE", "AFTER", screen.ink), "", *ending(after, switch, screen)]
    screen.lines([*told, *debt_lines(after, screen.ink)])
    if screen.json:
        screen.document(switch)


def _split_after(point: Document, switch: Document) -> Document | None:
    """What the balancer shows; where it was not read since, what was on record after the write was read back."""
    read, changed = moment(point.get("read_at")), moment(switch["changed_at"])
    fresh = read is not None and changed is not None and read >= changed
    split: Document | None = point["shown"] if fresh else point["asked"]
    return split


def _answered(questions: Dialog) -> Said:
    """Drive the dialog at the terminal. Raises click.Abort at the end of the input."""
    try:
        question = next(questions)
        while True:
            print(question, end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline()
            if not answer:
                raise click.Abort
            question = questions.send(answer)
    except StopIteration as end:
        said: Said = end.value
        return said
