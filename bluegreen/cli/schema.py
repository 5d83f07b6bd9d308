"""`bluegreen schema`: the configuration's JSON Schema."""

from __future__ import annotations

import click

from bluegreen.cli.settings import Settings, Verb


@click.command("schema", cls=Verb)
@click.pass_obj
def schema(settings: Settings) -> int:
    """Print the JSON Schema with which editors complete and check the configuration."""
    from bluegreen.config.document import json_schema

    settings.screen.document(json_schema())
    return 0
