"""The `patchbay` command.

What a command needs is loaded when it runs, so that `--help` and those that only look answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import click

from app.platforms.commands import OLDER_NAMES

# name: (module, function, what --help says of it)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "check-config": ("running", "check_config", "Check a configuration file; every problem is named with its key."),
    "consent": ("consent", "consent", "Who wants no messages on a channel."),
    "costs": ("costs", "show_costs", "What messages cost, per day and channel."),
    "dead-letters": ("letters", "dead_letters", "Messages that were given up, and webhooks that could not be read."),
    "doctor": ("doctor", "doctor", "Examine this installation from all sides."),
    "forget": ("forget", "forget", "Remove a person: all that is kept of a customer on a channel."),
    "lanes": ("running", "lanes", "Show what waits in every lane, and what was counted."),
    "provision": ("provision", "provision", "Make what a channel or destination needs on its platform."),
    "receiver": ("running", "receiver", "Take webhooks and serve the pages."),
    "sandbox": ("running", "sandbox", "Serve the stand-ins for the outside platforms; set up by SANDBOX_* variables."),
    "up": ("running", "up", "Run everything: Redis, receiver, workers, Flower and, if asked, the sandbox."),
    "worker": ("running", "worker", "Work the lanes."),
}


class Commands(click.Group):
    """Finds its commands in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*COMMANDS, *OLDER_NAMES])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OLDER_NAMES:
            return _loaded("provision").by_older_name(cmd_name)  # type: ignore[no-any-return]  # of a module
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        return getattr(_loaded(module), function)  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = {name: words for name, (_, _, words) in COMMANDS.items()}
        words |= {name: f"`provision`, by the name that it had for {one.title}." for name, one in OLDER_NAMES.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(words.items()))


def _loaded(module: str) -> ModuleType:
    return import_module(f"{__name__}.{module}")


@click.group(cls=Commands)
@click.version_option(package_name="patchbay")
def main() -> None:
    """A self-hosted gateway for custom messaging channels."""
