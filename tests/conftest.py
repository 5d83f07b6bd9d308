"""How hard the property tests look: HYPOTHESIS_PROFILE is fast (the default), ci or deep. Nothing else is global."""

from __future__ import annotations

import os

from hypothesis import settings

for name, examples in {"fast": 25, "ci": 200, "deep": 3000}.items():
    settings.register_profile(name, max_examples=examples, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
