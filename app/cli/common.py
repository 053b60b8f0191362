"""What the commands share: the configuration, the gateway, clear complaints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.config.file import CONFIG_VARIABLE, USUAL_FILE, ConfigError
from app.core.address import typed_address
from app.core.errors import StoreUnavailable
from app.core.message import conversation_key
from app.core.reading import clean_text
from app.local.embedded import CannotStart
from app.local.ports import PortRefused
from app.local.processes import remembered

if TYPE_CHECKING:  # what makes a command slow is loaded by those that need it
    from app.config.schema import Settings
    from app.gateway import Gateway


def complains(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what an operator can mend into one clear line (or one per problem) in place of a trace."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            for key, rule in error.problems:
                click.echo(f"{key}: {rule}" if key else rule, err=True)
            sys.exit(2)
        except (StoreUnavailable, CannotStart, PortRefused) as error:
            click.echo(str(error), err=True)
            sys.exit(1)

    return wrapped


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Configuration file; default: ${CONFIG_VARIABLE}, else {USUAL_FILE}.",
)


def gateway_of(config: Path | None) -> Gateway:
    from app.gateway import WORKER_TIMEOUT, build

    find_running(config)
    return build(settings_of(config), role="cli", timeout=WORKER_TIMEOUT)


def settings_of(config: Path | None) -> Settings:
    from app.gateway import settings_from_environment

    if config:
        os.environ[CONFIG_VARIABLE] = str(config)  # for the program that takes this one's place, too
    return settings_from_environment()


def look_at_redis(settings: Settings) -> None:
    """Say what is worth saying of the configured Redis. Raises: ConfigError, it would lose messages."""
    from app.gateway import check_redis

    for sentence in check_redis(settings):
        click.echo(f"Warning: {sentence}", err=True)


def file_of(config: Path | None) -> Path:
    return config or Path(os.environ.get(CONFIG_VARIABLE) or USUAL_FILE)


def find_running(config: Path | None) -> None:
    """What runs here under `patchbay up` is meant, unless somebody says otherwise."""
    told, named = remembered(), config or os.environ.get(CONFIG_VARIABLE)
    if told and (not named or Path(named).resolve() == Path(told.get(CONFIG_VARIABLE, "")).resolve()):
        os.environ.update({name: value for name, value in told.items() if not os.environ.get(name)})


def conversation_of(providers: Mapping[str, str], channel: str, customer: str) -> str:
    """The conversation of an address on a channel.

    Args:
        providers: of every channel's addresses, by its name; empty where it is not known.

    Raises:
        click.ClickException: there is no such channel, or the address can be none of its customers'.
    """
    if channel not in providers:
        raise click.ClickException(f"There is no channel {channel}.")
    address, provider = typed_address(clean_text(customer)), providers[channel] or customer.partition(":")[0]
    if not address.startswith(f"{provider}:") or address == f"{provider}:":
        raise click.ClickException(f"{customer} is no address on {channel}: those begin with {provider}:")
    return conversation_key(channel, address)


def confirm(question: str) -> None:
    """Ask a yes or no. Raises: click.Abort, the answer is no; click.ClickException, nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.ClickException(f"{question}? There is nobody here to ask: add --yes.")
    click.confirm(f"{question}?", abort=True)


def when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
