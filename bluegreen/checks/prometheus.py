"""A Prometheus query: every value within the limits. An empty answer or NaN is no data, and no data is not good."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import aiohttp

from bluegreen.checks.common import Sight, excerpt, filled, whole_body
from bluegreen.config import values
from bluegreen.config.schema import Check, Prometheus
from bluegreen.model import UNANSWERED
from bluegreen.ports import Scene

ANSWER_BYTES_MAX = 4 * 1024 * 1024


class PrometheusCheck:
    """An instant query; a scalar, or a vector of any size."""

    def __init__(self, config: Check) -> None:
        if config.prometheus is None:
            raise AssertionError("the configuration has the kind")
        self._query: Prometheus = config.prometheus
        self._timeout, self._headers = config.timeout, config.headers
        self._session: aiohttp.ClientSession | None = None

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        names = scene.names()
        url = filled(self._query.url, names).rstrip("/") + "/api/v1/query"
        query = filled(self._query.query, names)
        headers, secrets = values.filled(self._headers, names)
        detail = {"url": url, "query": query}
        if self._session is None:
            # a connection a request: a kept one may be gone when the next look needs it
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.get(url, params={"query": query}, headers=headers, allow_redirects=False) as answer,
            ):
                detail["status"] = str(answer.status)
                raw = await whole_body(answer, ANSWER_BYTES_MAX)
            found = _values(_document(raw))
        except TimeoutError:
            return Sight(False, f"{url} did not answer within {self._timeout:g} s", {**detail, UNANSWERED: "yes"})
        except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            what = f"{type(error).__name__}: {excerpt(str(error), secrets)}".removeprefix("ValueError: ")
            status = f" (status {detail['status']})" if "status" in detail else ""
            return Sight(False, f"{url}: no usable answer{status}: {what}", {**detail, UNANSWERED: "yes"})
        return self._judged(found, detail)

    async def close(self) -> None:
        """See common.Look."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _judged(self, values: list[float], detail: dict[str, str]) -> Sight:
        if not values or any(math.isnan(value) for value in values):
            return Sight(False, "the query has no data: no data is not good", detail, "look at the query by hand")
        low = -math.inf if self._query.min is None else self._query.min
        high = math.inf if self._query.max is None else self._query.max
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (" …" if len(values) > 5 else "")
        limits = " and ".join(
            text for text, limit in ((f"at least {low:g}", self._query.min), (f"at most {high:g}", self._query.max))
            if limit is not None
        )  # fmt: skip
        ok = all(low <= value <= high for value in values)
        return Sight(ok, f"{shown}; wanted {limits}", {**detail, "values": shown})


def _document(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise ValueError("it is not JSON: is this the address of a Prometheus?") from None


def _values(document: Any) -> list[float]:
    """The numbers of a scalar or of a vector. Raises ValueError, LookupError or TypeError for anything else."""
    if not isinstance(document, dict):
        raise TypeError("the answer is not a JSON object")
    if document.get("status") != "success":
        raise ValueError(f"{document.get('errorType', 'error')}: {document.get('error', 'not a success')}")
    result = document["data"]["result"]
    if document["data"]["resultType"] == "scalar":
        return [float(result[1])]
    if document["data"]["resultType"] == "vector":
        return [float(sample["value"][1]) for sample in result]
    raise ValueError(f"a {document['data']['resultType']} has no single value")
