"""A service's document to lines: one for a script, one row of a table, or a screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bluegreen.cli.debt_lines import debt_lines, debts_row
from bluegreen.cli.drift_lines import alarming, drift_lines
from bluegreen.cli.findings import hanging
from bluegreen.cli.flag_lines import artifact_lines, flag_lines
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import (
    Document,
    ago,
    clean,
    columns,
    moment,
    pairs,
    share,
    short_split,
    span,
    split,
    until,
    when,
)  # fmt: skip

_INKS = {"HALTED": "bad", "UNKNOWN": "bad", "DRIFT": "bad", "APPROVAL": "wait", "PAUSED": "wait", "steady": "good"}


def open_switch(service: Document) -> Document | None:
    """The switch that holds the service now; None where it has ended."""
    switch: Document | None = service.get("switch")
    return switch if switch and switch["condition"] in ("running", "paused", "halted") else None


def state_word(service: Document) -> str:
    """How the service fares in one word; capitals where a person is awaited."""
    switch = open_switch(service)
    if switch and switch["condition"] == "halted":
        return "HALTED"
    if service.get("unknown") or service.get("distrust") or (service.get("live") is None and not switch):
        return "UNKNOWN"
    if alarming(service):
        return "DRIFT"
    if switch and switch["condition"] == "paused":
        return "APPROVAL" if switch.get("awaiting") == "approval" else "PAUSED"
    return switch["phase"] if switch else "steady"


def script_line(service: Document) -> str:
    """One `key=value` line; without ages, so that it changes only when the service does."""
    switch = service.get("switch") or {}
    warm = service.get("warm") or {}
    halt = switch.get("halt") or {}
    points = service["switch_points"].values()
    return pairs(
        service=service["service"],
        state=state_word(service).lower(),
        live=service.get("live") or "?",
        asked=short_split(_weights(service)),
        shown="|".join(dict.fromkeys(short_split(point.get("shown")) for point in points)) or None,
        release=_version(service, service.get("live")),
        warm=f"{warm['environment']}:{'ready' if warm['ready'] else 'not-ready'}" if warm else None,
        drift=",".join(one["switch_point"] for one in alarming(service)) or None,
        left=",".join(one["switch_point"] for one in service.get("drift") or [] if one.get("left")) or None,
        restoring=",".join((service.get("restore") or {}).get("pending") or []) or None,
        unknown=",".join(service.get("unknown") or []) or None,
        frozen=",".join(one["name"] for one in _freezes(service)) or None,
        debts=len(service.get("debts") or []) or None,
        journal="ailing" if service.get("journal") else None,
        switch=switch.get("id"),
        kind=switch.get("kind"),
        condition=switch.get("condition"),
        step=switch.get("step"),
        awaiting=switch.get("awaiting"),
        halt=halt.get("id"),
        claimed=(switch.get("claim") or {}).get("by"),
    )


def table(services: Sequence[Document], now: datetime | None, ink: Ink) -> list[str]:
    """All services, a row each; below it who is awaited, and the command to go and see."""
    heads = ("SERVICE", "STATE", "TRAFFIC", "ON THE BALANCER", "RELEASE", "WARM", "SINCE")
    rows = [[ink(head, "head") for head in heads]]
    for one in services:
        word = state_word(one)
        rows.append(
            [
                ink(one["service"], "head"),
                ink(word, _INKS.get(word, "head")),
                split(_weights(one)),
                _agreement(one, now),
                _version(one, one.get("live")) or "-",
                _warm_word(one, now),
                span((now - since).total_seconds()) if now and (since := _since(one)) else "-",
            ]
        )
    told = [line for one in services[:1] for line in journal_lines(one, ink)]  # all services have one journal
    told += [line for one in services for line in (*awaited(one, ink), *freeze_lines(one, ink), *debts_row(one, ink))]
    return [*columns(rows), *([""] if told else []), *told]


def screen(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    """One service: its environments, its switch points, what is warm, what runs, who is awaited."""
    word = state_word(service)
    lines = [f"{ink(service['service'], 'head')}  {ink(word, _INKS.get(word, 'head'))}  {live_line(service)}", ""]
    lines += _environments(service, now, ink)
    lines += ["", *traffic(service, now, ink)]
    warm = service.get("warm")
    if warm:
        lines += ["", *warm_lines(warm, now, ink)]
    if service.get("switch"):
        lines += ["", *switch_lines(service["switch"], now, ink)]
    frozen = freeze_lines(service, ink)
    lines += [*([""] if frozen else []), *frozen, *debt_lines(service, ink)]
    told = [*journal_lines(service, ink), *awaited(service, ink), *lessons_lines(service, ink)]
    return [*lines, *([""] if told else []), *told]


def freeze_lines(service: Document, ink: Ink) -> list[str]:
    """What must not be begun now, and until when; and what comes within a day."""
    coming, now = (service.get("freeze") or {}).get("next"), moment(service.get("as_of"))
    told = [(one, f"in force until {until(one['until'], now)}") for one in _freezes(service)]
    told += [(coming, f"ahead, from {until(coming['since'], now)}")] if coming else []
    lines = []
    for one, word in told:
        why = f" ({one['why']})" if one["why"] else ""
        text = f"{service['service']}: {one['name']}{why}, {word}: {', '.join(one['actions'])}; never a failback"
        lines += hanging(f"{ink('freeze', 'wait')}  ", text)
    return lines


def _freezes(service: Document) -> list[Document]:
    """Those in force."""
    return list((service.get("freeze") or {}).get("active") or [])


def lessons_lines(service: Document, ink: Ink) -> list[str]:
    """What halts have left to be done; nothing where all is learned."""
    known = service.get("lessons") or {}
    parts = []
    if known.get("recurring"):
        parts.append(f"{known['recurring']} recurring without a guard")
    if missing := known.get("without_cause"):
        parts.append(f"{missing} halt{'' if missing == 1 else 's'} without a cause")
    return [f"{ink('lessons', 'dim')}  {', '.join(parts)}: bluegreen lessons {service['service']}"] if parts else []


def journal_lines(service: Document, ink: Ink) -> list[str]:
    """What ails the journal, and what to do; nothing where all is well."""
    ails = service.get("journal")
    return hanging(f"{ink('JOURNAL', 'bad')}  ", f"{ails['summary']}: {ails['advice']}") if ails else []


def live_line(service: Document) -> str:
    """Which environment is live, or why nobody knows."""
    live = service.get("live")
    if live is None:
        return f"it is not known which environment is live: {clean(service.get('live_unknown') or 'no reason given')}"
    version = _version(service, live)
    return f"{live} is live" + (f" with {version}" if version else "")


def traffic(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    """Every switch point: what was asked of it, what it shows, and whether that is the same."""
    rows = [[ink(head, "head") for head in ("SWITCH POINT", "ASKED", "ON THE BALANCER", "")]]
    for name, point in service["switch_points"].items():
        age = ago(point.get("read_at"), now)
        match point.get("agrees"):
            case True:
                verdict = "as asked"
            case False:
                verdict = ink("DIFFERS", "bad")
            case _:
                verdict = ink("not read", "bad")
        error = ink(clean(point.get("error") or ""), "bad")
        note = ", ".join(part for part in (verdict, f"read {age}" if age else "", error) if part)
        rows.append([name, split(point.get("asked")), split(point.get("shown")), note])
    lines = columns(rows)
    if service.get("distrust"):
        lines.append(f"{ink('JOURNAL', 'bad')}  {clean(service['distrust'])}")
    if (service.get("card") or {}).get("error"):
        lines.append(f"{ink('CARD', 'bad')}  {clean(service['card']['error'])}: no failback without the journal")
    lines += drift_lines(service, now, ink)
    return [*lines, *artifact_lines(service, now, ink), *flag_lines(service, now, ink)]


def warm_lines(warm: Document, now: datetime | None, ink: Ink) -> list[str]:
    """The warm environment: whether a failback to it would work, and until when it is kept."""
    ready = ink("ready", "good") if warm["ready"] else ink("NOT READY", "bad")
    proven = f", proven {when(warm['proven_at'], now)}" if warm.get("proven_at") else ", never proven"
    lines = [f"{ink('warm', 'head')}  {warm['environment']}: {ready} for a failback{proven}"]
    lines += [line for reason in warm.get("reasons") or [] for line in hanging(f"      {ink('!!', 'bad')} ", reason)]
    return [*lines, f"      since {when(warm['since'], now)}, protected until {until(warm['protected_until'], now)}"]


def switch_lines(switch: Document, now: datetime | None, ink: Ink) -> list[str]:
    """The switch under way, or the last one."""
    what = f"{switch['kind']} {switch['id']} of {switch['version'] or 'an unnamed version'}"
    now_at = f" ({share(switch['share'])})" if switch.get("share") is not None else ""
    where = f"{switch['source']} -> {switch['candidate']}{now_at}"
    lines = [f"{ink('switch', 'head')}  {what}, {where}: {clean(_fares(switch))}"]
    by = f"        asked for by {switch['requested_by']} {when(switch['started_at'], now)}"
    lines.append(by + (f": {clean(switch['reason'])}" if switch.get("reason") else ""))
    if switch.get("ended_at"):
        ended = f"        ended {when(switch['ended_at'], now)}"
        lines.append(ended + (f" by {switch['ended_by']}" if switch.get("ended_by") not in (None, "daemon") else ""))
    elif switch.get("alive_at"):
        head = f"        last sign of life of its step {when(switch['alive_at'], now)}"
        lines += hanging(f"{head}: ", switch["alive"], 10) if switch.get("alive") else [head]
    return lines


def awaited(service: Document, ink: Ink) -> list[str]:
    """Who is awaited and why, with the command; nothing where nobody is."""
    name = service["service"]
    switch = open_switch(service)
    word = state_word(service)
    if word == "HALTED" and switch:
        summary = clean((switch.get("halt") or {}).get("summary") or switch["step"])
        has_it = f"{switch['claim']['by']} has it" if switch.get("claim") else f"nobody has it: bluegreen claim {name}"
        why = f"halted: {summary}. Traffic stays as it is until a person decides; {has_it}"
    elif word == "APPROVAL" and switch:
        why = f"waits for an approval, at {clean(switch['step'])}: bluegreen approve {name}"
    elif word == "PAUSED":
        why = f"is paused, until: bluegreen resume {name}"
    elif word in ("DRIFT", "UNKNOWN"):
        why = "the balancer's weights need a person's look."
    else:
        return []
    return [*hanging(f"{ink(name, _INKS[word])}  ", why), f"{' ' * len(name)}  see: bluegreen explain {name}"]


# --- one environment, one cell ---


def _fares(switch: Document) -> str:
    condition = switch["condition"].replace("_", " ")
    return condition if switch["step"] == condition else f"{condition}, {switch['step']}"


def _environments(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    rows = [[ink(head, "head") for head in ("ENVIRONMENT", "ROLE", "TRAFFIC", "RELEASE", "HEALTHY", "SINCE")]]
    for name, one in service["environments"].items():
        release = one.get("release") or {}
        healthy = "?" if one.get("healthy") is None else f"{one['healthy']} of {one.get('targets') or 0}"
        since = ago(release.get("since"), now) or "-"
        rows.append([name, one["role"], share(one.get("weight")), release.get("version") or "-", healthy, since])
    return columns(rows)


def _weights(service: Document) -> dict[str, float] | None:
    weights = {name: one.get("weight") for name, one in service["environments"].items()}
    return None if None in weights.values() else weights


def _version(service: Document, environment: str | None) -> str | None:
    release = (service["environments"].get(environment) or {}).get("release") if environment else None
    return (release or {}).get("version")


def _agreement(service: Document, now: datetime | None) -> str:
    points = service["switch_points"].values()
    if any(point.get("agrees") is False for point in points):
        return "DIFFERS" if alarming(service) or not service.get("drift") else "left as it is"
    if any(point.get("agrees") is None for point in points):
        return "not read"
    age = ago(min((point["read_at"] for point in points if point.get("read_at")), default=None), now)
    return f"as asked, {age}" if age else "as asked"


def _warm_word(service: Document, now: datetime | None) -> str:
    warm = service.get("warm")
    if not warm:
        return "-"
    age = ago(warm.get("proven_at"), now)
    return f"{warm['environment']} ready {age}".strip() if warm["ready"] else f"{warm['environment']} NOT READY"


def _since(service: Document) -> datetime | None:
    switch = service.get("switch")
    return moment(switch["changed_at"]) if switch else None
