"""The daemon on a disk that fails when told to: `python -m tests.store.failing_daemon serve --config CONFIG`.

BLUEGREEN_DISK_FAILS is `CALL=PATH`: while the file PATH is there, that call of the journal's disk (read, write, sync,
truncate, delete) fails with an I/O error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from bluegreen import daemon
from tests.store.disk import Disk
from tests.store.test_io_errors import CALLS


def main() -> int:
    """The product's own `serve`, with its journal on that disk. Gives the exit code."""
    failing, _, path = os.environ["BLUEGREEN_DISK_FAILS"].partition("=")
    trigger = Path(path)
    disk = Disk(lambda call, file: CALLS[call] if call == failing and trigger.exists() else None)
    parts = vars(daemon)["Parts"]

    def on_that_disk(*settings: Any) -> Any:
        made = parts(*settings)
        made.store._connect = disk.connect
        return made

    vars(daemon)["Parts"] = on_that_disk
    return daemon.serve(Path(sys.argv[-1]))


if __name__ == "__main__":
    sys.exit(main())
