"""`bluegreen serve`: the daemon itself, imported here and nowhere else."""

from __future__ import annotations

import click

from bluegreen.cli.settings import Settings, Verb


@click.command("serve", cls=Verb)
@click.pass_obj
def serve(settings: Settings) -> int:
    """Run the daemon in the foreground, until SIGTERM."""
    from bluegreen import daemon

    return daemon.serve(settings.config_file)
