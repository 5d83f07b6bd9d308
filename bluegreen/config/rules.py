"""The rules between the parts of a service's file, and of the daemon's: what types alone cannot hold.

Each rule looks at one thing and yields its faults; no rule stops another. No network, no secrets read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

import jmespath
from jmespath.exceptions import JMESPathError

from bluegreen.config.checks import AT_AWS
from bluegreen.config.draft import Draft, texts
from bluegreen.config.flag_rules import digest_notes, flag_notes
from bluegreen.config.placeholders import ALWAYS, AT_A_HALT, fill, names_in
from bluegreen.config.points import SOCKET_PATH_MAX, point_notes, territory
from bluegreen.config.schema import Check, Daemon, Model
from bluegreen.config.urls import is_url
from bluegreen.config.words import Note, shown
from bluegreen.config.yaml import Place

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMES = ("timeout", "every", "stop_timeout", "within")
_PORT_MAX = 65535


def service_notes(draft: Draft) -> Iterator[Note]:
    """Every fault between the parts of one service's file."""
    yield from _environments(draft)
    yield from point_notes(draft)
    yield from _check_names(draft)
    yield from _evidence_names(draft)
    yield from _placeholders(draft)
    yield from _times(draft)
    yield from flag_notes(draft)
    yield from digest_notes(draft)
    if draft.digest is not None:
        yield from _address(draft, ("digest", "http"), draft.digest.http, by_url=True)
    for place, check in draft.checks.items():
        yield from _expectations(place, check)
        yield from _addresses(draft, place, check)
        yield from _region(draft, place, check)
        yield from _idle_keys(draft, place, check)


def daemon_notes(daemon: Daemon) -> Iterator[Note]:
    """Every fault between the parts of the daemon's file."""
    control = daemon.control
    if control.http is not None:
        yield from _door(control.http)
    if len(control.socket.encode()) > SOCKET_PATH_MAX:
        what = f"longer than a socket's path may be; wanted at most {SOCKET_PATH_MAX} bytes"
        yield Note(("control", "socket"), what)
    yield from _above_zero(("observe",), daemon.observe)


def shared_notes(drafts: Mapping[str, Draft]) -> Iterator[tuple[str, Note]]:
    """Every fault between services, with the file that it stands in: by file, in reading order."""
    names: dict[str, str] = {}
    held: dict[tuple[str, ...], str] = {}
    for file, draft in drafts.items():
        if draft.name is not None and draft.name in names:
            what = f"the service {draft.name!r} is already in {names[draft.name]}; wanted a name of its own"
            yield file, Note(("service",), what)
        elif draft.name is not None:
            names[draft.name] = file
        for index, point in draft.points.items():
            ground = territory(point)
            if ground is None:
                continue
            other = held.setdefault(ground, file)
            if other != file:
                what = f"this place already belongs to the service in {other}; wanted one service for each"
                yield file, Note(("switch_points", index), what)
    for file, draft in drafts.items():
        for note in _depends_on(draft, names):
            yield file, note


def _depends_on(draft: Draft, names: Mapping[str, str]) -> Iterator[Note]:
    """A service of another daemon may be meant; a failback's report can tell nothing of it."""
    depends = draft.content.get("depends_on")
    for index, name in enumerate(depends if isinstance(depends, list) else ()):
        if not isinstance(name, str):
            continue
        if name == draft.name:
            yield Note(("depends_on", index), "a service does not depend on itself; wanted the name of another one")
        elif name not in names:
            what = f"no service {shown(name)} here: a failback's report cannot tell what was deployed of it"
            yield Note(("depends_on", index), what, "warning")


def _environments(draft: Draft) -> Iterator[Note]:
    for name, values in (draft.environments or {}).items():
        for key in values:
            if key in ALWAYS:
                what = f"{{{key}}} has a meaning of its own; wanted another name than {', '.join(ALWAYS)}"
                yield Note(("environments", name, key), what)
            elif not _KEY.fullmatch(key):
                what = "not usable as a placeholder; wanted letters, digits and _, not beginning with a digit"
                yield Note(("environments", name, key), what)


def _check_names(draft: Draft) -> Iterator[Note]:
    first: dict[str, tuple[str, int]] = {}
    for place, check in draft.checks.items():
        if check.name in first:
            section, index = first[check.name]
            what = f"{check.name!r} is already the name of {section}[{index}]; wanted a name of its own"
            yield Note((*place, "name"), what)
        first.setdefault(check.name, place)


def _evidence_names(draft: Draft) -> Iterator[Note]:
    own, seen = draft.content.get("evidence"), set[str]()
    for index, one in enumerate(own if isinstance(own, list) else ()):
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and name in seen:
            yield Note(("evidence", index, "name"), f"{name!r} is there twice; wanted a name of its own")
        elif isinstance(name, str):
            seen.add(name)


def _placeholders(draft: Draft) -> Iterator[Note]:
    if draft.environments is None:
        return
    values = list(draft.environments.values())
    everywhere = set.intersection(*(set(keys) for keys in values)) if values else set()
    known = [*ALWAYS, *sorted(everywhere - set(ALWAYS))]
    parts: list[tuple[Place, object]] = [((section, i), draft.content[section][i]) for section, i in draft.checks]
    whole = {"deploy": draft.deploy, "digest": draft.digest}
    parts += [((name,), draft.content[name]) for name, part in whole.items() if part is not None]
    for place, part in parts:
        yield from _unknown_in(part, place, draft.environments, known)
    own = draft.content.get("evidence")
    for index, one in enumerate(own if isinstance(own, list) else ()):
        yield from _unknown_in(one, ("evidence", index), draft.environments, [*known, *AT_A_HALT])


