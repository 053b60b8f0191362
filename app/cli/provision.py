"""`patchbay provision`: make what a channel or destination needs on its platform."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from app.cli.common import complains, config_option, file_of, find_running
from app.cli.printable import printable
from app.config.file import read
from app.config.schema import Settings, build_channel, build_destination, check_alone
from app.config.tables import KINDS, tables_of, type_of
from app.core.errors import Failure
from app.http import Http
from app.platforms.channel import Channel
from app.platforms.commands import OLDER_NAMES
from app.platforms.destination import Destination
from app.platforms.provision import Provisions, Run
from app.platforms.registry import PlatformError, platforms

DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show the calls that would change something, and make none of them."
)


@click.command()
@config_option
@click.argument("name")
@DRY_RUN
@complains
def provision(config: Path | None, name: str, dry_run: bool) -> None:
    """Make what a channel or destination needs on its platform.

    What is there already is found and corrected. What the table wants is printed, and may still be missing in the file.
    """
    run_for(config, name, dry_run)


def by_older_name(name: str) -> click.Group:
    """The group of commands that a platform had by its own name."""
    title, owner = OLDER_NAMES[name].title, OLDER_NAMES[name].owner

    @click.command("provision", help=f"Make, or find and correct, what a {title} destination needs in its project.")
    @config_option
    @click.argument("destination")
    @DRY_RUN
    @complains
    def provision(config: Path | None, destination: str, dry_run: bool) -> None:
        kinds, nothing = ["destinations"], f"is no {title} destination."
        run_for(config, destination, dry_run, kinds=kinds, who=owner, nothing=nothing)

    return click.Group(name, [provision], help=f"`provision`, by the name that it had for {title}.")


def run_for(
    config: Path | None,
    name: str,
    dry_run: bool,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    who: str = "The platform",
    nothing: str = "needs nothing on its platform that Patchbay could make.",
) -> None:
    """One run for the platform of that name, and what it prints.

    Raises:
        click.ClickException: there is none, it makes nothing, or a call failed.
        ConfigError: its table has a problem.
    """
    find_running(config)
    raw = read(file_of(config))
    kind = next((one for one in kinds if name in tables_of(raw, one)), kinds[-1])
    _stand_in(raw, kind, name)
    try:
        settings = check_alone(raw, kind, name, os.environ)
    except KeyError:
        raise click.ClickException(f"There is no {' or '.join(KINDS[one] for one in kinds)} {name}.") from None
    adapter = _built(settings, name)
    if not isinstance(adapter, Provisions):
        raise click.ClickException(f"{name} {nothing}")
    run = Run(Http(settings.hosts, egress=settings.gateway["egress"], secrets=settings.secrets), dry_run=dry_run)
    try:
        found = adapter.provision(run)
    except Failure as failure:
        raise click.ClickException(f"{who} did not do it: {printable(failure.detail)}") from None
    finally:
        for call in run.calls:
            click.echo(f"{'would ' if dry_run else ''}{call}")
    _tell(run, f"{kind}.{name}", found)


def _stand_in(raw: Mapping[str, Any], kind: str, name: str) -> None:
    """Put something in the place of what the run is only to find out, where the table does not have it yet."""
    table = tables_of(raw, kind).get(name, {})
    with suppress(KeyError, PlatformError):
        adapter = platforms().load(KINDS[kind], type_of(table))
        for key, value in (adapter.made if isinstance(adapter, Provisions) else {}).items():
            known = str(table.get(key, "env:"))
            if known.startswith("env:") and not os.environ.get(known.removeprefix("env:")):
                table[key] = value


def _built(settings: Settings, name: str) -> Channel | Destination:
    if name in settings.channels:
        return build_channel(settings.channels[name])
    return build_destination(settings.destinations[name])


def _tell(run: Run, table: str, found: Mapping[str, str]) -> None:
    if not run.calls:
        click.echo("Nothing to change.")
    for note in run.notes:
        click.echo(printable(note))
    if found:
        click.echo(f"\n[{table}]")
    for key, value in found.items():
        click.echo(f'{key} = "{value}"' if value else f"{key} = # known after the run")
