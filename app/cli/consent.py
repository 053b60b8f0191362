"""`patchbay consent`: who wants no messages on a channel."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.common import complains, config_option, conversation_of, when
from app.cli.looking import view_of
from app.cli.printable import printable
from app.core.consent import State


@click.group()
def consent() -> None:
    """Who wants no messages on a channel."""


@consent.command("show")
@config_option
@click.argument("channel")
@click.argument("customer")
@complains
def show_consent(config: Path | None, channel: str, customer: str) -> None:
    """Whether CUSTOMER (an address such as whatsapp:+15551230001) wants messages on CHANNEL, and who said so when."""
    view = view_of(config)
    known = view.store.consents.read(conversation_of(view.providers, channel, customer))
    if known is None:
        click.echo("in: they never opted out")
    else:
        click.echo(f"{known.state}: since {when(known.at)}, {printable(known.by)}")


@consent.command("set")
@config_option
@click.argument("channel")
@click.argument("customer")
@click.argument("state", type=click.Choice(["in", "out"]))
@complains
def set_consent(config: Path | None, channel: str, customer: str, state: State) -> None:
    """State what CUSTOMER wants on CHANNEL: `in` or `out`. Their platform may know better and still refuse."""
    view = view_of(config)
    view.store.consents.write(conversation_of(view.providers, channel, customer), state, "an operator set it")
    click.echo(f"{customer} is {state} on {channel}")
