"""The daemon on a disk that fails when told to: `python -m tests.store.failing_daemon serve --config CONFIG`.

BLUEGREEN_DISK_FAILS is `CALL=PATH`: while the file PATH is there, that call of the journal's disk (read, write, sync,
truncate, delete) fails with an I/O error.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from bluegreen import daemon
from bluegreen.store.sqlite import SqliteStore
from tests.store.disk import Disk
from tests.store.test_io_errors import CALLS


def main() -> int:
    """The product's own `serve`, with its journal on that disk. Gives the exit code."""
    failing, _, path = os.environ["BLUEGREEN_DISK_FAILS"].partition("=")
    trigger = Path(path)
    disk = Disk(lambda call, file: CALLS[call] if call == failing and trigger.exists() else None)
    vars(daemon)["SqliteStore"] = functools.partial(SqliteStore, connect=disk.connect)
    return daemon.serve(Path(sys.argv[-1]))


if __name__ == "__main__":
    sys.exit(main())
