"""One backend of HAProxy over its Runtime API: no reload, no connection closed. HAProxy 2.4 and later.

Facts that this room is built on (measured on 2.6 and 2.8): `set server … weight` takes effect in less than a
millisecond; raising before lowering, in one line, lost no request where the other order lost some; a reload or a crash
brings back the weights of the configuration, unless the server-state file was written after each change.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bluegreen.balancers.runtime_api import RuntimeApi, rows, server_rows
from bluegreen.config.schema import HAProxyPoint
from bluegreen.errors import BalancerError, Drifted, OutcomeUnknown, Rejected
from bluegreen.model import WHOLE, Finding, Target, TargetState, Weights

WEIGHT_MAX = 256
ERROR_TENTHS_MAX = 1.0
"""How far the nearest split that whole weights can express may be from the one asked for: 0.1 percentage points."""
PROBE_SECONDS = 1.0
NOT_WEIGHTED = ("static-rr", "first")
"""Algorithms of HAProxy that do not follow weights set at run time."""


class HAProxyBalancer:
    """ports.Balancer. An environment's native weight is the sum of its servers' weights; each has the same."""

    kind = "haproxy"
    settle = 0.0

    def __init__(self, point: HAProxyPoint, name: str, environments: tuple[str, ...]) -> None:
        self.point = name
        self._environments = environments
        self._backend = point.backend
        self._servers = {environment: tuple(point.servers[environment]) for environment in environments}
        self._state_file = Path(point.state_file) if point.state_file else None
        self._api = RuntimeApi(point.socket, point.timeout)

    def native(self, split: Weights) -> Weights:
        """See ports.Balancer: the whole weights of 1 to 256 a server that come nearest to the split."""
        counts = {name: len(servers) for name, servers in self._servers.items()}
        best = nearest(split, counts)
        error = max(abs(best.share(name) - split.share(name)) for name in counts)
        if error > ERROR_TENTHS_MAX:
            raise Rejected(
                f"{self.point}: HAProxy cannot express {split}; the nearest is {best}",
                "take steps that it can express: weights are whole numbers from 1 to 256 a server",
            )
        return best

    async def read(self) -> Weights:
        """See ports.Balancer. A server in drain or maintenance counts 0: that is what it gets."""
        states = await self._states()
        return Weights.of(
            {name: sum(_effective(states[server]) for server in servers) for name, servers in self._servers.items()}
        )

    async def write(self, expected: Weights, target: Weights) -> None:
        """See ports.Balancer. Weights that were set but not written through to the state file are OutcomeUnknown: the
        look-up finds them, and the journal keeps what failed."""
        shown = await self.read()
        if not shown.same_split(expected):
            raise Drifted(f"{self.point} shows {shown}, expected was {expected}", expected, shown)
        await self._api.change(self._commands(shown, target))
        if self._state_file is not None:
            await self._write_through(self._state_file)

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """See ports.Balancer. A server that HAProxy does not check is asked for a TCP connection by ourselves."""
        states = await self._states()
        stats = {row["svname"]: row for row in rows(await self._api.ask("show stat")) if row["pxname"] == self._backend}
        found: dict[str, tuple[Target, ...]] = {}
        for name, servers in self._servers.items():
            found[name] = tuple([await _target(server, stats.get(server), states[server]) for server in servers])
        return found

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Balancer."""
        try:
            level = (await self._api.ask("show cli level")).strip()
            stats = rows(await self._api.ask("show stat"))
            shown = await self.read()
        except BalancerError as error:
            return (Finding(f"{self.point}: reachable", ok=False, summary=error.what, advice=error.advice),)
        algorithm = next(
            (row.get("algo") or "" for row in stats if (row["pxname"], row["svname"]) == (self._backend, "BACKEND")), ""
        )
        return (
            Finding(f"{self.point}: reachable", ok=True, summary=f"shows {shown}"),
            Finding(
                f"{self.point}: permitted",
                ok=level == "admin",
                summary=f"the socket has level {level}",
                advice="" if level == "admin" else "weights need `level admin` in HAProxy's `stats socket`",
            ),
            Finding(
                f"{self.point}: weighted",
                ok=algorithm not in NOT_WEIGHTED,
                summary=f"balance {algorithm or 'is not told'}",
                advice="" if algorithm not in NOT_WEIGHTED else "use `balance roundrobin`: it follows weights at once",
            ),
            self._state_file_finding(),
        )

    async def close(self) -> None:
        """See ports.Balancer. No connection is kept."""

    # --- parts ---

    async def _states(self) -> dict[str, dict[str, str]]:
        answer = await self._api.ask(f"show servers state {self._backend}")
        states = {row.get("srv_name", ""): row for row in server_rows(answer)}
        if not states:
            raise Rejected(
                f"HAProxy at {self._api.address} has no backend {self._backend}: {answer.strip()}", "mend `backend`"
            )
        missing = [server for servers in self._servers.values() for server in servers if server not in states]
        if missing:
            raise Rejected(
                f"backend {self._backend} has no server {', '.join(missing)}", f"it has {', '.join(sorted(states))}"
            )
        return states

    def _commands(self, shown: Weights, target: Weights) -> list[str]:
        """One `set server` a server, those that rise first: the sum is never 0."""
        rising = [name for name in self._environments if target[name] > shown[name]]
        ordered = [*rising, *(name for name in self._environments if name not in rising)]
        return [
            f"set server {self._backend}/{server} weight {target[name] // len(self._servers[name])}"
            for name in ordered
            for server in self._servers[name]
        ]

    async def _write_through(self, file: Path) -> None:
        try:
            states = await self._api.ask("show servers state")
            await asyncio.to_thread(_replace, file, states)
        except (BalancerError, OSError) as error:
            raise OutcomeUnknown(
                f"{self.point}: the weights were sent, but {file} was not written: {error}",
                "a reload of HAProxy would bring back the old weights: mend the file's rights",
            ) from error

    def _state_file_finding(self) -> Finding:
        name, file = f"{self.point}: survives a reload", self._state_file
        if file is None:
            return Finding(
                name,
                ok=True,
                summary="not proven: no state_file is configured",
                advice="a reload of HAProxy brings back the weights of its configuration: set `state_file`",
            )
        able = os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))
        return Finding(
            name,
            ok=able,
            summary=f"weights are written through to {file}" if able else f"{file} cannot be written",
            advice="" if able else "give the daemon the right to write it and its directory",
        )


