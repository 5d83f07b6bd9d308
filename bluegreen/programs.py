"""Whether a configured program could be run now: it is there, may be run, and all that it is given can be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.config.placeholders import fill
from bluegreen.config.secrets import SecretMissing
from bluegreen.config.values import filled


@dataclass(frozen=True, slots=True)
class Program:
    """A program as configured: `key` is where it stands in the configuration, for whoever has to mend it."""

    key: str
    argv: Sequence[str]
    directory: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runnable:
    """Whether it could be run: which file would be, or why it could not, and what to do."""

    ok: bool
    summary: str
    advice: str = ""


def examine(program: Program, names: Mapping[str, str]) -> Runnable:
    """Look whether it could be run with these placeholders. Runs nothing."""
    try:
        name = fill(program.argv[0], names)
        where = Path(fill(program.directory, names)) if program.directory else Path.cwd()
        given, _ = filled(program.variables, names)
        for part in program.argv:
            fill(part, names)
    except KeyError as error:
        return Runnable(False, f"the placeholder {{{error.args[0]}}} has no value", f"mend `{program.key}`")
    except SecretMissing as error:
        return Runnable(False, error.what, error.advice)
    if not where.is_dir():
        return Runnable(False, f"the directory {where} does not exist", f"mend `directory` of `{program.key}`")
    path = str(where / name) if os.sep in name else name
    if shutil.which(path, path=given.get("PATH")) is None:
        what = "may not be run" if os.sep in name and Path(path).exists() else "does not exist"
        return Runnable(False, f"{path} {what}", f"mend `{program.key}`, or the file's rights")
    return Runnable(True, f"{path} can be run")
