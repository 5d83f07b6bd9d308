"""`bluegreen demo`: passed through to the demo's own rooms."""

from __future__ import annotations

import click

from bluegreen.cli.settings import Verb


@click.command("demo", cls=Verb)
@click.option("--unattended", is_flag=True, help="A scripted deployment and failback; prints figures and ends.")
def demo(unattended: bool) -> int:
    """A real balancer, two environments, real traffic and the daemon, by one command."""
    from bluegreen.demo.command import run

    return run(unattended=unattended)
