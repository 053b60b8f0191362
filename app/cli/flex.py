"""`patchbay flex`: Twilio Flex projects."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from app.cli.common import complains, config_option, file_of, find_running
from app.cli.printable import printable
from app.config.file import read
from app.config.schema import build_destination, check_alone
from app.core.errors import Failure
from app.http import Http
from app.platforms.flex.destination import FlexDestination
from app.platforms.flex.provision import Provisioning

UNKNOWN_FLOW = "FO" + "0" * 32  # stands for the Flex Flow that is only just to be made


@click.group()
def flex() -> None:
    """Twilio Flex projects."""


@flex.command()
@config_option
@click.argument("destination")
@click.option("--dry-run", is_flag=True, help="Show the calls that would change something, and make none of them.")
@complains
def provision(config: Path | None, destination: str, dry_run: bool) -> None:
    """Create, or find and correct, what a Flex destination needs in its project; prints what the configuration wants.

    The identifiers that it prints may still be missing in the file.
    """
    find_running(config)
    raw = read(file_of(config))
    with suppress(KeyError, TypeError, AttributeError):
        table = raw["destinations"][destination]
        flow = str(table.get("flex_flow_sid", "env:"))
        if table["type"] == "flex_chat" and flow.startswith("env:") and not os.environ.get(flow.removeprefix("env:")):
            table["flex_flow_sid"] = UNKNOWN_FLOW
    try:
        settings = check_alone(raw, destination, os.environ)
    except KeyError:
        raise click.ClickException(f"There is no destination {destination}.") from None
    adapter = build_destination(settings.destinations[destination])
    if not isinstance(adapter, FlexDestination):
        raise click.ClickException(f"{destination} is no Flex destination.")
    run = Provisioning(adapter.account, Http(settings.hosts), dry_run)
    try:
        found = adapter.provision(run)
    except Failure as failure:
        raise click.ClickException(f"Twilio did not do it: {printable(failure.detail)}") from None
    finally:
        for call in run.calls:
            click.echo(f"{'would ' if dry_run else ''}{call}")
    if not run.calls:
        click.echo("Nothing to change.")
    for note in run.notes:
        click.echo(note)
    if found:
        click.echo(f"\n[destinations.{destination}]")
    for key, value in found.items():
        click.echo(f'{key} = "{value}"' if value else f"{key} = # known after the run")
