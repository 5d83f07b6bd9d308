"""`bluegreen lessons`: what halts have taught; what one came from; and that nothing more is to be done about one."""

from __future__ import annotations

from datetime import datetime

import click

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, columns, pairs, when
from bluegreen.model import CAUSE_CLASSES

_SHOWN = 10


@click.command("lessons", cls=Verb)
@service_argument(required=False)
@click.argument("act", required=False, type=click.Choice(["resolve", "close"]))
@click.argument("lesson", required=False)
@click.option("--cause", metavar="CLASS", help=f"resolve: one of {', '.join(CAUSE_CLASSES)}.")
@click.option("--note", metavar="TEXT", help="resolve: what it was; whoever sees one like it next reads it.")
@click.option("--guard", metavar="NAME", help="close: this guard looks for it.")
@click.option("--reason", help="close: why no guard is wanted.")
@click.pass_obj
def lessons(
    settings: Settings, service: str | None, act: str | None, lesson: str | None, cause: str | None, note: str | None,
    guard: str | None, reason: str | None,
) -> int:  # fmt: skip
    """List what halts have taught: what comes again without a guard first.

    `lessons SERVICE resolve LESSON --cause CLASS --note TEXT` says what a halt came from. `lessons SERVICE close
    LESSON` ends one, by --guard NAME or by --reason TEXT for none. LESSON is a fingerprint, its short name, or a
    halt's id.
    """
    if act is None or service is None:
        if lesson or cause or note or guard or reason:
            raise click.UsageError("these options go with `lessons SERVICE resolve LESSON` or `… close LESSON`")
        return _list(settings, service)
    if lesson is None:
        raise click.UsageError(f"which lesson? `bluegreen lessons {service}` lists them")
    body = {"lesson": lesson, "act": act, **_told(act, cause, note, guard, reason)}
    document = settings.client().post("services", service, "lessons", body=body)
    if settings.screen.json:
        settings.screen.document(document)
    else:
        met = (lesson_ for lesson_ in document["lessons"] if _is_meant(lesson_, lesson))
        settings.screen.lines(line for one in met for line in lesson_lines(one, service, settings.screen.ink))
    return 0


def _told(act: str, cause: str | None, note: str | None, guard: str | None, reason: str | None) -> Document:
    """What goes with the act; what does not belong to it is a fault of use."""
    given = {"cause": cause, "note": note, "guard": guard, "reason": reason}
    wanted = ("cause", "note") if act == "resolve" else ("guard", "reason")
    if strange := [f"--{name}" for name, value in given.items() if value and name not in wanted]:
        raise click.UsageError(f"{', '.join(strange)}: not of `{act}`")
    if act == "resolve" and not (cause and note):
        raise click.UsageError(f"resolve needs --cause and --note; classes: {', '.join(CAUSE_CLASSES)}")
    if act == "close" and not (guard or reason):
        raise click.UsageError("close needs --guard NAME, or --reason TEXT for none")
    return {name: value for name, value in given.items() if value}


def _is_meant(lesson: Document, name: str) -> bool:
    return name in (lesson["fingerprint"], lesson["id"], *(halt["halt"] for halt in lesson["halts"]))


def _list(settings: Settings, service: str | None) -> int:
    screen, client = settings.screen, settings.client()
    names = [service] if service else [one["service"] for one in client.get("services")["services"]]
    found = [client.get("services", name, "lessons") for name in names]
    if screen.json:
        screen.document(found[0] if service else {"services": found})
    elif screen.terminal:
        told = [[*lines(one, client.now, screen.ink), ""] for one in found]
        screen.lines(line for block in told for line in block[: None if len(told) > 1 else -1])
    else:
        screen.lines(_script(one, lesson) for one in found for lesson in one["lessons"])
    return 0


def lines(document: Document, now: datetime | None, ink: Ink) -> list[str]:
    """One service's lessons, as a screen."""
    service, every = document["service"], document["lessons"]
    head = f"{ink(service, 'head')}  {_many(len(every), 'kind')} of halts"
    head += f", {document['recurring']} recurring without a guard" if document["recurring"] else ""
    missing = document["without_cause"]
    head += f", {_many(len(missing), 'halt')} without a cause" if missing else ""
    told = [head]
    recurring, rest = every[: document["recurring"]], every[document["recurring"] :]
    for title, group in (("RECURRING WITHOUT A GUARD", recurring), ("THE OTHERS" if recurring else "LESSONS", rest)):
        if group:
            told += ["", ink(title, "head")]
        for one in group:
            told += lesson_lines(one, service, ink)
    if missing:
        told += ["", ink("WITHOUT A CAUSE", "head")]
        rows = [[one["halt"], one["fingerprint"], when(one["at"], now), one["answer"]] for one in missing[:_SHOWN]]
        told += columns(rows, "  ")
        told += [f"  and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        told.append(f'  say what it was: bluegreen lessons {service} resolve HALT --cause CLASS --note "…"')
    return told


def lesson_lines(one: Document, service: str, ink: Ink) -> list[str]:
    """One kind of halt: its state, what helped, and what to do about it."""
    told = [f"  {one['id']}  {ink(one['fingerprint'], 'head')}  {_state(one, ink)}"]
    told += hanging("            ", one["text"])
    if one["flag"]:
        told += hanging(f"            {ink('AGAIN', 'bad')}  ", one["flag"])
    if one["state"] == "open" and one["times"] > 1:
        told.append(f"            make a guard of it: bluegreen guard add {service} NAME --kind … --lesson {one['id']}")
        told.append(f'            or close it: bluegreen lessons {service} close {one["id"]} --reason "…"')
    return told


def seen_lines(halt: Document, ink: Ink) -> list[str]:
    """What is known of halts like this one, at a halt; nothing where it is the first."""
    known = halt.get("lessons")
    if not known or not known["times"]:
        return []
    told = hanging(f"  {ink('SEEN', 'wait')}    {known['fingerprint']}  ", known["text"], 10)
    return told + (hanging(f"  {ink('AGAIN', 'bad')}   ", known["despite"]) if known["despite"] else [])


def _state(one: Document, ink: Ink) -> str:
    if one["state"] == "guarded":
        names = ", ".join(f"{guard['name']}{' (in shadow)' if guard['shadow'] else ''}" for guard in one["guards"])
        return ink(f"guarded by {names}", "good")
    if one["state"] == "closed":
        return f"closed: {clean(one['closed']['reason'])}"
    return ink("open", "wait")


def _script(document: Document, one: Document) -> str:
    return pairs(
        service=document["service"],
        lesson=one["id"],
        fingerprint=one["fingerprint"],
        times=one["times"],
        state=one["state"],
        guards=",".join(guard["name"] for guard in one["guards"]) or None,
        last=one["last_at"],
        flag=one["flag"] or None,
        text=one["text"],
    )


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
