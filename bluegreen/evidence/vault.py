"""Bundles of evidence on disk: one directory a bundle, named by the digest of its manifest. Never changed after.

The manifest has the digest of every part, and the journal has that of the manifest: a changed byte is found out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bluegreen import durable
from bluegreen.errors import NotFound

MANIFEST = "manifest.json"
PART_BYTES_MAX = 1024 * 1024
BYTES_MAX = 512 * 1024 * 1024
"""All bundles together; beyond that the oldest go, but never one that is still needed."""


class Vault:
    """The bundles of one state directory. Every call blocks on the disk: run it in a thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "evidence"

    def keep(self, about: Mapping[str, Any], parts: Mapping[str, bytes]) -> str:
        """Write a bundle, whole or not at all; gives its digest. Raises OSError."""
        listed = {
            name: {
                "sha256": hashlib.sha256(raw[:PART_BYTES_MAX]).hexdigest(),
                "bytes": min(len(raw), PART_BYTES_MAX),
                "cut": len(raw) > PART_BYTES_MAX,
            }
            for name, raw in parts.items()
        }
        manifest = json.dumps({**about, "parts": listed}, indent=1, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        new = self.directory / f".{digest}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        try:
            for name, raw in parts.items():
                durable.write_bytes(new / name, raw[:PART_BYTES_MAX])
            durable.write(new / MANIFEST, manifest)
            if not (self.directory / digest).exists():
                new.replace(self.directory / digest)
            durable.sync(self.directory)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return digest

    def manifest(self, digest: str) -> dict[str, Any]:
        """The manifest as it was sealed, and under `changed` what is no longer as it was then: names of parts, or the
        manifest itself. Raises NotFound."""
        folder = self._folder(digest)
        try:
            raw = (folder / MANIFEST).read_bytes()
            document = json.loads(raw)
        except (OSError, ValueError) as error:
            raise NotFound(
                f"the evidence {digest[:12]} cannot be read: {error}", "the journal still says what was in it"
            ) from error
        changed = [MANIFEST] if hashlib.sha256(raw).hexdigest() != digest else []
        for name, sealed in document.get("parts", {}).items():
            try:
                same = hashlib.sha256((folder / name).read_bytes()).hexdigest() == sealed["sha256"]
            except OSError:
                same = False
            changed += [] if same else [name]
        return {**document, "changed": changed}

    def part(self, digest: str, name: str) -> bytes:
        """One part. Raises NotFound."""
        known = self.manifest(digest)["parts"]
        if name not in known:
            raise NotFound(f"no part {name!r} in this evidence", f"known: {', '.join(sorted(known))}")
        return (self._folder(digest) / name).read_bytes()

    def archive(self, digest: str) -> bytes:
        """All of it as one .tar.gz, the same bytes each time. Raises NotFound."""
        folder, packed = self._folder(digest), io.BytesIO()
        names = [MANIFEST, *sorted(self.manifest(digest)["parts"])]
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name in names:
                raw = (folder / name).read_bytes() if (folder / name).exists() else b""
                entry = tarfile.TarInfo(f"evidence-{digest[:12]}/{name}")
                entry.size, entry.mode = len(raw), 0o600
                tar.addfile(entry, io.BytesIO(raw))
        return gzip.compress(packed.getvalue(), mtime=0)

    def prune(self, needed: Collection[str], most: int = BYTES_MAX) -> list[str]:
        """Remove the oldest bundles that nobody needs until all of them take no more than `most` bytes."""
        folders = [one for one in self.directory.glob("[0-9a-f]*") if one.is_dir()] if self.directory.exists() else []
        sizes = {one: sum(file.stat().st_size for file in one.iterdir()) for one in folders}
        total, removed = sum(sizes.values()), []
        for folder in sorted(folders, key=lambda one: one.stat().st_mtime):
            if total <= most:
                break
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)
                total -= sizes[folder]
                removed.append(folder.name)
        return removed

    def _folder(self, digest: str) -> Path:
        folder = self.directory / digest
        if not digest or not digest.isalnum() or not folder.is_dir():
            raise NotFound(
                f"the evidence {digest[:12] or '(none)'} is no longer in {self.directory}",
                "the journal still says what was in it: bluegreen events",
            )
        return folder
