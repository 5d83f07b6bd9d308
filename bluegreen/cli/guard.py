"""`bluegreen guard`: preflight checks made while the daemon runs. First in shadow, then enforcing; exported to the
service's file, which configuration management owns and nobody writes to here."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, global_options, service_argument
from bluegreen.cli.words import Document, clean, columns, pairs, when
from bluegreen.errors import BadRequest, ConfigError, NotFound

_PAIR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)


@click.group("guard")
def guard() -> None:
    """Preflight checks made of halts: added in shadow, enforced once they have looked, exported to the file."""


guard.params.extend(global_options(hidden=True))


@guard.command("add", cls=Verb)
@service_argument()
@click.argument("name")
@click.argument("value", nargs=-1)
@click.option(
    "--kind", help="What it looks at: http, tcp, command, dns, tls-expiry, …; VALUE is what stands under that key."
)
@click.option("--set", "more", multiple=True, metavar="KEY=VALUE", help="Another key: timeout=3s, expect.status=204.")
@click.option("--file", "file", type=click.Path(path_type=Path), metavar="FILE", help="The check as YAML, instead.")
@click.option("--lesson", metavar="LESSON", help="The lesson that it is made of: `bluegreen lessons SERVICE`.")
@click.option("--reason", help="Why; it stands in the journal.")
@click.pass_obj
def add(
    settings: Settings, service: str, name: str, value: tuple[str, ...], kind: str | None, more: tuple[str, ...],
    file: Path | None, lesson: str | None, reason: str | None,
) -> int:  # fmt: skip
    """Add the guard NAME to SERVICE, in shadow: it looks at every preflight and says what it would have done.

    \b
    bluegreen guard add shop orders-up --kind http "{url}/orders" --set timeout=3s
    bluegreen guard add shop port --kind tcp db:5432
    bluegreen guard add shop own --kind command -- ./look.sh "{environment}"
    bluegreen guard add shop load --kind prometheus url=http://prom:9090 query=up min=1
    bluegreen guard add shop db-name --kind dns db.example.com
    bluegreen guard add shop certificate --kind tls-expiry shop.example.com:443 --set left=21d
    bluegreen guard add shop disk --kind disk /var/lib/shop --set free=5G
    bluegreen guard add shop keys --kind credential-lifetime 2h
    bluegreen guard add shop ecs --kind aws-permission ecs:UpdateService --set resource=arn:…
    """
    if (file is None) == (kind is None):
        raise click.UsageError("wanted --kind KIND VALUE, or --file FILE")
    if file is not None and (value or more):
        raise click.UsageError("with --file everything stands in the file")
    check = _of_file(file) if file is not None else _of_words(str(kind), value, more)
    body = {"act": "add", "name": name, "check": check, "lesson": lesson, "reason": reason}
    document = _post(settings, service, body)
    for warning in document.get("warnings") or []:
        settings.screen.notice(f"warning: {clean(warning)}")
    _show(settings, document, name)
    settings.screen.notice(f"it looks at the next preflight; then: bluegreen guard enforce {service} {name}")
    return 0


@guard.command("list", cls=Verb)
@service_argument()
@click.pass_obj
def list_(settings: Settings, service: str) -> int:
    """List the guards of SERVICE: in how many preflights they looked, and how often they failed."""
    screen, client = settings.screen, settings.client()
    document = client.get("services", service, "guards")
    if screen.json:
        screen.document(document)
    elif screen.terminal:
        screen.lines(_table(document, client.now, screen.ink))
    else:
        screen.lines(_script(document["service"], one) for one in document["guards"])
    return 0


@guard.command("show", cls=Verb)
@service_argument()
@click.argument("name")
@click.pass_obj
def show(settings: Settings, service: str, name: str) -> int:
    """Show one guard: what it looks at, what it was made of, how it fared."""
    screen, client = settings.screen, settings.client()
    one = _one(client.get("services", service, "guards"), name)
    if screen.json:
        screen.document(one)
    else:
        screen.lines(_whole(one, service, client.now, screen.ink))
    return 0


@guard.command("enforce", cls=Verb)
@service_argument()
@click.argument("name")
@click.option("--force", is_flag=True, help="Though it never looked at a preflight; needs a reason.")
@click.option("--reason", help="Why; it stands in the journal.")
@click.pass_obj
def enforce(settings: Settings, service: str, name: str, force: bool, reason: str | None) -> int:
    """Let a guard halt preflights from here on. It must have looked at one in shadow."""
    _show(settings, _post(settings, service, {"act": "enforce", "name": name, "force": force, "reason": reason}), name)
    return 0


@guard.command("remove", cls=Verb)
@service_argument()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.pass_obj
def remove(settings: Settings, service: str, name: str, reason: str) -> int:
    """Take a guard away. The lesson that it was made of is open again."""
    document = _post(settings, service, {"act": "remove", "name": name, "reason": reason})
    if settings.screen.json:
        settings.screen.document(document)
    else:
        settings.screen.lines([f"guard {name} of {service} is removed"])
    return 0


@guard.command("export", cls=Verb)
@service_argument()
@click.argument("name", required=False)
@click.pass_obj
def export(settings: Settings, service: str, name: str | None) -> int:
    """Print the guards as YAML for the service's file, where they go before those of the same name here.

    Without NAME: those that enforce. In the file there is no shadow.
    """
    screen, document = settings.screen, settings.client().get("services", service, "guards")
    every = [one for one in document["guards"] if not one["in_file"]]
    chosen = [_one(document, name)] if name else [one for one in every if not one["shadow"]]
    if screen.json:
        screen.document({"guards": [_item(one) for one in chosen]})
        return 0
    screen.lines(yaml_lines(chosen))
    if left := [one["name"] for one in every if one["shadow"] and one not in chosen]:
        screen.notice(f"left out, in shadow: {', '.join(left)}")
    if chosen:
        screen.notice("in the service's file it goes before the one kept here, which still ties it to its lesson")
    return 0


# --- what is asked for ---


def _of_words(kind: str, value: tuple[str, ...], more: tuple[str, ...]) -> Document:
    """The check that `--kind KIND VALUE --set KEY=VALUE` describes; whether it is sound is for the daemon to say."""
    if not value:
        raise click.UsageError(f"what does it look at? `--kind {kind} VALUE`")
    check, kind = Document(), kind.replace("-", "_")
    if kind == "command":
        check[kind] = list(value)
    elif all(_PAIR.match(word) for word in value):
        check[kind] = {key: _scalar(text) for key, _, text in (word.partition("=") for word in value)}
    elif len(value) == 1:
        check[kind] = int(value[0]) if value[0].isdecimal() else value[0]
    else:
        raise click.UsageError(f"a {kind} guard looks at one thing: wanted one VALUE, or KEY=VALUE …")
    for pair in more:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{pair!r}: wanted KEY=VALUE")
        _put(check, key.split("."), _scalar(text), pair)
    return check


def _put(check: Document, way: list[str], value: Any, pair: str) -> None:
    """`expect.status=204` goes into `expect`."""
    here = check
    for part in way[:-1]:
        inner = here.setdefault(part, {})
        if not isinstance(inner, dict):
            raise click.UsageError(f"{pair!r}: {part} has a value already")
        here = inner
    here[way[-1]] = value


def _scalar(text: str) -> Any:
    """A number, true, false, a list or an object where it is written as JSON; else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _of_file(file: Path) -> Document:
    """One check, YAML or JSON. Raises ConfigError, BadRequest."""
    from bluegreen.config.yaml import read

    document, faults = read(file)
    if document is None:
        raise ConfigError(faults)
    return {key: value for key, value in document.content.items() if key != "name"}


