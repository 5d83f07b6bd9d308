"""The entry: the list of verbs, each imported only when it is called for, and the exit code of every end."""

from __future__ import annotations

import importlib
import os
import sys

import click

from bluegreen import __version__
from bluegreen.cli.settings import global_options
from bluegreen.errors import ExitCode

VERBS = {
    "serve": ("serve", "Run the daemon in the foreground."),
    "demo": ("demo", "A running example with real traffic, by one command."),
    "check-config": ("check_config", "Find every fault of the configuration, without the network."),
    "schema": ("schema", "Print the JSON Schema of the configuration, or of a change manifest."),
    "status": ("status", "Who is live, the split, what is warm, who is awaited."),
    "watch": ("watch", "The same, live."),
    "plan": ("plan", "What a deployment would do. Changes nothing."),
    "deploy": ("deploy", "Start a deployment."),
    "approve": ("acts", "Let a switch go past a planned wait."),
    "pause": ("acts", "Wait, until resume."),
    "resume": ("acts", "Go on: after a pause, or after a halt."),
    "promote": ("acts", "Skip the remaining shift steps: 100% now."),
    "abort": ("acts", "End a switch whose candidate has no traffic."),
    "accept": ("acts", "Go past one named failed check."),
    "halt": ("acts", "Stop the line."),
    "claim": ("claim", "Say of a halt: I have it."),
    "adopt": ("acts", "Take what the balancer shows for the truth."),
    "restore": ("drift", "Put the balancer back to what the journal says."),
    "leave": ("drift", "Leave the balancer as it is, on record."),
    "flag": ("flag", "Feature flags: a smaller way out than a failback."),
    "release": ("acts", "Let the warm environment go."),
    "failback": ("failback", "Move the traffic back. Only ever by a person."),
    "ready": ("ready", "Whether a failback is possible right now: every proof with its age."),
    "doctor": ("doctor", "Every guard and every credential, now: what would stop a switch or a failback."),
    "debts": ("debts", "What a failback left wrong on purpose; who sees to it."),
    "explain": ("explain", "Why things are as they are, and which ways there are."),
    "lessons": ("lessons", "What halts have taught; what one came from."),
    "guard": ("guard", "Preflight checks made of halts: first in shadow, then enforcing."),
    "evidence": ("evidence", "What was kept at a halt."),
    "history": ("history", "Past switches."),
    "events": ("events", "The journal; --follow shows it live."),
    "token": ("token", "Make, list and revoke the tokens of the TCP endpoint."),
    "completion": ("completion", "Print a shell's completion script."),
}
"""Verb -> its file in this package, and its line in the help. In the order of the help."""


class Verbs(click.Group):
    """Imports a verb's file when the verb is called for: `status` does not wait for `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"bluegreen.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: a list of all verbs needs none of them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code of the contract."""
    try:
        return int(group.main(arguments, prog_name="bluegreen", standalone_mode=False) or ExitCode.DONE)
    except click.ClickException as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt):
        print("\nstopped here; nothing was asked of the daemon since", file=sys.stderr)
        return ExitCode.DETACHED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- the interpreter flushes it at its end
        return ExitCode.FAILED
    except Exception as error:
        return _unexpected(error)


def _usage(error: click.ClickException) -> int:
    print(f"error: {error.format_message()}", file=sys.stderr)
    asked = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "bluegreen"
    print(f"see `{asked} --help`", file=sys.stderr)
    return ExitCode.USAGE


def _unexpected(error: Exception) -> int:
    if os.environ.get("BLUEGREEN_DEBUG"):
        import traceback

        traceback.print_exc()
    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    print("this is a fault of bluegreen itself; BLUEGREEN_DEBUG=1 shows where", file=sys.stderr)
    return ExitCode.FAILED


@click.pass_context
def _alone(ctx: click.Context) -> int:
    """Move traffic between blue and green environments; hold and ask when something is wrong.

    It never moves traffic back by itself: that is `bluegreen failback`, and a person's.
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), file=sys.stderr)
    return ExitCode.USAGE


group = Verbs(
    "bluegreen",
    callback=_alone,
    help=_alone.__doc__,
    invoke_without_command=True,
    params=global_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name="bluegreen")(group)
