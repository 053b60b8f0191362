"""`patchbay costs`: what messages cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from app.cli.common import complains, config_option, conversation_of
from app.cli.looking import View, view_of
from app.cli.printable import printable
from app.config.file import ConfigError
from app.core.costs import COLUMNS, Costs, amount_of, asked_for, summed
from app.core.errors import InvalidInput


@click.group("costs", invoke_without_command=True)
@config_option
@click.option("--from", "first", help="First day (UTC) as YYYY-MM-DD; default: 30 days, today included.")
@click.option("--to", "last", help="Last day; default: today.")
@click.option("--channel", help="Of this channel only.")
@click.option("--by", type=click.Choice(["day", "channel"]), help="Add up each day or each channel.")
@click.pass_context
@complains
def show_costs(
    context: click.Context,
    config: Path | None,
    first: str | None,
    last: str | None,
    channel: str | None,
    by: str | None,
) -> None:
    """What messages cost, per day and channel."""
    if context.invoked_subcommand:
        return
    view = _with_costs(config)
    named = {name: value for name, value in (("from", first), ("to", last), ("channel", channel)) if value is not None}
    try:
        asked = asked_for(named, view.providers, view.store.costs.today())
    except InvalidInput as error:
        raise ConfigError([(f"--{error.field}", error.rule)]) from None
    rows = view.store.costs.days(asked.first, asked.last, asked.channel)
    click.echo(f"{asked.first} to {asked.last}, in {view.currency}")
    grouped = summed(rows, by) if by else rows  # type: ignore[arg-type]  # one of the choices
    for line in _table([*grouped, *summed(rows, "")]):
        click.echo(line)


@show_costs.command("message")
@config_option
@click.argument("message_id")
@complains
def show_message_costs(config: Path | None, message_id: str) -> None:
    """What one message cost, and the questions to a bot that it caused."""
    view = _with_costs(config)
    found = view.store.costs.message(message_id)
    if found is None:
        raise click.ClickException(f"There is no message {message_id} (any more).")
    how = "reported by its platform" if found.reported else "by the price table"
    lines = {"conversation": found.conversation, "date": found.day or "nothing is booked"}
    lines |= {"message": f"{amount_of(found.message)} ({how})", "turns": amount_of(found.turns)}
    lines |= {"total": f"{amount_of(found.message + found.turns)} {view.currency}"}
    for name, value in lines.items():
        click.echo(f"{name:14}{printable(str(value))}")


@show_costs.command("conversation")
@config_option
@click.argument("channel")
@click.argument("customer")
@complains
def show_conversation_costs(config: Path | None, channel: str, customer: str) -> None:
    """What all messages of a customer's ADDRESS (as in whatsapp:+1555...) on one channel cost."""
    view = _with_costs(config)
    found = view.store.costs.conversation(conversation_of(view.providers, channel, customer))
    if found is None:
        raise click.ClickException(f"Nothing is booked for {customer} on {channel} (any more).")
    for column, amount in found.amounts.items():
        click.echo(f"{column:14}{amount}")
    click.echo(f"{'currency':14}{view.currency}")


def _with_costs(config: Path | None) -> View:
    view = view_of(config)
    if not view.currency:
        raise click.ClickException("Nothing is booked: the configuration has no table costs.")
    return view


def _table(rows: Sequence[Costs]) -> Iterator[str]:
    """The last row holds the sums."""
    cells = [["date", "channel", *COLUMNS]]
    cells += [[str(row.day or ""), row.channel, *row.amounts.values()] for row in rows]
    cells[-1][0] = "total"
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for day, channel, *amounts in cells:
        numbers = [amount.rjust(width) for amount, width in zip(amounts, widths[2:], strict=True)]
        yield "  ".join([day.ljust(widths[0]), channel.ljust(widths[1]), *numbers])
