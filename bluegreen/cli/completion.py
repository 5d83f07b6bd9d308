"""`bluegreen completion`: a shell's script. Services are completed by asking the daemon."""

from __future__ import annotations

import click

from bluegreen.cli.settings import Verb


@click.command("completion", cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script of SHELL: `source <(bluegreen completion bash)`."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"{shell} is not known to this version of click")
    print(made(ctx.find_root().command, {}, "bluegreen", "_BLUEGREEN_COMPLETE").source())
    return 0
