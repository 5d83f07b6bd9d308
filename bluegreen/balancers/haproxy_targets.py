"""A server's health as HAProxy tells it; where HAProxy checks nothing, as one connection of our own tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bluegreen.balancers.runtime_api import number
from bluegreen.model import Target, TargetState

PROBE_SECONDS = 1.0
UNDER_WAY = "* "
"""How `show stat` marks a check that is running right now."""
NOT_CHECKED_YET = "INI"


async def look_at(server: str, stat: Mapping[str, str] | None, state: Mapping[str, str]) -> Target:
    """One server by its rows of `show stat` and `show servers state`. Never raises."""
    if stat is None:
        return Target(server, TargetState.UNKNOWN, "not in `show stat`")
    status, check = stat["status"], stat["check_status"].removeprefix(UNDER_WAY)
    reason = f"{check} {stat['last_chk']}".strip() or status
    in_flight = number(stat, "scur")
    match status.split(" ")[0]:
        case "UP" if check == NOT_CHECKED_YET:  # up until its first check says otherwise: no data is not good
            return Target(server, TargetState.INITIAL, "its first check is not over", in_flight)
        case "UP":
            return Target(server, TargetState.HEALTHY, reason, in_flight)
        case "no":  # "no check"
            return Target(server, *await _probe(state), in_flight)
        case "DRAIN":
            return Target(server, TargetState.DRAINING, reason, in_flight)
        case "MAINT" if "resolution" in status:
            return Target(server, TargetState.UNHEALTHY, f"{status}: its name is not resolved", in_flight)
        case "MAINT":
            return Target(server, TargetState.UNUSED, status, in_flight)
        case "DOWN" | "NOLB":
            return Target(server, TargetState.UNHEALTHY, reason, in_flight)
        case _:
            return Target(server, TargetState.UNKNOWN, f"status {status}", in_flight)


async def _probe(state: Mapping[str, str]) -> tuple[TargetState, str]:
    """HAProxy checks nothing here, so it proves nothing: a connection of our own does, a little."""
    host, port = state["srv_addr"], number(state, "srv_port")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        why = str(error) or f"no answer in {PROBE_SECONDS:g} s"
        return TargetState.UNHEALTHY, f"HAProxy does not check it; {host}:{port} took no connection: {why}"
    return TargetState.HEALTHY, f"HAProxy does not check it; {host}:{port} took a connection"
