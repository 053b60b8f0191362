"""What the commands share: the configuration, the gateway, clear complaints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from app import up as supervision
from app.config import ConfigError, Settings
from app.core.errors import StoreUnavailable
from app.core.message import conversation_key
from app.gateway import CONFIG_VARIABLE, WORKER_TIMEOUT, Gateway, build, settings_from_environment
from app.parts import CannotStart
from app.ports import PortRefused
from app.twilio import address_of


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
    help=f"Configuration file; default: ${CONFIG_VARIABLE}, else patchbay.toml.",
)


def gateway_of(config: Path | None) -> Gateway:
    find_running(config)
    return build(settings_of(config), role="cli", timeout=WORKER_TIMEOUT)


def settings_of(config: Path | None) -> Settings:
    if config:
        os.environ[CONFIG_VARIABLE] = str(config)  # for the program that takes this one's place, too
    return settings_from_environment()


def file_of(config: Path | None) -> Path:
    return config or Path(os.environ.get(CONFIG_VARIABLE, "patchbay.toml"))


def find_running(config: Path | None) -> None:
    """What runs here under `patchbay up` is meant, unless somebody says otherwise."""
    told = supervision.remembered()
    if told and not os.environ.get(CONFIG_VARIABLE) and (config is None or str(config) == told.get(CONFIG_VARIABLE)):
        os.environ.update({name: value for name, value in told.items() if not os.environ.get(name)})


def conversation_of(gateway: Gateway, channel: str, customer: str) -> str:
    """Raises: click.ClickException, there is no such channel, or the address can be none of its customers'."""
    if channel not in gateway.channels:
        raise click.ClickException(f"There is no channel {channel}.")
    address, provider = address_of(customer), gateway.channels[channel].provider
    if not address.startswith(f"{provider}:") or address == f"{provider}:":
        raise click.ClickException(f"{customer} is no address on {channel}: those begin with {provider}:")
    return conversation_key(channel, address)


def when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
