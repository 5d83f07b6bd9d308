"""Notices over HTTP: webhooks, signed as Standard Webhooks are (standardwebhooks.com), and Slack's incoming ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import aiohttp

from bluegreen.config import values
from bluegreen.config.notify import Notifier
from bluegreen.config.secrets import resolve
from bluegreen.notices.notice import Notice


async def webhook(config: Notifier, notice: Notice) -> None:
    """POST the CloudEvent. Raises OSError, ValueError and aiohttp's errors where it was not taken."""
    raw, stamp = notice.json(), str(int(notice.at.timestamp()))
    headers = values.filled(config.headers, {})[0]
    headers |= {"Content-Type": "application/cloudevents+json", "webhook-id": notice.id, "webhook-timestamp": stamp}
    if config.secret is not None:
        headers["webhook-signature"] = signature(resolve(config.secret), notice.id, stamp, raw)
    await _post(config.webhook or "", raw, headers, config.timeout)


async def slack(config: Notifier, notice: Notice) -> None:
    """POST the text. Raises as `webhook`."""
    raw = json.dumps({"text": notice.text()}, ensure_ascii=False).encode()
    await _post(resolve(config.slack or ""), raw, {"Content-Type": "application/json"}, config.timeout)


def signature(secret: str, id_: str, stamp: str, raw: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the key is base64 after `whsec_`, else as it is."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = hmac.new(key, f"{id_}.{stamp}.".encode() + raw, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


async def _post(url: str, raw: bytes, headers: Mapping[str, str], timeout: float) -> None:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
        session.post(url, data=raw, headers=dict(headers), allow_redirects=False) as answer,
    ):
        if answer.status >= 300:
            raise ValueError(f"answered {answer.status}")
