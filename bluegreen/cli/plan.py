"""`bluegreen plan`: what a deployment would do, step by step, and which guards hold now. It changes nothing."""

from __future__ import annotations

import click

from bluegreen.cli.findings import finding_lines, proven
from bluegreen.cli.screen import Ink, Screen
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, columns, pairs
from bluegreen.errors import ExitCode

DEADLINE = 120.0
"""Seconds: what is not good is looked at again and again, and a balancer's reads may lag behind."""


@click.command("plan", cls=Verb)
@service_argument()
@click.argument("version")
@click.option("--artifact", metavar="DIGEST", help="The artifact's digest.")
@click.pass_obj
def plan(settings: Settings, service: str, version: str, artifact: str | None) -> int:
    """Show what `deploy SERVICE VERSION` would do, and which guards hold now. Changes nothing.

    Exit code 3 where the deployment would be refused, or where a guard does not hold.
    """
    screen = settings.screen
    document = settings.client(DEADLINE).get("services", service, "plan", version=version, artifact=artifact)
    if screen.json:
        screen.document(document)
    else:
        screen.lines(_lines(document, screen))
    good = document["lawful"] and all(finding["ok"] for finding in document["findings"])
    return ExitCode.DONE if good else ExitCode.REFUSED


def _lines(plan: Document, screen: Screen) -> list[str]:
    return _screen(plan, screen.ink) if screen.terminal else _script(plan)


def _script(plan: Document) -> list[str]:
    head = pairs(
        service=plan["service"],
        version=plan["version"],
        lawful=plan["lawful"],
        why_not=plan.get("why_not") or None,
        source=plan.get("source"),
        candidate=plan.get("candidate"),
    )
    steps = [pairs(step=step["step"], what=step["what"]) for step in plan["steps"]]
    return [head, *steps, *(_script_line(one) for one in plan["findings"])]


def _script_line(finding: Document) -> str:
    sure = None if proven(finding) else False
    return pairs(check=finding["check"], ok=finding["ok"], proven=sure, summary=finding["summary"])


def _screen(plan: Document, ink: Ink) -> list[str]:
    lines = [ink(f"PLAN  {plan['service']}  {plan['version']}", "head")]
    if plan.get("candidate"):
        lines[0] += f"  {plan['source']} -> {plan['candidate']}"
    lines += ["", *columns([[f"{at}", step["step"], step["what"]] for at, step in enumerate(plan["steps"], 1)], "  ")]
    if plan["findings"]:
        lines += ["", ink("WHAT HOLDS NOW", "head"), *finding_lines(plan["findings"], ink)]
    if not plan["lawful"]:
        return [*lines, "", f"{ink('refused now', 'bad')}: {clean(plan['why_not'])}"]
    return [*lines, "", f"Nothing was changed. To do it: bluegreen deploy {plan['service']} {plan['version']}"]