def _unknown_in(
    part: object, place: Place, environments: Mapping[str, Mapping[str, str]], known: list[str]
) -> Iterator[Note]:
    for here, text in texts(part, place):
        for name in sorted(names_in(text) - set(known)):
            yield Note(here, _unknown_placeholder(name, environments, known))


def _unknown_placeholder(name: str, environments: Mapping[str, Mapping[str, str]], known: list[str]) -> str:
    having = [environment for environment, keys in environments.items() if name in keys]
    if having:
        lacking = [environment for environment in environments if environment not in having]
        return f"{{{name}}} is a key of {', '.join(having)} only; add it to {', '.join(lacking)} too"
    choices = ", ".join(f"{{{one}}}" for one in known)
    return f"unknown placeholder {{{name}}}; wanted one of {choices}, or {{{{{name}}}}} for plain braces"


def _times(draft: Draft) -> Iterator[Note]:
    for index, point in draft.points.items():
        yield from _above_zero(("switch_points", index), point)
    for place, check in draft.checks.items():
        yield from _above_zero(place, check)
        if check.expect is not None:
            yield from _above_zero((*place, "expect"), check.expect)
            if check.expect.within is not None and check.expect.within > check.timeout:
                yield Note(
                    (*place, "expect", "within"), "longer than `timeout`; wanted a shorter time, or a longer timeout"
                )
    for name, part in (("deploy", draft.deploy), ("health", draft.health)):
        if part is not None:
            yield from _above_zero((name,), part)


def _above_zero(place: Place, part: Model) -> Iterator[Note]:
    for name in _TIMES:
        if getattr(part, name, None) == 0:
            yield Note((*place, name), "no time at all; wanted more than 0s")


def _expectations(place: Place, check: Check) -> Iterator[Note]:
    for expression in check.expect.json_ if check.expect else ():
        try:
            jmespath.compile(expression)
        except JMESPathError:
            what = "not a JMESPath expression; wanted one such as status or items[0].id"
            yield Note((*place, "expect", "json", expression), what)


_AT_AWS = {"region", "endpoint_url", "role", "profile"}
_OWN_KEYS = {
    "http": {"expect", "method", "headers"},
    "tcp": set[str](),
    "command": {"directory", "variables"},
    "targets": set[str](),
    "cloudwatch_alarm": _AT_AWS,
    "prometheus": {"headers"},
    "dns": set[str](),
    "tls_expiry": {"left"},
    "credential_lifetime": _AT_AWS,
    "disk": {"free"},
    "aws_permission": {"resource", *_AT_AWS},
}
_EVERY_CHECK = {"name", "attempts", "every", "timeout"}


def _idle_keys(draft: Draft, place: tuple[str, int], check: Check) -> Iterator[Note]:
    """A key that means nothing to the check's kind would be a promise that nobody keeps."""
    section, index = place
    written = draft.content[section][index]
    known = {check.kind, *_OWN_KEYS[check.kind], *_EVERY_CHECK}
    for key in written:
        if key in Check.model_fields and key not in known:
            what = f"means nothing to a {check.kind} check; wanted one of {', '.join(sorted(known - {check.kind}))}"
            yield Note((*place, key), what)


def _region(draft: Draft, place: Place, check: Check) -> Iterator[Note]:
    """What asks AWS does so where the service's first elbv2 switch point is; without one, its region must be said."""
    if check.kind not in AT_AWS or check.region is not None:
        return
    kinds = [point.get("kind") for point in draft.content.get("switch_points") or () if isinstance(point, Mapping)]
    if "elbv2" not in kinds:
        yield Note(place, f"{check.kind} asks AWS in a region, and no elbv2 switch point names one; add `region: ...`")


def _addresses(draft: Draft, place: Place, check: Check) -> Iterator[Note]:
    """URLs and HOST:PORT, as they are once each environment's values are filled in."""
    looked_at: tuple[tuple[Place, str | None, bool], ...] = (
        ((*place, "http"), check.http, True),
        ((*place, "prometheus", "url"), check.prometheus.url if check.prometheus else None, True),
        ((*place, "tcp"), check.tcp, False),
        ((*place, "tls_expiry"), check.tls_expiry, False),
    )
    for here, text, by_url in looked_at:
        yield from _address(draft, here, text, by_url=by_url)


def _address(draft: Draft, here: Place, text: str | None, *, by_url: bool) -> Iterator[Note]:
    sound = is_url if by_url else _host_port
    bad = [name for name, filled in _filled(draft, text or "") if not sound(filled)]
    if bad:
        wanted = "http://HOST/... or https://HOST/..." if by_url else "HOST:PORT"
        yield Note(here, f"not an address for {', '.join(bad)}; wanted {wanted}")


def _filled(draft: Draft, text: str) -> Iterator[tuple[str, str]]:
    if not text:
        return
    for name, values in (draft.environments or {}).items():
        known = {**values, "service": draft.name or "x", "environment": name, "version": "0", "artifact": "0"}
        if names_in(text) <= set(known):  # the others are faults of their own
            yield name, fill(text, known)


def _host_port(text: str) -> tuple[str, int] | None:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"\d{1,5}", port) or int(port) > _PORT_MAX:
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _door(http: str) -> Iterator[Note]:
    address = _host_port(http)
    if address is None:
        yield Note(("control", "http"), f"{shown(http)} is not an address; wanted HOST:PORT, such as 127.0.0.1:8474")
    elif not _is_loopback(address[0]):
        yield Note(
            ("control", "http"), f"{shown(http)} can be reached from outside; wanted 127.0.0.1, [::1] or localhost"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
