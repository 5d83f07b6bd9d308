"""Running programs: what they are given, what is kept of their output, and that their whole tree ends with its time."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen import processes
from bluegreen.pipes import Tail
from tests.programs import open_files, python, sh, zombies

pytestmark = pytest.mark.usefixtures("no_strangers")


async def _run(argv: list[str], timeout: float = 90.0, **rest: Any) -> processes.Finished:
    return await processes.run(argv, timeout=timeout, **rest)


async def _said(argv: list[str], **rest: Any) -> str:
    done = await _run(argv, **rest)
    assert done.ok, done
    return done.output


# --- what is given, and what comes back ---


@pytest.mark.parametrize("code", [0, 1, 77, 255])
async def test_the_exit_code_is_told(code: int):
    done = await _run(sh(f"exit {code}"))
    assert (done.exit_code, done.ok, done.timed_out, done.reason) == (code, code == 0, False, "")
    assert done.told("x").startswith(f"x ended with {code} after ")


async def test_a_program_that_somebody_else_ended_is_told_with_the_signal():
    done = await _run(sh("kill -SEGV $$"))
    assert done.exit_code == -signal.SIGSEGV
    assert "was ended by SIGSEGV" in done.told("x")


async def test_both_outputs_are_merged_in_their_order():
    assert await _said(sh("echo one; echo two >&2; echo three")) == "one\ntwo\nthree\n"


async def test_arguments_are_handed_on_as_they_are():
    odd = ["", " ", "a b", "$HOME", "`id`", ";", "'\"", "\n", "ü"]
    code = "import sys; print(ascii(sys.argv[1:]))"
    assert await _said(python(code, *odd)) == f"{odd!a}\n"


async def test_a_program_that_reads_its_input_finds_its_end():
    assert await _said(sh("cat; echo end")) == "end\n"


async def test_what_systemd_tells_the_daemon_is_not_handed_on(monkeypatch: pytest.MonkeyPatch):
    for name in processes.OURS_ALONE:
        monkeypatch.setenv(name, "for-the-daemon-alone")
    monkeypatch.setenv("ORDINARY", "is handed on")
    said = await _said(["env"], variables={"GIVEN": "is there"})
    assert "for-the-daemon-alone" not in said
    assert "ORDINARY=is handed on\n" in said
    assert "GIVEN=is there\n" in said


async def test_a_variable_that_is_given_wins():
    os.environ.setdefault("HOME", "/")
    assert await _said(sh("echo $HOME"), variables={"HOME": "/elsewhere"}) == "/elsewhere\n"


async def test_a_relative_program_is_one_of_the_directory(tmp_path: Path):
    _script(tmp_path / "deploy.sh", "#!/bin/sh\npwd\n")
    assert await _said(["./deploy.sh"], directory=str(tmp_path)) == f"{tmp_path.resolve()}\n"


# --- what cannot be started ---


async def test_what_cannot_be_started_is_told_by_name(tmp_path: Path):
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    _script(tmp_path / "orphaned.sh", "#!/no/such/interpreter\n")
    _script(tmp_path / "garbage", "\x7fELF and then nothing")
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        (["/no/such/program"], {}, "/no/such/program does not exist"),
        (["no-such-program"], {}, "no-such-program does not exist"),
        (["./plain"], {"directory": str(tmp_path)}, "./plain may not be run"),
        ([str(tmp_path)], {}, "may not be run"),
        (["./orphaned.sh"], {"directory": str(tmp_path)}, "interpreter"),
        (["./garbage"], {"directory": str(tmp_path)}, "./garbage cannot be started: Exec format error"),
        (["true"], {"directory": "/no/such/place"}, "there is no directory /no/such/place"),
        (["true", "a\0b"], {}, "argument 1 has a NUL character: 'a\\x00b'"),
        (["true"], {"variables": {"TOKEN": "top\0secret"}}, "the variable 'TOKEN' has a NUL"),
    ]
    for argv, rest, reason in cases:
        done = await _run(argv, **rest)
        assert done.exit_code is None, argv
        assert reason in done.reason
        assert "secret" not in done.reason
        assert not done.ok
    assert zombies() == []


# --- output ---


@pytest.mark.slow
async def test_a_flood_of_output_is_bounded_in_memory_and_never_blocks():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = await _run(sh("yes | head -c 300000000; echo; echo the end"), timeout=180)
    assert done.ok
    assert done.output.endswith("the end\n")
    assert done.output.startswith("[29993")  # all but the last 64 KiB
    assert len(done.output) < processes.OUTPUT_MAX + 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_binary_output_is_readable_text():
    said = await _said(sh(r"printf '\000\377\200 \303\274\n'"))
    assert said == "��� ü\n"
    assert said.encode()


async def test_a_program_that_closes_its_output_costs_no_work(tmp_path: Path):
    before = resource.getrusage(resource.RUSAGE_SELF)
    await _said(sh("exec >/dev/null 2>&1; sleep 0.5"))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


async def test_secrets_are_taken_out_of_the_output():
    assert await _said(["echo", "a s3cret b"], secrets=["s3cret"]) == "a *** b\n"


async def test_descriptors_are_given_back():
    before = open_files()
    for argv in (["true"], ["/no/such/program"], ["true", "\0"]):
        await _run(argv)
    await _run(["sleep", "60"], timeout=0.1)
    assert open_files() == before


@given(
    st.text("ab\n", min_size=8, max_size=20),
    st.text("cd", max_size=30),
    st.text("cd", max_size=30),
    st.integers(1, 60),
)
def test_no_part_of_a_secret_survives_the_bound(secret: str, before: str, after: str, most: int):
    tail = Tail(most)
    os.write(tail.write, (before + secret + after).encode())
    os.close(tail.write)
    tail.write = -1
    loop = asyncio.new_event_loop()
    try:
        tail.finish(loop, keep_open=False)
    finally:
        loop.close()
    shown = tail.text([secret]).partition("not kept]\n")
    assert not set(shown[2] or shown[0]) & set("ab")


# --- parts ---


def _script(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)
