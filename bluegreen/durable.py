"""Files that are there whole and durable, or as they were before: a new one, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """For the owner's eyes only. Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, raw: bytes) -> None:
    """For the owner's eyes only. Raises OSError."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """What was made, renamed or removed in it is durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
