"""A CloudWatch alarm: it must be OK. INSUFFICIENT_DATA is no data, and no data is not good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.checks.common import Sight, filled
from bluegreen.checks.credentials import where
from bluegreen.config.schema import Check
from bluegreen.errors import BalancerError
from bluegreen.model import UNANSWERED
from bluegreen.ports import Scene

if TYPE_CHECKING:
    from bluegreen.aws import Sessions


class CloudwatchAlarm:
    """Metric and composite alarms alike."""

    def __init__(self, config: Check, aws: Sessions) -> None:
        self._config, self._aws = config, aws

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        name = filled(self._config.cloudwatch_alarm or "", scene.names())
        try:
            answer = await self._aws.call(
                where(self._config), "cloudwatch", "DescribeAlarms", self._config.timeout,
                AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            )  # fmt: skip
        except BalancerError as error:
            return Sight(False, f"alarm {name} cannot be read: {error.what}", {UNANSWERED: "yes"}, error.advice)
        alarms = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        if not alarms:
            what = f"there is no alarm {name} in {self._config.region}"
            return Sight(False, what, {UNANSWERED: "yes"}, "mend its name or region")
        state, reason = str(alarms[0]["StateValue"]), str(alarms[0].get("StateReason", ""))
        return Sight(state == "OK", f"alarm {name} is {state}", {"state": state, "reason": reason[:500]})

    async def close(self) -> None:
        """See common.Look."""
