"""Single values of the API's documents as JSON: times and shares."""

from __future__ import annotations

from datetime import UTC, datetime

from bluegreen.model import Weights


def time(at: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shares(weights: Weights) -> dict[str, float]:
    """Percent by environment."""
    return {name: weights.share(name) / 10 for name in weights}
