"""`bluegreen debts`: what a failback left wrong on purpose; to read, to acknowledge, to own, to pay."""

from __future__ import annotations

import click

from bluegreen.cli.debt_lines import debt_lines
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document
from bluegreen.errors import ExitCode


@click.command("debts", cls=Verb)
@service_argument()
@click.argument("ids", nargs=-1)
@click.option("--acknowledge", is_flag=True, help="You have read them: those named by IDS, or all.")
@click.option("--own", metavar="ID", help="Somebody sees to this one: --owner.")
@click.option("--owner", metavar="NAME", help="Who sees to it.")
@click.option("--paid", metavar="ID", help="This one is put right; --reason says how.")
@click.option("--reason", help="Why; it stands in the journal.")
@click.pass_obj
def debts(
    settings: Settings, service: str, ids: tuple[str, ...], acknowledge: bool, own: str | None, owner: str | None,
    paid: str | None, reason: str | None,
) -> int:  # fmt: skip
    """Show what failbacks of SERVICE left wrong on purpose, and put words on it.

    No deployment begins before each was acknowledged. A debt ends when it is paid, or when the release that was left is
    live again.
    """
    if sum((acknowledge, own is not None, paid is not None)) > 1:
        raise click.UsageError("one word at a time: --acknowledge, --own or --paid")
    if ids and not acknowledge:
        raise click.UsageError("ids go with --acknowledge")
    if (own is None) != (owner is None):
        raise click.UsageError("--own ID and --owner NAME go together")
    if paid is not None and not (reason or "").strip():
        raise click.UsageError("--paid wants --reason: how it was put right")
    client, body = settings.client(), _body(ids, acknowledge, own, owner, paid)
    if body:
        if reason:
            body["reason"] = reason
        document = client.post("services", service, "debts", body=body)
    else:
        document = client.get("services", service, "debts")
    _show(settings, document)
    return ExitCode.DONE


def _body(
    ids: tuple[str, ...], acknowledge: bool, own: str | None, owner: str | None, paid: str | None
) -> Document | None:
    if acknowledge:
        return {"acknowledge": list(ids)}
    if own is not None:
        return {"own": own, "owner": owner}
    return {"paid": paid} if paid is not None else None


def _show(settings: Settings, document: Document) -> None:
    screen = settings.screen
    if screen.json:
        screen.document(document)
    else:
        screen.lines(debt_lines(document, screen.ink)[1:] or [f"{document['service']}: no failback left any debt"])