def nearest(split: Weights, counts: Mapping[str, int]) -> Weights:
    """The whole weights a server (1 to 256) whose sums come nearest to the split; among equals, those near 100 in sum.

    An environment without a share gets 0; one with a share never does. `counts`: servers by environment.
    """
    wanted = {name: split.get(name, 0) / count for name, count in counts.items()}
    most = max(wanted.values())
    best: tuple[float, int, dict[str, int]] | None = None
    for top in range(1, WEIGHT_MAX + 1):
        single = {name: max(round(top * want / most), 1) if want else 0 for name, want in wanted.items()}
        sums = {name: weight * counts[name] for name, weight in single.items()}
        total = sum(sums.values())
        error = max(abs(sums[name] / total - split.get(name, 0) / WHOLE) for name in counts)
        rank = (round(error, 9), abs(sum(single.values()) - 100), sums)
        if best is None or rank[:2] < best[:2]:
            best = rank
    if best is None:
        raise AssertionError("there is always a nearest")
    return Weights.of(best[2])


def _effective(state: Mapping[str, str]) -> int:
    return 0 if int(state["srv_admin_state"]) else int(state["srv_uweight"])


async def _target(server: str, stat: Mapping[str, str] | None, state: Mapping[str, str]) -> Target:
    if stat is None:
        return Target(server, TargetState.UNKNOWN, "not in `show stat`")
    status, reason = stat["status"], f"{stat.get('check_status', '')} {stat.get('last_chk', '')}".strip()
    in_flight = int(stat["scur"] or 0)
    match status.split(" ")[0]:
        case "UP":
            initial = stat.get("check_status") == "INI"
            return Target(server, TargetState.INITIAL if initial else TargetState.HEALTHY, reason or status, in_flight)
        case "no":  # "no check"
            return Target(server, *await _probe(state), in_flight)
        case "DRAIN":
            return Target(server, TargetState.DRAINING, reason or status, in_flight)
        case "MAINT":
            return Target(server, TargetState.UNUSED, reason or status, in_flight)
        case "DOWN" | "NOLB":
            return Target(server, TargetState.UNHEALTHY, reason or status, in_flight)
        case _:
            return Target(server, TargetState.UNKNOWN, f"status {status}", in_flight)


async def _probe(state: Mapping[str, str]) -> tuple[TargetState, str]:
    """HAProxy checks nothing here, so it proves nothing: a connection of our own does, a little."""
    host, port = state.get("srv_addr", ""), state.get("srv_port", "0")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return TargetState.UNHEALTHY, f"HAProxy does not check it; {host}:{port} took no connection: {error}"
    return TargetState.HEALTHY, f"HAProxy does not check it; {host}:{port} took a connection"


def _replace(file: Path, text: str) -> None:
    new = file.with_name(file.name + ".new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if file.exists():
        shutil.copymode(file, new)
    new.replace(file)
