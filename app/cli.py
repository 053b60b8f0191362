"""The `patchbay` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from app import up as supervision
from app.config import ConfigError, Settings, build_destination, check_alone, load, read
from app.core.consent import State
from app.core.costs import COLUMNS, Costs, amount_of, asked_for, summed
from app.core.errors import BadWebhook, Failure, StoreUnavailable, Unverified
from app.core.message import conversation_key
from app.destinations.flex.destination import FlexDestination
from app.destinations.flex.provision import Provisioning
from app.gateway import (
    CONFIG_VARIABLE,
    THREADS_VARIABLE,
    WORKER_TIMEOUT,
    Gateway,
    build,
    lanes_of,
    settings_from_environment,
)
from app.http import Http
from app.inbox import Inbox, NotTaken, unpark
from app.parts import CannotStart, Plan
from app.store.dead_letters import DeadLetter
from app.twilio import address_of

MOST_THREADS = 64  # of one worker
UNKNOWN_FLOW = "FO" + "0" * 32  # stands for the Flex Flow that is only just to be made


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
        except (StoreUnavailable, CannotStart) as error:
            click.echo(str(error), err=True)
            sys.exit(1)

    return wrapped


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Configuration file; default: ${CONFIG_VARIABLE}, else patchbay.toml.",
)


@click.group()
@click.version_option(package_name="patchbay")
def main() -> None:
    """A self-hosted gateway for custom messaging channels."""


@main.command()
@config_option
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(1, 65_532),
    help="Of the receiver; the next three serve the other parts.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 32))
@click.option("--redis", "redis_url", help="Use this Redis in place of an embedded one.")
@click.option("--sandbox", is_flag=True, help="Add stand-ins for the outside platforms.")
@complains
def up(config: Path | None, port: int, workers: int, redis_url: str | None, sandbox: bool) -> None:
    """Run everything: Redis, receiver, workers, Flower and, if asked, the sandbox. Ctrl-C stops it all."""
    sys.exit(supervision.run(Plan(config, port, workers, redis_url, sandbox)))


@main.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--threads", default=64, show_default=True, type=click.IntRange(4, 512), help="Of one process.")
@complains
def receiver(config: Path | None, host: str, port: int, processes: int, threads: int) -> None:
    """Take webhooks and serve the pages."""
    settings = _settings(config)
    _refuse_open_channels(settings, host)
    os.environ[THREADS_VARIABLE] = str(threads)  # open chats must leave some for webhooks
    _exec(
        "granian", "--interface", "wsgi", "--factory", "app.web:create_app", "--host", host, "--port", str(port),
        "--workers", str(processes), "--blocking-threads", str(threads), "--no-ws", "--log-level", "error",
        "--respawn-failed-workers", "--workers-kill-timeout", "20",
    )  # fmt: skip


@main.command()
@config_option
@click.option("--lanes", default="*", show_default=True, help="Names or patterns, separated by commas.")
@click.option("--threads", type=click.IntRange(1, 256), help="Default: what the lanes may use, at most 64.")
@click.option("--name", default="worker", show_default=True, help="Of this worker; unique on its host.")
@complains
def worker(config: Path | None, lanes: str, threads: int | None, name: str) -> None:
    """Work the lanes."""
    known = lanes_of(_settings(config))
    chosen = [lane for lane in known if any(fnmatch(lane.name, pattern.strip()) for pattern in lanes.split(","))]
    if not chosen:
        raise ConfigError([("--lanes", f"Matches none of: {', '.join(lane.name for lane in known)}.")])
    count = threads or min(MOST_THREADS, sum(lane.concurrency for lane in chosen))
    _exec(
        "celery", "-A", "workers.fleet", "--quiet", "worker", "--pool", "threads", "--concurrency", str(count),
        "--hostname", f"{name}@%h", "--queues", ",".join(lane.name for lane in chosen), "--without-gossip",
        "--without-mingle", "--disable-prefetch", "--task-events", "--loglevel", "warning",
    )  # fmt: skip


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8001, show_default=True)
def sandbox(host: str, port: int) -> None:
    """Serve the stand-ins for the outside platforms; set up by SANDBOX_* variables."""
    from app.sandbox import serve  # only this command needs it

    serve(host, port)


@main.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
@complains
def check_config(file: Path) -> None:
    """Check a configuration file; every problem is named with its key."""
    settings = load(file)
    click.echo(f"{file} is valid: {len(settings.channels)} channels, {len(settings.destinations)} destinations.")


@main.command()
@config_option
@complains
def lanes(config: Path | None) -> None:
    """Show what waits in every lane, and what was counted."""
    gateway = _gateway(config)
    now = datetime.now(UTC).timestamp()
    for lane in gateway.store.lanes.overview(now):
        rests = f"  rests {lane.paused_for:.0f} s: {lane.paused_why}" if lane.paused_for else ""
        click.echo(f"{lane.name:32} waiting {lane.waiting:6}  ready {lane.ready:5}  at work {lane.leased:3}{rests}")
    for what, count in gateway.store.lanes.counts().items():
        click.echo(f"{what:32} {count}")


@main.group("dead-letters")
def dead_letters() -> None:
    """Messages that were given up, and webhooks that could not be read."""


@dead_letters.command("list")
@config_option
@click.option("--most", default=50, show_default=True)
@complains
def list_letters(config: Path | None, most: int) -> None:
    """The newest first: id, time, lane, reason and error."""
    letters = _gateway(config).store.dead_letters.newest(most)
    for letter in letters:
        click.echo(f"{letter.id}  {_when(letter.at)}  {letter.where}  {letter.reason}: {letter.error}")
    if not letters:
        click.echo("No dead letters.")


@dead_letters.command("show")
@config_option
@click.argument("letter_id")
@complains
def show_letter(config: Path | None, letter_id: str) -> None:
    """One dead letter in full."""
    gateway = _gateway(config)
    letter = _letter(gateway, letter_id)
    lines: dict[str, Any] = {"id": letter.id, "where": letter.where, "reason": letter.reason, "error": letter.error}
    record = gateway.store.messages.read(letter.message_id) if letter.message_id else None
    if record:
        lines |= {"message": record.message.id, "conversation": record.message.conversation}
        lines |= {"author": record.message.author, "content": record.message.content}
    elif letter.webhook:
        webhook = unpark(letter.webhook)
        lines |= {"url": webhook.url.partition("?")[0], "body": webhook.body.decode(errors="replace")}
    else:
        lines |= {"mailbox": letter.mailbox, "item": letter.item}
    for name, value in lines.items():
        click.echo(f"{name:14}{value}")


@dead_letters.command("replay")
@config_option
@click.argument("letter_ids", nargs=-1, required=True)
@complains
def replay_letters(config: Path | None, letter_ids: tuple[str, ...]) -> None:
    """Try again, behind what waits in the same conversation. `all` replays every letter."""
    gateway, kept = _gateway(config), 0
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
@complains
def discard_letters(config: Path | None, letter_ids: tuple[str, ...]) -> None:
    """Forget dead letters. `all` discards every one."""
    gateway = _gateway(config)
    for letter_id in _chosen(gateway, letter_ids):
        _letter(gateway, letter_id)
        gateway.store.dead_letters.discard(letter_id)
        click.echo(f"{letter_id} discarded")


@main.group("costs", invoke_without_command=True)
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
    gateway = _with_costs(config)
    named = {name: value for name, value in (("from", first), ("to", last), ("channel", channel)) if value is not None}
    try:
        asked = asked_for(named, gateway.channels, gateway.store.costs.today())
    except BadWebhook as error:
        raise ConfigError([(f"--{error.field}", error.rule)]) from None
    rows = gateway.store.costs.days(asked.first, asked.last, asked.channel)
    click.echo(f"{asked.first} to {asked.last}, in {gateway.settings.costs.currency}")
    grouped = summed(rows, by) if by else rows  # type: ignore[arg-type]  # one of the choices
    for line in _table([*grouped, *summed(rows, "")]):
        click.echo(line)


@show_costs.command("message")
@config_option
@click.argument("message_id")
@complains
def show_message_costs(config: Path | None, message_id: str) -> None:
    """What one message cost, and the questions to a bot that it caused."""
    gateway = _with_costs(config)
    found = gateway.store.costs.message(message_id)
    if found is None:
        raise click.ClickException(f"There is no message {message_id} (any more).")
    how = "reported by its platform" if found.reported else "by the price table"
    lines = {"conversation": found.conversation, "date": found.day or "nothing is booked"}
    lines |= {"message": f"{amount_of(found.message)} ({how})", "turns": amount_of(found.turns)}
    lines |= {"total": f"{amount_of(found.message + found.turns)} {gateway.settings.costs.currency}"}
    for name, value in lines.items():
        click.echo(f"{name:14}{value}")


@show_costs.command("conversation")
@config_option
@click.argument("channel")
@click.argument("customer")
@complains
def show_conversation_costs(config: Path | None, channel: str, customer: str) -> None:
    """What all messages of a customer's ADDRESS (as in whatsapp:+1555...) on one channel cost."""
    gateway = _with_costs(config)
    found = gateway.store.costs.conversation(conversation_key(channel, address_of(customer)))
    if found is None:
        raise click.ClickException(f"Nothing is booked for {customer} on {channel} (any more).")
    for column, amount in found.amounts.items():
        click.echo(f"{column:14}{amount}")
    click.echo(f"{'currency':14}{gateway.settings.costs.currency}")


