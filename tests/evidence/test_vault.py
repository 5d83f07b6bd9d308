"""Bundles on disk: whole or not there, and never changed in silence."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from bluegreen.errors import NotFound
from bluegreen.evidence.vault import MANIFEST, PART_BYTES_MAX, Vault

PARTS = {"findings.json": b"[1, 2]", "deploy-output.txt": "größer".encode()}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def test_a_bundle_is_named_by_what_is_in_it(vault: Vault) -> None:
    digest = vault.keep({"halt": "h1"}, PARTS)
    raw = (vault.directory / digest / MANIFEST).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == digest
    listed = json.loads(raw)["parts"]
    assert {name: one["sha256"] for name, one in listed.items()} == {
        name: hashlib.sha256(part).hexdigest() for name, part in PARTS.items()
    }
    assert vault.keep({"halt": "h1"}, PARTS) == digest, "the same again is the same"
    assert vault.keep({"halt": "h2"}, PARTS) != digest


def test_a_changed_byte_and_a_missing_part_are_said(vault: Vault) -> None:
    digest = vault.keep({}, PARTS)
    assert vault.manifest(digest)["changed"] == []
    (vault.directory / digest / "findings.json").write_bytes(b"[1, 3]")
    (vault.directory / digest / "deploy-output.txt").unlink()
    assert sorted(vault.manifest(digest)["changed"]) == ["deploy-output.txt", "findings.json"]
    manifest = vault.directory / digest / MANIFEST
    manifest.write_text(manifest.read_text().replace("[", "[ "))
    manifest.write_text(manifest.read_text() + " ")
    assert MANIFEST in vault.manifest(digest)["changed"]


def test_an_archive_has_it_all_and_is_the_same_each_time(vault: Vault) -> None:
    digest = vault.keep({"halt": "h1"}, PARTS)
    raw = vault.archive(digest)
    assert raw == vault.archive(digest)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        found = {Path(one.name).name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    assert {name: found[name] for name in PARTS} == PARTS
    assert hashlib.sha256(found[MANIFEST]).hexdigest() == digest


def test_what_is_too_large_is_cut_and_that_is_said(vault: Vault) -> None:
    digest = vault.keep({}, {"big.txt": b"x" * (PART_BYTES_MAX + 1)})
    assert vault.manifest(digest)["parts"]["big.txt"] | {"sha256": ""} == {
        "bytes": PART_BYTES_MAX, "cut": True, "sha256": ""
    }  # fmt: skip
    assert vault.manifest(digest)["changed"] == []


def test_the_oldest_go_first_and_what_is_needed_stays(vault: Vault) -> None:
    kept = [vault.keep({"halt": str(number)}, {"a.txt": b"x" * 1000}) for number in range(5)]
    for number, digest in enumerate(kept):
        os.utime(vault.directory / digest, (number, number))
    assert vault.prune({kept[0]}, most=3 * 1400) == kept[1:3]
    assert {one.name for one in vault.directory.iterdir()} == {kept[0], *kept[3:]}
    assert vault.prune(set()) == []


def test_half_a_bundle_is_none(vault: Vault) -> None:
    with pytest.raises(OSError, match="File name too long"):
        vault.keep({}, {"fine.txt": b"", "x" * 300: b""})
    assert list(vault.directory.iterdir()) == []


@pytest.mark.parametrize("digest", ["", "ab", "../..", "0" * 64])
def test_a_bundle_that_is_not_there_is_said_to_be_gone(vault: Vault, digest: str) -> None:
    with pytest.raises(NotFound, match="no longer"):
        vault.archive(digest)


def test_no_other_part_is_served(vault: Vault) -> None:
    digest = vault.keep({}, PARTS)
    assert vault.part(digest, "findings.json") == b"[1, 2]"
    with pytest.raises(NotFound, match=r"known: deploy-output\.txt, findings\.json"):
        vault.part(digest, "../../lock")


def test_a_manifest_that_cannot_be_read_is_said(vault: Vault) -> None:
    digest = vault.keep({}, PARTS)
    (vault.directory / digest / MANIFEST).write_text("{")
    with pytest.raises(NotFound, match="cannot be read"):
        vault.manifest(digest)


def test_what_is_needed_is_kept_though_there_is_too_much(vault: Vault) -> None:
    kept = [vault.keep({"halt": f"h{n}"}, PARTS) for n in range(3)]
    assert vault.prune(kept, most=0) == []
    assert vault.prune(kept[:1], most=0) == kept[1:]
