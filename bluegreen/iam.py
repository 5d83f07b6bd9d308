"""What IAM says on whether somebody may do something: its own simulation, which writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bluegreen.aws import Sessions, Where

ALLOWED = "allowed"


def principal_of(identity: str) -> str:
    """The ARN whose policies decide: an assumed role's session stands for its role (one without a path)."""
    parts = identity.split(":", 5)
    if len(parts) == 6 and parts[2] == "sts" and parts[5].startswith("assumed-role/"):
        role = parts[5].split("/")[1]
        return ":".join([*parts[:2], "iam", "", parts[4], f"role/{role}"])
    return identity


async def simulate(
    sessions: Sessions, where: Where, principal: str, action: str, resource: str, timeout: float
) -> dict[str, Any]:
    """What IAM thinks of `action` on `resource` by `principal`: an EvaluationResult. Raises as a read does."""
    answer = await sessions.call(
        where, "iam", "SimulatePrincipalPolicy", timeout,
        PolicySourceArn=principal, ActionNames=[action], ResourceArns=[resource],
    )  # fmt: skip
    results = answer.get("EvaluationResults", [])
    return dict(results[0]) if results else {}