@main.group()
def consent() -> None:
    """Who wants no messages on a channel."""


@consent.command("show")
@config_option
@click.argument("channel")
@click.argument("customer")
@complains
def show_consent(config: Path | None, channel: str, customer: str) -> None:
    """Whether CUSTOMER (an address such as whatsapp:+15551230001) wants messages on CHANNEL, and who said so when."""
    gateway = _gateway(config)
    known = gateway.store.consents.read(_conversation(gateway, channel, customer))
    if known is None:
        click.echo("in: nothing else was ever said")
    else:
        click.echo(f"{known.state}: since {_when(known.at)}, {known.by}")


@consent.command("set")
@config_option
@click.argument("channel")
@click.argument("customer")
@click.argument("state", type=click.Choice(["in", "out"]))
@complains
def set_consent(config: Path | None, channel: str, customer: str, state: State) -> None:
    """State what CUSTOMER wants on CHANNEL: `in` or `out`. His platform may know better and still refuse."""
    gateway = _gateway(config)
    gateway.store.consents.write(_conversation(gateway, channel, customer), state, "an operator set it")
    click.echo(f"{customer} is {state} on {channel}")


@main.group()
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
    _find_running(config)
    raw = read(_file(config))
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
        raise click.ClickException(f"Twilio did not do it: {failure.detail}") from None
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


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _conversation(gateway: Gateway, channel: str, customer: str) -> str:
    """Raises: click.ClickException, there is no such channel, or the address can be none of its customers'."""
    if channel not in gateway.channels:
        raise click.ClickException(f"There is no channel {channel}.")
    address, provider = address_of(customer), gateway.channels[channel].provider
    if not address.startswith(f"{provider}:") or address == f"{provider}:":
        raise click.ClickException(f"{customer} is no address on {channel}: those begin with {provider}:")
    return conversation_key(channel, address)


