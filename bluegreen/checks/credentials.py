"""AWS credentials that must be good for long enough yet, and a right at AWS that must be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen import iam
from bluegreen.checks.common import Sight, filled
from bluegreen.config.schema import Check
from bluegreen.errors import BalancerError
from bluegreen.ports import Scene

if TYPE_CHECKING:
    from bluegreen.aws import Sessions, Where


def where(config: Check) -> Where:
    """Where at AWS the check asks."""
    from bluegreen.aws import Where

    return Where(config.region or "", config.role, config.profile, config.endpoint_url)


class CredentialLifetime:
    """What renews itself has no end that matters; what nobody tells the end of is not known, and not good."""

    def __init__(self, config: Check, aws: Sessions) -> None:
        self._config, self._aws = config, aws

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        try:
            life = await self._aws.life(where(self._config), self._config.timeout)
        except BalancerError as error:
            return Sight(False, f"there are no credentials to ask: {error.what}", advice=error.advice)
        if life.until is None and not life.temporary:
            return Sight(True, "the credentials have no end")
        if life.until is None:
            advice = "give the daemon credentials that are renewed, such as a role"
            return Sight(False, "the credentials are temporary, and nobody tells their end", advice=advice)
        left = (life.until - self._aws.now()).total_seconds()
        told = f"the credentials are good until {life.until:%Y-%m-%d %H:%M:%S} UTC"
        if life.renews and life.lasts:
            return Sight(True, f"{told}, and renewed by then")
        wanted = self._config.credential_lifetime or 0.0
        told = f"{told}, for {left / 60:.0f} min yet"
        if left < wanted or not life.lasts:
            advice = "renew them where the daemon gets them from, and start it anew"
            return Sight(False, f"{told}; wanted {wanted / 60:.0f} min, and nothing renews them", advice=advice)
        return Sight(True, told)

    async def close(self) -> None:
        """See common.Look."""


class AwsPermission:
    """IAM's own simulation: only `allowed` is good."""

    def __init__(self, config: Check, aws: Sessions) -> None:
        self._config, self._aws = config, aws

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        there, seconds = where(self._config), self._config.timeout
        action = filled(self._config.aws_permission or "", scene.names())
        resource = filled(self._config.resource, scene.names())
        try:
            principal = iam.principal_of(await self._aws.identity(there, seconds))
            result = await iam.simulate(self._aws, there, principal, action, resource, seconds)
        except BalancerError as error:
            advice = "allow iam:SimulatePrincipalPolicy, by which this is asked"
            return Sight(False, f"{action} is not proven: {error.what}", advice=advice)
        decision = str(result.get("EvalDecision") or "no answer")
        detail = {"principal": principal, "resource": resource, "decision": decision}
        if decision == iam.ALLOWED:
            return Sight(True, f"{principal} may {action}", detail)
        missing = ", ".join(result.get("MissingContextValues") or ())
        why = f"{decision}; its policy depends on {missing}" if missing else decision
        return Sight(False, f"{principal} may not {action} on {resource}: {why}", detail, "grant it there")

    async def close(self) -> None:
        """See common.Look."""
