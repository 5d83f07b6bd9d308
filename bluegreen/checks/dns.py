"""A name that must resolve on this host."""

from __future__ import annotations

from bluegreen.checks.common import Sight, filled
from bluegreen.config.schema import Check
from bluegreen.needs import resolved
from bluegreen.ports import Scene


class DnsCheck:
    """By the host's own resolver, as everything on the host would ask."""

    def __init__(self, config: Check) -> None:
        self._config = config

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        name = filled(self._config.dns or "", scene.names())
        addresses, why = await resolved(name, self._config.timeout)
        if why:
            advice = f"`getent hosts {name}` on this host: the name is wrong, or its resolver does not answer"
            return Sight(False, f"{name} does not resolve: {why}", {"name": name}, advice)
        told = ", ".join(addresses)
        return Sight(True, f"{name} is {told}", {"name": name, "addresses": told})

    async def close(self) -> None:
        """See common.Look."""