def _replay(gateway: Gateway, letter: DeadLetter) -> None:
    """Raises: click.ClickException, the letter could not be replayed and is kept."""
    if letter.webhook:
        _receive_again(gateway, letter)
    else:
        _, wakes = gateway.store.dead_letters.replay(letter.id)
        gateway.publisher.publish(wakes)


def _receive_again(gateway: Gateway, letter: DeadLetter) -> None:
    """Read a parked webhook anew; what it says is deduplicated like any other webhook."""
    webhook = unpark(letter.webhook)
    adapter = gateway.channels.get(letter.where) or gateway.destinations.get(letter.where)
    if adapter is None:
        raise click.ClickException(f"{letter.id} is kept: {letter.where} is no longer configured.")
    inbox = Inbox(gateway)
    try:
        for event in adapter.parse(webhook):
            inbox.accept(letter.where, event)
    except (NotTaken, BadWebhook, Unverified) as error:
        raise click.ClickException(f"{letter.id} is kept: {error}") from None
    finally:
        gateway.publisher.publish(inbox.wakes)
    gateway.store.dead_letters.discard(letter.id)


def _chosen(gateway: Gateway, letter_ids: tuple[str, ...]) -> list[str]:
    if letter_ids == ("all",):
        return [letter.id for letter in reversed(gateway.store.dead_letters.newest(1_000_000))]
    return list(letter_ids)


def _with_costs(config: Path | None) -> Gateway:
    gateway = _gateway(config)
    if not gateway.settings.costs.currency:
        raise click.ClickException("Nothing is booked: the configuration has no table costs.")
    return gateway


def _table(rows: Sequence[Costs]) -> Iterator[str]:
    """The last row holds the sums."""
    cells = [["date", "channel", *COLUMNS]]
    cells += [[str(row.day or ""), row.channel, *row.amounts.values()] for row in rows]
    cells[-1][0] = "total"
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for day, channel, *amounts in cells:
        numbers = [amount.rjust(width) for amount, width in zip(amounts, widths[2:], strict=True)]
        yield "  ".join([day.ljust(widths[0]), channel.ljust(widths[1]), *numbers])


def _letter(gateway: Gateway, letter_id: str) -> DeadLetter:
    letter = gateway.store.dead_letters.show(letter_id)
    if letter is None:
        raise click.ClickException(f"There is no dead letter {letter_id}.")
    return letter


def _file(config: Path | None) -> Path:
    return config or Path(os.environ.get(CONFIG_VARIABLE, "patchbay.toml"))


def _settings(config: Path | None) -> Settings:
    if config:
        os.environ[CONFIG_VARIABLE] = str(config)  # for the program that takes this one's place, too
    return settings_from_environment()


def _find_running(config: Path | None) -> None:
    """What runs here under `patchbay up` is meant, unless somebody says otherwise."""
    told = supervision.remembered()
    if told and not os.environ.get(CONFIG_VARIABLE) and (config is None or str(config) == told.get(CONFIG_VARIABLE)):
        os.environ.update({name: value for name, value in told.items() if not os.environ.get(name)})


def _gateway(config: Path | None) -> Gateway:
    _find_running(config)
    return build(_settings(config), role="cli", timeout=WORKER_TIMEOUT)


def _refuse_open_channels(settings: Settings, host: str) -> None:
    if host in ("127.0.0.1", "localhost", "::1"):
        return
    found = [n for n, channel in settings.channels.items() if channel.values.get("verification") == "none"]
    if found:
        raise ConfigError([(f"channels.{n}.verification", f"May not be none on {host}.") for n in found])


def _exec(program: str, *arguments: str) -> NoReturn:
    """Become another program of this environment, so that signals reach it."""
    path = Path(sys.executable).parent / program
    sys.stdout.flush()
    os.execv(path, [str(path), *arguments])


if __name__ == "__main__":
    main()
