"""The balancers' own view: enough healthy targets on every switch point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bluegreen.checks.common import Sight
from bluegreen.config.schema import Check
from bluegreen.config.units import tenths
from bluegreen.errors import BalancerError
from bluegreen.model import Target, TargetState
from bluegreen.ports import Enough, Scene


class TargetsCheck:
    """`targets: 2` or `targets: 50%`."""

    def __init__(
        self, config: Check, targets: Callable[[], Awaitable[Mapping[str, Mapping[str, tuple[Target, ...]]]]]
    ) -> None:
        minimum = config.targets or 1
        self._enough = Enough(count=minimum) if isinstance(minimum, int) else Enough(share=tenths(minimum))
        self._targets = targets

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        try:
            seen = await self._targets()
        except BalancerError as error:
            return Sight(False, f"health cannot be read: {error.what}", advice=error.advice)
        told, ok = [], True
        for point, by_environment in seen.items():
            registered = by_environment.get(scene.environment, ())
            healthy = sum(target.state is TargetState.HEALTHY for target in registered)
            wanted = self._enough.of(len(registered))
            ok = ok and healthy >= wanted
            told.append(f"{point}: {healthy} of {len(registered)} healthy, wanted {wanted}")
        return Sight(ok and bool(seen), "; ".join(told) or "there is no switch point")

    async def close(self) -> None:
        """See common.Look."""
