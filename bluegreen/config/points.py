"""The rules of switch points: what must hold between a balancer's entry and the rest of the service's file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from bluegreen.config.draft import Draft
from bluegreen.config.schema import ElbV2Point, HAProxyPoint, MemoryPoint, SwitchPoint, point_name
from bluegreen.config.words import Note, unknown
from bluegreen.config.yaml import Place
from bluegreen.model import WHOLE, percent

SOCKET_PATH_MAX = 107
"""Bytes in a unix socket's path: sun_path of unix(7), without its closing zero."""

HAPROXY_WEIGHT_MAX = 256
"""HAProxy's Runtime API: "Absolute weight can only be between 0 and 256 inclusive"."""

TARGET_GROUPS_MAX = 5
"""Target groups in one forward action of an ELBv2 listener or rule."""

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_ARN = r"arn:aws[-a-z]*:{service}:(?P<region>{region}):\d{{12}}:{resource}"
_LISTENER = re.compile(_ARN.format(service="elasticloadbalancing", region="[a-z0-9-]+", resource=r"listener/\S+"))
_RULE = re.compile(_ARN.format(service="elasticloadbalancing", region="[a-z0-9-]+", resource=r"listener-rule/\S+"))
_GROUP = re.compile(_ARN.format(service="elasticloadbalancing", region="[a-z0-9-]+", resource=r"targetgroup/\S+"))
_ROLE = re.compile(_ARN.format(service="iam", region="", resource=r"role/\S+"))
_GROUP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[^/]+:\d{1,5}")


def is_address(socket: str) -> bool:
    """Whether HAProxy's `socket` is HOST:PORT; else it is a path."""
    return bool(_ADDRESS.fullmatch(socket))


def territory(point: SwitchPoint) -> tuple[str, ...] | None:
    """What of the outside world a point holds: nobody else may hold the same. None for a memory point."""
    match point:
        case HAProxyPoint():
            return "haproxy", point.socket, point.backend
        case ElbV2Point():
            return "elbv2", point.listener or point.rule or "", point.endpoint_url or ""
        case MemoryPoint():
            return None
        case _:
            assert_never(point)


def point_notes(draft: Draft) -> Iterator[Note]:
    """Every fault of the service's switch points."""
    yield from _unique(draft)
    for index, point in draft.points.items():
        place: Place = ("switch_points", index)
        match point:
            case MemoryPoint():
                if point.weights is not None:
                    yield from _environments(draft, (*place, "weights"), point.weights)
                    if not any(point.weights.values()):
                        yield Note((*place, "weights"), "every weight is 0; wanted one above 0")
            case HAProxyPoint():
                yield from _environments(draft, (*place, "servers"), point.servers)
                yield from _haproxy(place, point)
                yield from _too_fine(draft, place, point)
            case ElbV2Point():
                yield from _environments(draft, (*place, "target_groups"), point.target_groups)
                yield from _elbv2(place, point)
            case _:
                assert_never(point)


def _unique(draft: Draft) -> Iterator[Note]:
    names: dict[str, int] = {}
    held: dict[tuple[str, ...], int] = {}
    for index, point in draft.points.items():
        name = point_name(point)
        ground = territory(point)
        if ground is not None and ground in held:
            yield Note(("switch_points", index), f"the same place as switch_points[{held[ground]}]; wanted it once")
        elif name in names:
            place: Place = ("switch_points", index, "name") if point.name else ("switch_points", index)
            yield Note(
                place,
                f"named {name!r} like switch_points[{names[name]}]; add a `name: ...` of its own to tell them apart",
            )
        names.setdefault(name, index)
        if ground is not None:
            held.setdefault(ground, index)


def _environments(draft: Draft, place: Place, given: Iterable[str]) -> Iterator[Note]:
    """Exactly the service's environments, no fewer and no others."""
    if draft.environments is None:
        return
    names = list(given)
    for name in names:
        if name not in draft.environments:
            yield Note((*place, name), unknown("environment", name, draft.environments))
    for name in draft.environments:
        if name not in names:
            yield Note((*place, name), f"missing; add `{name}: ...`: every environment of the service stands here")


