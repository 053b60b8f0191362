"""The `patchbay` command."""

from __future__ import annotations

import click

from app.cli import consent, costs, flex, letters, running


@click.group()
@click.version_option(package_name="patchbay")
def main() -> None:
    """A self-hosted gateway for custom messaging channels."""


for command in (
    *(running.up, running.receiver, running.worker, running.sandbox, running.check_config, running.lanes),
    *(letters.dead_letters, costs.show_costs, consent.consent, flex.flex),
):
    main.add_command(command)
