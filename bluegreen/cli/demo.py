"""`bluegreen demo`: passed through to the demo's own rooms."""

from __future__ import annotations

from pathlib import Path

import click

from bluegreen.cli.settings import Settings, Verb


@click.command("demo", cls=Verb)
@click.option("--unattended", is_flag=True, help="A scripted deployment and failback; prints figures and ends.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where its files are, new or empty; a temporary one unless given.",
)
@click.pass_obj
def demo(settings: Settings, unattended: bool, directory: Path | None) -> int:
    """A real balancer, two environments, real traffic and the daemon, by one command."""
    from bluegreen.demo.command import run

    return run(unattended=unattended, screen=settings.screen, directory=directory)
