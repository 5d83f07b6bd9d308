"""What a URL looks like, wherever one may stand."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_url(text: str) -> bool:
    """`http://HOST/...` or `https://HOST/...`."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError beyond 65535
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
