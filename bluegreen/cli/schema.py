"""`bluegreen schema`: the JSON Schemas of what users write."""

from __future__ import annotations

import click

from bluegreen.cli.settings import Settings, Verb


@click.command("schema", cls=Verb)
@click.option("--changes", is_flag=True, help="Of a change manifest (deploy --changes) instead.")
@click.pass_obj
def schema(settings: Settings, changes: bool) -> int:
    """Print the JSON Schema with which editors complete and check the configuration."""
    if changes:
        from bluegreen.changes import json_schema as of_changes

        settings.screen.document(of_changes())
        return 0
    from bluegreen.config.document import json_schema

    settings.screen.document(json_schema())
    return 0
