"""`patchbay up`, `receiver`, `worker`, `sandbox`, `check-config` and `lanes`: run the parts, and look at them."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import app
from app.cli.common import complains, config_option, look_at_redis, settings_of
from app.cli.looking import view_of
from app.cli.printable import printable
from app.config.file import (
    ACCESS_LOG_VARIABLE,
    BEHIND_PROXY_VARIABLE,
    CONFIG_VARIABLE,
    LOG_FORMAT_VARIABLE,
    LOG_FORMATS,
    THREADS_VARIABLE,
    USUAL_FILE,
    ConfigError,
)
from app.local.ports import claim, is_loopback
from app.local.processes import Plan
from app.store.workers import WorkerState

if TYPE_CHECKING:  # each command loads what it needs
    from app.config.schema import Settings

THREADS = 256  # of one worker
log_format_option = click.option(
    "--log-format",
    default="json",
    show_default=True,
    type=click.Choice(LOG_FORMATS),
    envvar=LOG_FORMAT_VARIABLE,
    help=f"One JSON object a line, or text for people. Also {LOG_FORMAT_VARIABLE}.",
)
OPEN_SANDBOX = "The sandbox asks for no login: whoever reaches it reads every conversation, and writes in them."
# As files, because granian looks for modules in the working folder first. It leaves that folder as it is.
ROOT = Path(app.__file__).parent.parent
RECEIVER = f"{ROOT / 'app' / 'web' / '__init__.py'}:create_app"


@click.command()
@config_option
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(1, 65_533),
    help="Of the receiver; the next two serve the other parts.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 32))
@click.option("--redis", "redis_url", help="Use this Redis in place of an embedded one.")
@click.option("--sandbox", is_flag=True, help="Add stand-ins for the outside platforms.")
@complains
def up(config: Path | None, port: int, workers: int, redis_url: str | None, sandbox: bool) -> None:
    """Run everything: Redis, receiver, workers, Flower and, if asked, the sandbox. Ctrl-C stops it all."""
    from app.local.up import run

    sys.exit(run(Plan(config, port, workers, redis_url, sandbox)))


@click.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--threads",
    default=64,
    show_default=True,
    type=click.IntRange(4, 512),
    help="Of one process, for webhooks; open chats may take as many more.",
)
@click.option(
    "--behind-proxy",
    is_flag=True,
    envvar=BEHIND_PROXY_VARIABLE,
    help="A proxy is in front that takes whole requests before it passes them on; it says who calls in X-Forwarded-For."
    f" Wanted off loopback. Also {BEHIND_PROXY_VARIABLE}=1.",
)
@click.option(
    "--closing",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, 60),
    help="Seconds for which /readyz says 503 before the port is closed, so that a load balancer asks others in time.",
)
@click.option(
    "--access-log",
    is_flag=True,
    envvar=ACCESS_LOG_VARIABLE,
    help=f"Log each request: its route, status, milliseconds and caller. Also {ACCESS_LOG_VARIABLE}=1.",
)
@log_format_option
@complains
def receiver(
    config: Path | None,
    host: str,
    port: int,
    processes: int,
    threads: int,
    behind_proxy: bool,
    closing: float,
    access_log: bool,
    log_format: str,
) -> None:
    """Take webhooks and serve the pages."""
    settings = settings_of(config)
    _refuse_strangers(settings, host, behind_proxy)
    address = claim(host, port, "the receiver")
    _look_at_spool(settings)
    look_at_redis(settings)
    os.environ |= {
        THREADS_VARIABLE: str(threads),
        BEHIND_PROXY_VARIABLE: str(int(behind_proxy)),
        ACCESS_LOG_VARIABLE: str(int(access_log)),
        LOG_FORMAT_VARIABLE: log_format,
    }
    _exec("app.local.serving", RECEIVER, str(ROOT), address, str(port), str(processes), str(2 * threads), str(closing))


def _look_at_spool(settings: Settings) -> None:
    """Raises: ConfigError, it cannot be used."""
    from app.spool import Spool

    folder = settings.gateway["spool"]
    try:
        if folder:
            Spool(Path(folder), settings.gateway["spool_bytes"])
    except OSError as error:
        raise ConfigError(
            [("gateway.spool", f"{error.filename or folder} cannot be used: {error.strerror}.")]
        ) from None


@click.command()
@config_option
@click.option("--lanes", default="*", show_default=True, help="Names or patterns, separated by commas.")
@click.option(
    "--threads",
    default=THREADS,
    show_default=True,
    type=click.IntRange(1, 2048),
    help="Calls to platforms that it makes at once, at most.",
)
@click.option("--name", default="worker", show_default=True, help="Of this worker; unique on its host.")
@log_format_option
@complains
def worker(config: Path | None, lanes: str, threads: int, name: str, log_format: str) -> None:
    """Work the lanes."""
    from app.gateway import lanes_of
    from app.tasks import queues_of

    settings = settings_of(config)
    known = lanes_of(settings)
    chosen = [lane for lane in known if any(fnmatch(lane.name, pattern.strip()) for pattern in lanes.split(","))]
    if not chosen:
        raise ConfigError([("--lanes", f"Matches none of: {', '.join(lane.name for lane in known)}.")])
    look_at_redis(settings)
    _look_at_threads([lane.concurrency or 0 for lane in chosen], threads)
    os.environ.setdefault(CONFIG_VARIABLE, USUAL_FILE)  # else it would be that of what runs here already
    os.environ[LOG_FORMAT_VARIABLE] = log_format
    queues = queues_of([lane.name for lane in chosen], [lane.name for lane in known])
    _run(
        "workers", "-A", "workers.fleet", "--quiet", "worker", "--pool", "threads", "--concurrency", str(threads),
        "--hostname", f"{name}@%h", "--queues", ",".join(queues), "--without-gossip",
        "--without-mingle", "--disable-prefetch", "--task-events", "--loglevel", "warning",
    )  # fmt: skip


def _look_at_threads(caps: Sequence[int], threads: int) -> None:
    """Say that lanes were promised more at once than one worker has threads."""
    if (most := sum(caps)) > threads:
        click.echo(
            f"Warning: The `concurrency` of its lanes adds up to {most}, but this worker makes at most {threads} calls "
            f"at once. Start {ceil(most / threads)} such workers, or say --threads; else lanes share what there is.",
            err=True,
        )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8001, show_default=True)
@click.option("--open-to-network", is_flag=True, help="Let whoever reaches the address use it: it asks for no login.")
@complains
def sandbox(host: str, port: int, open_to_network: bool) -> None:
    """Serve the stand-ins for the outside platforms; set up by SANDBOX_* variables."""
    if not (open_to_network or is_loopback(host)):
        raise ConfigError([("--host", f"{OPEN_SANDBOX} Say --open-to-network to serve it on {host} all the same.")])
    from app.sandbox import serve  # only this command needs it

    claim(host, port, "the sandbox")
    serve(host, port)


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
@complains
def check_config(file: Path) -> None:
    """Check a configuration file; every problem is named with its key."""
    from app.config.schema import load

    settings = load(file)
    click.echo(f"{file} is valid: {len(settings.channels)} channels, {len(settings.destinations)} destinations.")


@click.command()
@config_option
@complains
def lanes(config: Path | None) -> None:
    """Show what waits in every lane, and what was counted."""
    store, now = view_of(config).store, datetime.now(UTC).timestamp()
    workers = store.workers.alive()
    click.echo(_fleet(workers))
    everywhere = len({worker.lanes for worker in workers}) < 2
    for lane in store.lanes.overview(now):
        rests = f"  rests {lane.paused_for:.0f} s: {printable(lane.paused_why)}" if lane.paused_for else ""
        serve = sum(lane.name in worker.lanes for worker in workers)
        there = "" if everywhere and serve == len(workers) else f"  workers {serve}"
        fell = f"  fell {lane.fell_ago:.0f} s ago: {printable(lane.fell_why)}" if lane.fell_why else ""
        work = f"at work {lane.leased:3} of {lane.pace:3}{fell}"
        click.echo(f"{lane.name:32} waiting {lane.waiting:6}  ready {lane.ready:5}  {work}{there}{rests}")
    for what, count in store.lanes.counts().items():
        click.echo(f"{printable(what):32} {count}")


def _fleet(workers: Sequence[WorkerState]) -> str:
    match len(workers):
        case 0:
            return "No worker is running: what comes in is kept, and waits for `patchbay worker`."
        case 1:
            return f"1 worker is running: {workers[0].name}"
        case number:
            return f"{number} workers are running: {', '.join(worker.name for worker in workers)}"


def _refuse_strangers(settings: Settings, host: str, behind_proxy: bool) -> None:
    """Off loopback anybody may call, and a request that comes byte by byte holds a thread for as long as it likes."""
    if is_loopback(host):
        return
    found = [n for n, channel in settings.channels.items() if channel.values.get("verification") == "none"]
    problems = [(f"channels.{n}.verification", f"May not be none on {host}.") for n in found]
    if not behind_proxy:
        rule = (
            f"On {host} a few slow callers could hold every thread. Put a proxy in front that takes whole requests"
            " before it passes them on (deploy/nginx/patchbay.conf does), and say so with --behind-proxy."
        )
        problems.append(("--host", rule))
    if problems:
        raise ConfigError(problems)


def _run(module: str, *arguments: str) -> None:
    """Be that program from here on: what is loaded already need not be loaded again. What lies in the working folder is
    none of its modules."""
    sys.path[:] = [folder for folder in sys.path if folder not in ("", str(Path.cwd()))]
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _exec(module: str, *arguments: str) -> NoReturn:
    """Become another program of this environment, so that signals reach it. What lies in the working folder is none of
    its modules, whatever it is called."""
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
