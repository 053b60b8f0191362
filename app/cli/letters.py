"""`patchbay dead-letters`: what was given up, and how to revive it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.common import complains, config_option, confirm, gateway_of, when
from app.cli.looking import View, view_of
from app.cli.printable import printable
from app.core.errors import BadWebhook, Unverified
from app.core.work import item_text
from app.store.dead_letters import DeadLetter

if TYPE_CHECKING:  # who only looks does not wait for it
    from app.gateway import Gateway

ALL = ("all",)


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that were given up, and webhooks that could not be read."""


@dead_letters.command("list")
@config_option
@click.option("--most", default=50, show_default=True)
@complains
def list_letters(config: Path | None, most: int) -> None:
    """The newest first: id, time, lane, reason and error."""
    letters = view_of(config).store.dead_letters.newest(most)
    for letter in letters:
        click.echo(printable(f"{letter.id}  {when(letter.at)}  {letter.where}  {letter.reason}: {letter.error}"))
    if not letters:
        click.echo("No dead letters.")


@dead_letters.command("show")
@config_option
@click.argument("letter_id")
@complains
def show_letter(config: Path | None, letter_id: str) -> None:
    """One dead letter in full."""
    view = view_of(config)
    letter = _letter(view, letter_id)
    lines: dict[str, Any] = {"id": letter.id, "where": letter.where, "reason": letter.reason, "error": letter.error}
    record = view.store.messages.read(letter.message_id) if letter.message_id else None
    if record:
        lines |= {"message": record.message.id, "conversation": record.message.conversation}
        lines |= {"author": record.message.author, "content": record.message.content}
    elif letter.webhook:
        from app.parked import unpark

        webhook = unpark(letter.webhook)
        lines |= {"url": webhook.url.partition("?")[0], "body": webhook.body.decode(errors="replace")}
    else:
        lines |= {"mailbox": letter.mailbox, "item": item_text(letter.item) if letter.item else ""}
        lines |= {"asked with it": ", ".join(letter.also)} if letter.also else {}
    for name, value in lines.items():
        click.echo(f"{name:14}{printable(str(value))}")


@dead_letters.command("replay")
@config_option
@click.argument("letter_ids", nargs=-1, required=True)
@complains
def replay_letters(config: Path | None, letter_ids: tuple[str, ...]) -> None:
    """Try again, behind what waits in the same conversation. `all` replays every letter."""
    gateway, kept = gateway_of(config), 0
    for letter_id in _chosen(gateway, letter_ids):
        letter = _letter(gateway, letter_id)
        try:
            _replay(gateway, letter)
        except click.ClickException as error:
            kept += 1
            click.echo(error.message, err=True)
        else:
            click.echo(f"{letter_id} replayed")
    sys.exit(1 if kept else 0)


@dead_letters.command("discard")
@config_option
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Discard all without being asked.")
@complains
def discard_letters(config: Path | None, letter_ids: tuple[str, ...], yes: bool) -> None:
    """Forget dead letters for good. `all` discards every one, once you have said yes to that."""
    view = view_of(config)
    chosen = _chosen(view, letter_ids)
    if letter_ids == ALL and chosen and not yes:
        what = (
            "1 dead letter, with its message"
            if len(chosen) == 1
            else f"{len(chosen)} dead letters, with their messages"
        )
        confirm(f"Forget {what}, for good")
    for letter_id in chosen:
        if not view.store.dead_letters.discard(letter_id) and letter_ids != ALL:
            raise _no_such(letter_id)
        click.echo(f"{letter_id} discarded")


def _replay(gateway: Gateway, letter: DeadLetter) -> None:
    """Raises: click.ClickException, the letter could not be replayed and is kept."""
    if letter.webhook:
        _receive_again(gateway, letter)
    else:
        _, wakes = gateway.store.dead_letters.replay(letter.id)
        gateway.publisher.publish(wakes)


def _receive_again(gateway: Gateway, letter: DeadLetter) -> None:
    """Read a parked webhook anew; what it says is deduplicated like any other webhook."""
    from app.inbox import NotTaken, accept, read
    from app.parked import unpark

    webhook = unpark(letter.webhook)
    if letter.where not in gateway.channels and letter.where not in gateway.destinations:
        raise click.ClickException(f"{letter.id} is kept: {letter.where} is no longer configured.")
    try:
        accept(gateway, letter.where, read(gateway, letter.where, webhook))
    except (NotTaken, BadWebhook, Unverified) as error:
        raise click.ClickException(f"{letter.id} is kept: {error}") from None
    gateway.store.dead_letters.discard(letter.id)


def _chosen(gateway: Gateway | View, letter_ids: tuple[str, ...]) -> list[str]:
    if letter_ids == ALL:
        return [letter.id for letter in reversed(gateway.store.dead_letters.newest(1_000_000))]
    return list(letter_ids)


def _letter(gateway: Gateway | View, letter_id: str) -> DeadLetter:
    letter = gateway.store.dead_letters.show(letter_id)
    if letter is None:
        raise _no_such(letter_id)
    return letter


def _no_such(letter_id: str) -> click.ClickException:
    return click.ClickException(f"There is no dead letter {printable(letter_id)}.")
