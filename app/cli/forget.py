"""`patchbay forget`: removes a person, and says what was removed and where else they are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli.common import complains, config_option, confirm, conversation_of
from app.cli.looking import View, view_of
from app.cli.printable import printable
from app.core.mentions import mentions, names_in
from app.spool import Spool
from app.store.traces import Traces

CONSENT, SPOOLED = "consent", "webhooks in the spool"  # rows of the report


@click.command("forget")
@config_option
@click.argument("channel")
@click.argument("customer")
@click.option("--consent", is_flag=True, help="Forget, too, whether they want messages: an opt-out holds no more.")
@click.option("--dry-run", is_flag=True, help="Only show what there is.")
@click.option("--yes", is_flag=True, help="Forget without being asked.")
@complains
def forget(config: Path | None, channel: str, customer: str, consent: bool, dry_run: bool, yes: bool) -> None:
    """Remove a person: all that is kept of a customer on a channel.

    CUSTOMER is an address such as whatsapp:+15551230001; each other address that is known to be theirs goes with it.
    What platforms know stays there; they are named.
    """
    view = view_of(config)
    conversation, others = conversation_of(view.providers, channel, customer), view.providers.keys() - {channel}
    found, spool = view.store.forgetting.find(conversation, channels=others), _spool(view)
    spooled = _in_spool(spool, found, others, dry=True)
    known = found.counts() | {SPOOLED: spooled}
    if not any(known.values()):
        click.echo(f"Nothing is known of {printable(customer)} on {channel}.")
        return
    if not dry_run:
        if not yes:
            _show(found, known, consent=consent)
            confirm("Forget all this, for good")
        spooled = _in_spool(spool, found, others, dry=False)
        found = view.store.forgetting.forget(conversation, consent=consent, channels=others)
        known = found.counts() | {SPOOLED: spooled}
    if dry_run or yes:
        _show(found, known, consent=consent)
    click.echo(f"{printable(customer)} is {'known' if dry_run else 'forgotten'} on {channel}.")


def _spool(view: View) -> Spool | None:
    """That of a receiver on this machine, if it has one. Raises: click.ClickException, it is another user's."""
    folder = Path(view.spool) if view.spool else None
    if folder is None or not folder.is_dir():
        return None
    if folder.stat().st_uid != os.geteuid():
        raise click.ClickException(f"The spool in {folder} belongs to {folder.owner()}: forget somebody as that user.")
    return Spool(folder, 0)


def _in_spool(spool: Spool | None, found: Traces, others: set[str], *, dry: bool) -> int:
    """How many webhooks of theirs are in the spool; forgotten, unless that is `dry`."""
    if spool is None:
        return 0
    names = found.names
    try:
        return spool.forget(
            lambda spooled: spooled.name not in others and mentions(spooled.webhook, names),
            lambda text: names_in(text, names),
            dry=dry,
        )
    except OSError as error:
        raise click.ClickException(f"The spool cannot be looked through: {error.strerror}.") from None


def _show(found: Traces, known: dict[str, int], *, consent: bool) -> None:
    for line in _lines(found, known, consent=consent):
        click.echo(printable(line))


def _lines(found: Traces, known: dict[str, int], *, consent: bool) -> Iterator[str]:
    addresses = list(dict.fromkeys(found.addresses))
    yield f"addresses: {', '.join(addresses)}"
    for words, count in known.items():
        if count and (words != CONSENT or consent):
            yield f"{count:8}  {words}"
    if known[CONSENT] and not consent:
        yield "Kept: whether they want messages; --consent forgets that, too."
    yield "What their platforms know stays there; delete it where they were:"
    yield f"  {found.channel}"
    for destination, names in sorted(found.known_as.items()):
        yield f"  {destination}{': ' if names else ''}{', '.join(sorted(names))}"
