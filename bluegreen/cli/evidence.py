"""`bluegreen evidence`: what was kept at a halt, as a summary or as one archive."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from bluegreen.cli.client import Client
from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, moment, when
from bluegreen.errors import BlueGreenError, ExitCode, NotFound

SHORT = 12


@click.command("evidence", cls=Verb)
@service_argument()
@click.argument("switch", required=False)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it there, as a .tar.gz.")
@click.pass_obj
def evidence(settings: Settings, service: str, switch: str | None, output: Path | None) -> int:
    """Show what was kept at a halt; of the last switch that has evidence, unless SWITCH names another."""
    screen, client = settings.screen, settings.client()
    chosen = switch or _last(client, service)
    document = client.get("switches", chosen, "evidence")
    if output is not None:
        raw, digest = client.download("switches", chosen, "evidence", "archive")
        _write(output, raw)
        document = {**document, "archive": str(output), "archive_bytes": len(raw)}
        screen.notice(f"{output}: {len(raw)} bytes; the manifest in it has the digest {digest}")
    if screen.json:
        screen.document(document)
    elif output is None:
        screen.lines(_lines(client, service, chosen, document, screen.ink))
    if document["manifest"]["changed"]:
        screen.notice(f"CHANGED since it was sealed: {', '.join(document['manifest']['changed'])}")
        return ExitCode.FAILED
    return ExitCode.DONE


def evidence_line(switch: Document, ink: Ink) -> list[str]:
    """One line for a halt's screen."""
    kept = switch.get("evidence")
    if not kept:
        return []
    if kept["state"] == "gathering":
        return ["  evidence is being kept; that takes seconds"]
    if kept["state"] == "lost":
        return [f"  {ink('evidence is lost', 'bad')}: {clean(kept['error'])}"]
    missing = f", {len(kept['missing'])} sources gave nothing" if kept["missing"] else ""
    command = f"bluegreen evidence {switch['service']}"
    told = f"  evidence  {kept['digest'][:SHORT]}  {len(kept['parts'])} parts{missing}: {command}"
    return [told]


def conclusion_lines(switch: Document) -> list[str]:
    """What the same checks showed on the live side."""
    kept = switch.get("evidence") or {}
    return [line for one in kept.get("conclusions", ()) for line in hanging("  ", one)]


def _last(client: Client, service: str) -> str:
    switches = client.get("services", service, "history", limit=50)["switches"]
    found = next((one["id"] for one in switches if one.get("evidence")), None)
    if found is None:
        raise NotFound(
            f"{service} has no evidence: none of its last switches was halted", f"bluegreen history {service}"
        )
    return str(found)


def _write(output: Path, raw: bytes) -> None:
    """For the owner's eyes only; what is there already is left alone."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
    except FileExistsError:
        raise BlueGreenError(f"{output} is there already", "name another file: --output FILE") from None
    except OSError as error:
        raise BlueGreenError(
            f"{output} cannot be written: {error.strerror}", "name another file: --output FILE"
        ) from error


def _lines(client: Client, service: str, switch: str, document: Document, ink: Ink) -> list[str]:
    now = moment(document["manifest"].get("sealed_at"))
    late = ", late: by another process than the one that halted" if document["late"] else ""
    told = [f"{ink('EVIDENCE', 'head')}  {document['halt']}  sealed {when(document['at'], now)}{late}"]
    told += [f"  sha256 {document['digest']}", ""]
    told += [line for one in document["conclusions"] for line in hanging("  ", one)]
    for name, part in document["manifest"]["parts"].items():
        told.append(f"  {name:<24} {part['bytes']:>8} bytes{', cut' if part['cut'] else ''}  {part['sha256'][:SHORT]}")
    told += [f"  {ink('missing', 'bad')}  {name}: {clean(why)}" for name, why in document["missing"].items()]
    if "findings.json" in document["parts"]:
        told += ["", ink("WHAT FAILED", "head"), *_failed(client, switch)]
    return [*told, "", f"all of it: bluegreen evidence {service} {switch} --output FILE"]


def _failed(client: Client, switch: str) -> list[str]:
    """Request, answer and timing of what was not good."""
    text = client.get("switches", switch, "evidence", "parts", "findings.json")["text"]
    told: list[str] = []
    for one in json.loads(text)["findings"]:
        if not one["ok"]:
            told += hanging("  ", f"{one['check']}: {clean(one['summary'])}")
            told += [line for key, value in one["detail"].items() for line in hanging(f"    {key}: ", clean(value))]
    return told or ["  nothing was looked at: the step itself failed"]