def _haproxy(place: Place, point: HAProxyPoint) -> Iterator[Note]:
    if not is_address(point.socket) and len(point.socket.encode()) > SOCKET_PATH_MAX:
        yield Note((*place, "socket"), f"longer than a socket's path may be; wanted at most {SOCKET_PATH_MAX} bytes")
    first: dict[str, str] = {}
    for environment, servers in point.servers.items():
        for index, server in enumerate(servers):
            if server in first:
                what = f"the server {server!r} is already in {first[server]!r}; wanted each server once"
                yield Note((*place, "servers", environment, index), what)
            first.setdefault(server, environment)


def _too_fine(draft: Draft, place: Place, point: HAProxyPoint) -> Iterator[Note]:
    """Shares below what whole weights of 1 to 256 a server can make, in either direction."""
    if draft.environments is None or set(draft.environments) != set(point.servers):
        return  # a fault already
    finest = max((_finest(small, big) for small, big in _pairs(point.servers)), default=0.0)
    for section, moves in (("shift", draft.shift), ("failback", draft.failback)):
        for index, step in enumerate(moves.steps if moves else ()):
            if step < WHOLE and min(step, WHOLE - step) < finest:
                yield Note(
                    (section, "steps", index),
                    f"{percent(step)} is finer than HAProxy's weights can divide in {_spelled(place, point)};"
                    f" wanted {_percent_up(finest)} to {_percent_down(WHOLE - finest)}, or 100%",
                )


def _pairs(servers: Mapping[str, list[str]]) -> Iterator[tuple[int, int]]:
    for one, these in servers.items():
        for other, those in servers.items():
            if one != other:
                yield len(these), len(those)


def _finest(small: int, big: int) -> float:
    """The smallest share above 0, in tenths of a percent rounded half down: weight 1 against weight 256 a server."""
    return WHOLE * small / (small + HAPROXY_WEIGHT_MAX * big) - 0.5


def _percent_up(tenths: float) -> str:
    return percent(int(-(-tenths // 1)))


def _percent_down(tenths: float) -> str:
    return percent(int(tenths // 1))


def _spelled(place: Place, point: HAProxyPoint) -> str:
    return f"switch_points[{place[1]}] ({point_name(point)})"


def _elbv2(place: Place, point: ElbV2Point) -> Iterator[Note]:
    if not _REGION.fullmatch(point.region):
        yield Note((*place, "region"), f"{point.region!r} is not a region; wanted one such as eu-west-1")
    for key, arn, form, example in (
        ("listener", point.listener, _LISTENER, "listener/app/NAME/ID/ID"),
        ("rule", point.rule, _RULE, "listener-rule/app/NAME/ID/ID/ID"),
    ):
        if arn is not None:
            yield from _arn((*place, key), arn, form, example, point.region)
    for environment, group in point.target_groups.items():
        here: Place = (*place, "target_groups", environment)
        if group.startswith("arn:"):
            yield from _arn(here, group, _GROUP, "targetgroup/NAME/ID", point.region)
        elif not _GROUP_NAME.fullmatch(group):
            yield Note(
                here, f"{group!r} is not a target group; wanted its name (letters, digits, -; at most 32) or ARN"
            )
    if len(point.target_groups) > TARGET_GROUPS_MAX:
        what = f"{len(point.target_groups)} target groups; wanted at most {TARGET_GROUPS_MAX}: ELBv2 takes no more"
        yield Note((*place, "target_groups"), what)
    for group, times in Counter(point.target_groups.values()).items():
        if times > 1:
            yield Note((*place, "target_groups"), f"{group!r} stands for {times} environments; wanted one each")
    if point.role is not None and not _ROLE.fullmatch(point.role):
        what = f"{point.role!r} is not a role; wanted arn:aws:iam::123456789012:role/NAME"
        yield Note((*place, "role"), what)


def _arn(place: Place, arn: str, form: re.Pattern[str], example: str, region: str) -> Iterator[Note]:
    match = form.fullmatch(arn)
    if match is None:
        wanted = f"arn:aws:elasticloadbalancing:{region}:123456789012:{example}"
        yield Note(place, f"{arn!r} is not the ARN that belongs here; wanted one such as {wanted}")
    elif match["region"] != region:
        yield Note(place, f"the ARN is of {match['region']}, but `region` is {region}; wanted the same")
