"""Under which name the daemon acts at the providers of a service, and for how long yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bluegreen.aws import Sessions, Where
from bluegreen.config import schema
from bluegreen.config.load import service_from_json
from bluegreen.errors import BalancerError

IDENTITY_SECONDS = 4.0


async def of(config: str, aws: Sessions) -> Mapping[str, Any]:
    """By place: who AWS says we are, and until when the credentials last; an error where it does not say."""
    places = {
        Where(point.region, point.role, point.profile, point.endpoint_url)
        for point in service_from_json(config).switch_points
        if isinstance(point, schema.ElbV2Point)
    }
    return {
        f"aws {where.region} {where.role or where.profile or ''}".strip(): await _one(where, aws) for where in places
    }


async def _one(where: Where, aws: Sessions) -> Mapping[str, Any]:
    try:
        return {"identity": await aws.identity(where, IDENTITY_SECONDS), "expires": aws.expires(where)}
    except BalancerError as error:
        return {"error": str(error)}
