"""Flags by programs: real scripts that read, set, fail, hang and say secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluegreen.aws import Sessions
from bluegreen.config.flags import FlagSource
from bluegreen.errors import OutcomeUnknown, Rejected, Unreachable
from bluegreen.flags import Sources, open_flags
from bluegreen.ports import Flags

SET = """#!/bin/sh
echo "$1=$2" >> sets
printf '{"%s": %s}' "$1" "$([ "$2" = on ] && echo true || echo false)" > flags.json
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "flags.json").write_text(json.dumps({"search": True, "limit": 5, "theme": "dark"}))
    script(tmp_path / "set", SET)
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def provider(place: Path, read: list[str] | None = None, write: list[str] | None = None, **more: Any) -> Flags:
    command = {"read": read or ["cat", "flags.json"], "directory": str(place), **more}
    if write is not None:
        command["write"] = write
    return open_flags(FlagSource.model_validate({"command": command, "timeout": "1s"}), Sources("web", Sessions()))


async def test_a_program_reads_and_another_one_sets(place: Path):
    flags = provider(place, write=["./set", "{flag}", "{value}"])
    assert await flags.read() == {"search": "on", "limit": "5", "theme": "dark"}
    await flags.write("search", "off", "on")
    assert (place / "sets").read_text() == "search=off\n"
    assert (await flags.read())["search"] == "off"
    with pytest.raises(Rejected, match="search shows off, not on: nothing was sent"):
        await flags.write("search", "on", "on")
    assert (place / "sets").read_text() == "search=off\n"


async def test_a_name_is_one_argument_whatever_it_is(place: Path):
    (place / "flags.json").write_text(json.dumps({"a b; rm $HOME": True}))
    flags = provider(place, write=["./set", "{flag}", "{value}"])
    await flags.write("a b; rm $HOME", "off", "on")
    assert (place / "sets").read_text() == "a b; rm $HOME=off\n"


async def test_without_a_program_that_sets_flags_are_only_read(place: Path):
    flags = provider(place)
    assert not flags.writable
    assert flags.place == "what `cat flags.json` reads"
    with pytest.raises(Rejected, match="no command sets flags"):
        await flags.write("search", "off", "on")


@pytest.mark.slow
async def test_a_program_that_fails_or_hangs_may_have_set_it(place: Path):
    script(place / "late", "#!/bin/sh\necho '{\"search\": false}' > flags.json\necho half done >&2\nexit 3\n")
    flags = provider(place, write=["./late", "{flag}", "{value}"])
    with pytest.raises(OutcomeUnknown, match=r"late ended with 3 after .*: half done"):
        await flags.write("search", "off", "on")
    assert (await flags.read())["search"] == "off"
    script(place / "hang", "#!/bin/sh\nsleep 60\n")
    flags = provider(place, write=["./hang", "{flag}", "{value}"])
    with pytest.raises(OutcomeUnknown, match="hang was ended"):
        await flags.write("search", "on", "off")
    assert flags.settle >= 1.0, "as long as one of another daemon may still run"


async def test_a_program_that_is_not_there_has_surely_set_nothing(place: Path):
    with pytest.raises(Rejected, match="nope does not exist; nothing was started"):
        await provider(place, write=["./nope", "{flag}", "{value}"]).write("search", "off", "on")
    with pytest.raises(Unreachable, match="nope does not exist"):
        await provider(place, read=["./nope"]).read()


async def test_a_warning_on_standard_error_is_no_part_of_the_answer(place: Path):
    script(place / "warns", "#!/bin/sh\necho 'warning: old' >&2\ncat flags.json\n")
    assert (await provider(place, read=["./warns"]).read())["search"] == "on"


@pytest.mark.parametrize("output", ["", "no json", "[1]", "5", '{"a": true} and more', "[" * 100_000])
async def test_what_is_not_an_object_is_refused(place: Path, output: str):
    (place / "flags.json").write_text(output)
    with pytest.raises(Rejected, match="cat did not print a JSON object"):
        await provider(place).read()


async def test_a_program_that_fails_to_read_says_why_without_secrets(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLAGS_KEY", "s3cr3t-key")
    script(place / "fails", '#!/bin/sh\necho "refused for $KEY" >&2\nexit 1\n')
    with pytest.raises(Unreachable, match=r"fails ended with 1 after .*: refused for \*\*\*"):
        await provider(place, read=["./fails"], variables={"KEY": "${env:FLAGS_KEY}"}).read()
    script(place / "tells", '#!/bin/sh\nprintf \'{"key": "%s"}\' "$KEY"\n')
    assert await provider(place, read=["./tells"], variables={"KEY": "${env:FLAGS_KEY}"}).read() == {"key": "***"}


@pytest.mark.slow
async def test_a_reader_that_hangs_is_ended_in_time(place: Path):
    with pytest.raises(Unreachable, match="sleep was ended"):
        await provider(place, read=["sleep", "60"]).read()
