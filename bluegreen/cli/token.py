"""`bluegreen token`: what opens the daemon's TCP door. The token is made here; the daemon only ever sees its digest."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import click

from bluegreen.cli.settings import Settings, Verb, global_options
from bluegreen.cli.words import Document, clean, columns, pairs, when
from bluegreen.errors import BadRequest

BYTES = 32


@click.group("token")
def token() -> None:
    """Make, list and revoke the tokens of the TCP endpoint (`control.http`)."""


token.params.extend(global_options(hidden=True))


@token.command("make", cls=Verb)
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Into this new file, for you alone.")
@click.option("--reason", help="What it is for.")
@click.pass_obj
def make(settings: Settings, name: str, output: Path | None, reason: str | None) -> int:
    """Make the token NAME, and print it: once, since nobody keeps it but you.

    NAME is on record with every act that it is used for. To use it: --url URL --token-file FILE.
    """
    made, screen = secrets.token_urlsafe(BYTES), settings.screen
    if output is not None:
        _write(output, made)  # first: a token that nobody has must not be made
    body = {"act": "make", "name": name, "sha256": hashlib.sha256(made.encode()).hexdigest(), "reason": reason}
    try:
        document = settings.client().post(
            "tokens", body={key: value for key, value in body.items() if value is not None}
        )
    except BaseException:
        if output is not None:
            output.unlink(missing_ok=True)
        raise
    shown = {} if output is not None else {"token": made}
    if screen.json:
        screen.document({**document, **shown})
    else:
        screen.lines([made] if output is None else [f"token {name} is in {output}"])
    if not document["http"]:
        screen.notice("no TCP endpoint is configured: it opens nothing until `control.http` is")
    return 0


@token.command("list", cls=Verb)
@click.pass_obj
def list_(settings: Settings) -> int:
    """List the tokens: who made which, when, and which were revoked."""
    screen, client = settings.screen, settings.client()
    document = client.get("tokens")
    if screen.json:
        screen.document(document)
    elif screen.terminal:
        heads = [screen.ink(head, "head") for head in ("TOKEN", "STATE", "BY", "SINCE", "FOR")]
        rows = [
            [one["name"], _state(one), one["by"] or "-", when(one["at"], client.now) if one["at"] else "-",
             clean(one["reason"]) or "-"]
            for one in document["tokens"]
        ]  # fmt: skip
        screen.lines(columns([heads, *rows]) if rows else ["no token"])
    else:
        screen.lines(_script(one) for one in document["tokens"])
    if document["error"]:
        screen.notice(f"tokens that were made are not known: {clean(document['error'])}")
    return 0


@token.command("revoke", cls=Verb)
@click.argument("name")
@click.pass_obj
def revoke(settings: Settings, name: str) -> int:
    """Revoke the token NAME: from here on it opens nothing."""
    document = settings.client().post("tokens", body={"act": "revoke", "name": name})
    if settings.screen.json:
        settings.screen.document(document)
    else:
        settings.screen.lines([f"token {name} is revoked"])
    return 0


def _write(file: Path, made: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadRequest(
            f"{file} cannot be made: {error.strerror}", advice="name a file that is not there yet"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(made + "\n")


def _state(one: Document) -> str:
    if one["revoked_at"]:
        return f"revoked by {one['revoked_by']}"
    return "good" if one["from"] == "made" else "in the configuration"


def _script(one: Document) -> str:
    return pairs(
        token=one["name"], state="revoked" if one["revoked_at"] else "good", made=one["from"], by=one["by"] or None,
        at=one["at"], revoked_by=one["revoked_by"] or None, revoked_at=one["revoked_at"], reason=one["reason"] or None,
    )  # fmt: skip
