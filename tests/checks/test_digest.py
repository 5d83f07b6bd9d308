"""The digest probe: what a real server or program says, compared with what was given; no answer is no match."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.checks.digest import DigestCheck, canonical
from bluegreen.config.flags import DigestProbe
from bluegreen.core.notes.artifacts import GIVEN, RUNS, SILENT, TARGETS, WRONG
from bluegreen.errors import Unreachable
from bluegreen.model import Finding, Target, TargetState
from bluegreen.ports import Scene
from tests.checks.servers import Handler, answering, hanging, no_targets, serving

DIGEST = "sha256:" + "1a" * 32
OTHER = "sha256:" + "2b" * 32
SECRET = "s3cr3t-of-the-probe"


def scene(url: str = "", artifact: str | None = DIGEST) -> Scene:
    return Scene("web", "green", "v2", artifact, {"url": url})


async def three_targets() -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
    three = tuple(Target(f"t{number}", TargetState.HEALTHY) for number in range(3))
    return {"eu": {"green": three, "blue": ()}, "us": {"green": three[:1]}}


async def unread() -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
    raise Unreachable("no route")


async def look(at: Scene, targets: Any = no_targets, **keys: Any) -> Finding:
    config = DigestProbe.model_validate({"timeout": "300ms", "every": "10ms", "attempts": 2, **keys})
    check = DigestCheck(config, targets)
    try:
        return await check.look(at)
    finally:
        await check.close()


async def asked(handler: Handler, artifact: str | None = DIGEST, targets: Any = no_targets, **keys: Any) -> Finding:
    async with serving(handler) as url:
        return await look(scene(url, artifact), targets, **{"http": "{url}/version", "json": "image.digest", **keys})


def says(digest: Any) -> Handler:
    return answering(json.dumps({"image": {"digest": digest}}))


async def test_the_same_digest_is_good_and_another_one_is_not_to_be_accepted():
    same = await asked(says(DIGEST))
    assert (same.check, same.ok, same.summary) == ("digest", True, f"green runs {DIGEST}, as given")
    other = await asked(says(OTHER))
    assert (other.ok, other.acceptable) == (False, False)
    assert other.summary == f"green runs {OTHER}, not {DIGEST} which was given at deploy"
    assert other.detail[WRONG] == "yes"
    assert (other.detail[RUNS], other.detail[GIVEN]) == (OTHER, DIGEST)


async def test_a_plain_answer_is_its_first_line():
    async with serving(answering(f"{DIGEST}\nbuilt on a tuesday\n")) as url:
        assert (await look(scene(url), http="{url}/digest")).ok


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answering("{}"), "there is no text at image.digest"),
        (says(None), "there is no text at image.digest"),
        (says(7), "there is no text at image.digest"),
        (says(""), "the answer is no digest: ''"),
        (says("x" * 500), "the answer is no digest: 'xxx"),
        (says("a\nb"), "the answer is no digest"),
        (answering("<html>"), "the answer is not the JSON"),
        (answering("[" * 100_000), "the answer is not the JSON"),
        (answering(json.dumps({"image": {"digest": DIGEST}}), status=500), "answered 500"),
        (answering(json.dumps({"image": {"digest": DIGEST}}), status=302), "answered 302"),
        (hanging, "did not answer within 0.3 s"),
    ],
)
async def test_no_usable_answer_is_no_match_and_says_why(handler: Handler, why: str):
    finding = await asked(handler)
    assert (finding.ok, finding.acceptable) == (False, True)
    assert why in finding.summary
    assert finding.summary.endswith("(2 attempts)")
    assert SILENT in finding.detail
    assert WRONG not in finding.detail


async def test_nobody_there_is_no_match():
    finding = await look(scene("http://127.0.0.1:1"), http="{url}/version", attempts=1)
    assert not finding.ok
    assert finding.summary.startswith("green does not say which artifact it runs: http://127.0.0.1:1/version")


async def test_nothing_given_is_compared_with_nothing_and_told():
    told = await asked(says(OTHER), artifact=None)
    assert (told.ok, told.summary) == (True, f"green runs {OTHER}; nothing was given to compare with")
    silent = await asked(answering("{}"), artifact=None)
    assert silent.ok
    assert silent.summary.endswith("; nothing was given to compare with")


async def test_one_answer_of_several_targets_is_told_as_one():
    assert (await asked(says(DIGEST), targets=three_targets)).detail[TARGETS] == "1 of 3 was asked"
    unknown = await asked(says(DIGEST), targets=unread)
    assert unknown.detail[TARGETS] == "1 was asked; how many there are cannot be read: no route"
    assert unknown.ok


async def test_a_program_says_it_on_its_first_line_and_warnings_are_no_part_of_it(tmp_path: Path):
    for name, text in {
        "digest.sh": f"echo 'warning: old' >&2; echo {DIGEST}; echo more",
        "wrong.sh": f"echo {OTHER}",
        "fails.sh": f"echo {DIGEST}; echo 'no such image' >&2; exit 1",
        "silent.sh": ":",
        "hangs.sh": "sleep 60",
        "who.sh": 'test "$1" = green && echo sha256:' + "1a" * 32,
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    async def run(*command: str) -> Finding:
        return await look(scene(), command=list(command), directory=str(tmp_path), attempts=1)

    assert (await run("./digest.sh")).ok
    assert (await run("./who.sh", "{environment}")).ok
    assert (await run("./wrong.sh")).detail[WRONG] == "yes"
    assert "fails.sh ended with 1" in (failed := await run("./fails.sh")).summary
    assert failed.summary.endswith(": no such image")
    assert "the answer is no digest: ''" in (await run("./silent.sh")).summary
    assert "hangs.sh was ended" in (await run("./hangs.sh")).summary
    assert "nope.sh does not exist" in (await run("./nope.sh")).summary


async def test_secrets_are_sent_and_never_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROBE_KEY", SECRET)
    finding = await asked(says(f"echo-{SECRET}"), headers={"Authorization": "Bearer ${env:PROBE_KEY}"})
    assert SECRET not in repr(finding)
    missing = await asked(says(DIGEST), headers={"Authorization": "${env:NO_SUCH_KEY}"})
    assert "NO_SUCH_KEY" in missing.summary
    assert not missing.ok


@pytest.mark.parametrize(
    "written", [DIGEST, "1a" * 32, DIGEST.upper(), f" {DIGEST}\n", f"registry.example/web@{DIGEST}", f"web:v2@{DIGEST}"]
)
def test_a_digest_is_the_same_however_it_is_written(written: str):
    assert canonical(written) == DIGEST


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_is_no_digest_only_equals_itself(one: str, other: str):
    assert canonical(one) != canonical(DIGEST)
    if "@" not in one + other and one.strip() != other.strip():
        assert canonical(one) != canonical(other)
