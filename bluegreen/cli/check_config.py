"""`bluegreen check-config`: every fault of all files at once; no network, no daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bluegreen.cli.problems import fault_document
from bluegreen.cli.settings import Settings, Verb
from bluegreen.errors import ExitCode

if TYPE_CHECKING:
    from bluegreen.config.schema import Config


@click.command("check-config", cls=Verb)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def check_config(settings: Settings, file: Path | None) -> int:
    """Find every fault of FILE (a bluegreen.yaml) and of its services' files.

    Exit code 2 where there is a fault; warnings are shown and do not count.
    """
    from bluegreen.config.load import check

    screen = settings.screen
    config, faults = check(file or settings.config_file)
    if screen.json:
        screen.document({"faults": [fault_document(fault) for fault in faults]})
    else:
        for fault in faults:
            screen.notice(str(fault))
    if config is None:
        return ExitCode.USAGE
    if not screen.json:
        screen.lines(_summary(config))
    return ExitCode.DONE


def _summary(config: Config) -> list[str]:
    lines = [f"{config.file}: good; {len(config.services)} service(s)"]
    for name, service in config.services.items():
        points = ", ".join(service.point_names())
        lines.append(f"  {name}: {', '.join(service.environments)}; switched at {points} ({config.sources[name]})")
    return lines
