"""A flag's value as text, the same for every provider."""

from __future__ import annotations

import json
from typing import Any

ON, OFF = "on", "off"


def text(value: Any) -> str:
    """`true` -> on, `false` -> off; a text as it is, without what no journal can keep; anything else as JSON."""
    if isinstance(value, bool):
        return ON if value else OFF
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return said.encode("utf-8", "replace").decode()