def _post(settings: Settings, service: str, body: Document) -> Document:
    given = {key: value for key, value in body.items() if value is not None}
    return settings.client().post("services", service, "guards", body=given)


def _one(document: Document, name: str) -> Document:
    found = [one for one in document["guards"] if one["name"] == name]
    if not found and name in document["configured"]:
        raise BadRequest(f"{name} stands in the file of {document['service']}", advice="it is changed there")
    if not found:
        known = ", ".join(one["name"] for one in document["guards"]) or "none"
        raise NotFound(f"{document['service']} has no guard {name!r} beside those of its file", f"known: {known}")
    return dict(found[0])


# --- what is shown ---


def _show(settings: Settings, document: Document, name: str) -> None:
    screen = settings.screen
    if screen.json:
        screen.document(document)
    elif screen.terminal:
        screen.lines(_whole(_one(document, name), document["service"], None, screen.ink))
    else:
        screen.lines([_script(document["service"], _one(document, name))])


def _table(document: Document, now: datetime | None, ink: Ink) -> list[str]:
    heads = ("GUARD", "KIND", "STATE", "LOOKED", "FAILED", "MADE OF", "SINCE")
    rows = [[ink(head, "head") for head in heads]]
    rows += [
        [one["name"], one["kind"], ink(_state(one), "wait" if one["shadow"] else "good"), str(one["ran"]),
         str(one["caught"] + one["would_have_failed"]), one["lesson"] or "-", when(one["at"], now)]
        for one in document["guards"]
    ]  # fmt: skip
    told = columns(rows) if document["guards"] else ["no guard was made here"]
    if document["configured"]:
        told += ["", f"in the service's file: {', '.join(document['configured'])}"]
    return told


def _state(one: Document) -> str:
    if one["in_file"]:
        return "in the file"
    return "in shadow" if one["shadow"] else "enforcing"


def _whole(one: Document, service: str, now: datetime | None, ink: Ink) -> list[str]:
    told = [f"{ink(one['name'], 'head')}  {_state(one)}  by {one['by']} {when(one['at'], now)}"]
    told += [f"  made of  {one['lesson']}"] if one["lesson"] else []
    told += [f"  reason   {clean(one['reason'])}"] if one["reason"] else []
    told += ["  check    " + json.dumps({k: v for k, v in one["check"].items() if k != "name"}, ensure_ascii=False)]
    ran = f"{one['ran']} preflight{'' if one['ran'] == 1 else 's'}"
    fared = f"looked at {ran}; in shadow it would have halted {one['would_have_failed']} of them"
    told += [f"  fared    {fared}; it halted {one['caught']}"]
    told += hanging("  last     ", one["last"]) if one["last"] else []
    if one["shadow"] and one["ran"]:
        told.append(f"  to let it halt: bluegreen guard enforce {service} {one['name']}")
    return told


def _script(service: str, one: Document) -> str:
    return pairs(
        service=service,
        guard=one["name"],
        kind=one["kind"],
        state=_state(one).replace("in the file", "file").replace("in shadow", "shadow"),
        ran=one["ran"],
        would_have_failed=one["would_have_failed"],
        caught=one["caught"],
        lesson=one["lesson"] or None,
    )


def _item(one: Document) -> Document:
    return {"name": one["name"], **{key: value for key, value in one["check"].items() if key != "name"}}


def yaml_lines(guards: list[Document]) -> list[str]:
    """`guards:` for a service's file. Every value is written as JSON, which is YAML."""
    if not guards:
        return ["guards: []"]
    told = ["guards:"]
    for one in guards:
        told += [f"  # made of {clean(one['lesson'])}"] if one["lesson"] else []
        for at, (key, value) in enumerate(_item(one).items()):
            told.append(f"  {'-' if at == 0 else ' '} {key}: {json.dumps(value, ensure_ascii=False)}")
    return told
