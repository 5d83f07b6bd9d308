"""`bluegreen deploy`: start a deployment; with --wait, follow it to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bluegreen.cli import cause as causes
from bluegreen.cli.acts import halt_of, shown
from bluegreen.cli.cause import cause_options, freeze_option
from bluegreen.cli.follow import Patience, ending, follow
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.times import seconds
from bluegreen.cli.words import Document, pairs
from bluegreen.errors import ExitCode


@click.command("deploy", cls=Verb)
@service_argument()
@click.argument("version")
@click.option("--artifact", metavar="DIGEST", help="The artifact's digest.")
@click.option("--changes", type=click.Path(path_type=Path), metavar="FILE", help="The change manifest (YAML or JSON).")
@click.option("--replace-warm", is_flag=True, help="Deploy over a protected warm environment; needs --reason.")
@click.option("--reason", help="Why; it stands in the journal.")
@freeze_option
@cause_options
@click.option("--wait", is_flag=True, help="Show progress; end with the deployment's exit code.")
@click.option("--no-pause", is_flag=True, help="With --wait: a pause or an awaited approval ends it, with 5.")
@click.option(
    "--timeout", callback=seconds, metavar="DURATION", help="With --wait: end after so long (30s, 10m), with 124."
)
@click.pass_obj
def deploy(
    settings: Settings,
    service: str,
    version: str,
    artifact: str | None,
    changes: Path | None,
    replace_warm: bool,
    reason: str | None,
    wait: bool,
    no_pause: bool,
    timeout: float | None,
    cause: str | None,
    note: str | None,
    override_freeze: bool | None,
) -> int:
    """Deploy VERSION to the idle environment of SERVICE and move the traffic to it, step by step.

    With --wait: 0 completed, 1 ended otherwise, 4 halted, 124 --timeout passed, 130 Ctrl-C; after the last two it goes
    on.
    """
    if not wait and (no_pause or timeout is not None):
        raise click.UsageError("--no-pause and --timeout go with --wait")
    body: Document = {"version": version, "artifact": artifact, "reason": reason, "replace_warm": replace_warm or None}
    body |= {"changes": _manifest(changes) if changes is not None else None, "override_freeze": override_freeze}
    given = {key: value for key, value in {**body, "cause": cause, "note": note}.items() if value is not None}
    screen, client = settings.screen, settings.client()
    code: int = ExitCode.DONE
    now = client.get("services", service)
    given |= {"halt": halt} if (halt := halt_of(now)) else {}  # a roll-forward answers exactly the halt shown here
    for line in shown(now, "deploy", halt=halt):
        screen.notice(line.replace("VERSION", version))
    screen.notice(f"deploy {version} of {service}: no traffic moves until smoke has passed")
    started = client.post("services", service, "deployments", body=given)
    if wait:
        code = _wait(settings, started["switch"], Patience(timeout, no_pause))
    elif screen.json:
        screen.document(started)
    else:
        screen.lines([started_line(started["switch"])])
        screen.notice(f"it goes on by itself; to see it: bluegreen watch {service}")
    if code != ExitCode.DETACHED and halt is not None:
        causes.ask(client, screen, service, halt, cause)
    return code


def started_line(switch: Document) -> str:
    """The switch that was started, for a person and a script alike."""
    return pairs(
        service=switch["service"],
        switch=switch["id"],
        kind=switch["kind"],
        version=switch["version"],
        source=switch["source"],
        candidate=switch["candidate"],
        condition=switch["condition"],
    )


def _wait(settings: Settings, switch: Document, patience: Patience) -> int:
    screen, client = settings.screen, settings.client()
    screen.lines([started_line(switch)])
    try:
        code, last = follow(client, switch, screen, patience)
        service = client.get("services", last["service"]) if code == ExitCode.HALTED else {}
    except KeyboardInterrupt:
        screen.notice(f"\ndetached; the switch goes on: bluegreen watch {switch['service']}")
        return ExitCode.DETACHED
    if code not in (ExitCode.PAUSED, ExitCode.TIMEOUT):
        screen.lines(ending(service, last, screen))
    if screen.json:
        screen.document(last)
    return code


def _manifest(file: Path) -> list[Any]:
    """A change manifest, YAML or JSON. Raises ConfigError with every fault and its line."""
    import json

    from bluegreen.changes import from_file
    from bluegreen.core.manifest import write_down

    return list(json.loads(write_down(from_file(file))))
