"""`patchbay up`, `receiver`, `worker`, `sandbox`, `check-config` and `lanes`: run the parts, and look at them."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

import click

from app import up as supervision
from app.cli.common import complains, config_option, gateway_of, settings_of
from app.config import ConfigError, Settings, load
from app.gateway import BEHIND_PROXY_VARIABLE, THREADS_VARIABLE, lanes_of
from app.parts import Plan
from app.ports import claim, is_loopback

MOST_THREADS = 64  # of one worker


@click.command()
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
@complains
def receiver(config: Path | None, host: str, port: int, processes: int, threads: int, behind_proxy: bool) -> None:
    """Take webhooks and serve the pages."""
    _refuse_strangers(settings_of(config), host, behind_proxy)
    address = claim(host, port, "the receiver")
    os.environ |= {THREADS_VARIABLE: str(threads), BEHIND_PROXY_VARIABLE: str(int(behind_proxy))}
    _exec(
        "granian", "--interface", "wsgi", "--factory", "app.web:create_app", "--host", address, "--port", str(port),
        "--workers", str(processes), "--blocking-threads", str(2 * threads), "--no-ws", "--log-level", "error",
        "--respawn-failed-workers", "--workers-kill-timeout", "20",
    )  # fmt: skip


@click.command()
@config_option
@click.option("--lanes", default="*", show_default=True, help="Names or patterns, separated by commas.")
@click.option("--threads", type=click.IntRange(1, 256), help="Default: what the lanes may use, at most 64.")
@click.option("--name", default="worker", show_default=True, help="Of this worker; unique on its host.")
@complains
def worker(config: Path | None, lanes: str, threads: int | None, name: str) -> None:
    """Work the lanes."""
    known = lanes_of(settings_of(config))
    chosen = [lane for lane in known if any(fnmatch(lane.name, pattern.strip()) for pattern in lanes.split(","))]
    if not chosen:
        raise ConfigError([("--lanes", f"Matches none of: {', '.join(lane.name for lane in known)}.")])
    count = threads or min(MOST_THREADS, sum(lane.concurrency for lane in chosen))
    _exec(
        "celery", "-A", "workers.fleet", "--quiet", "worker", "--pool", "threads", "--concurrency", str(count),
        "--hostname", f"{name}@%h", "--queues", ",".join(lane.name for lane in chosen), "--without-gossip",
        "--without-mingle", "--disable-prefetch", "--task-events", "--loglevel", "warning",
    )  # fmt: skip


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8001, show_default=True)
@complains
def sandbox(host: str, port: int) -> None:
    """Serve the stand-ins for the outside platforms; set up by SANDBOX_* variables."""
    from app.sandbox import serve  # only this command needs it

    claim(host, port, "the sandbox")
    serve(host, port)


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
@complains
def check_config(file: Path) -> None:
    """Check a configuration file; every problem is named with its key."""
    settings = load(file)
    click.echo(f"{file} is valid: {len(settings.channels)} channels, {len(settings.destinations)} destinations.")


@click.command()
@config_option
@complains
def lanes(config: Path | None) -> None:
    """Show what waits in every lane, and what was counted."""
    gateway = gateway_of(config)
    now = datetime.now(UTC).timestamp()
    for lane in gateway.store.lanes.overview(now):
        rests = f"  rests {lane.paused_for:.0f} s: {lane.paused_why}" if lane.paused_for else ""
        click.echo(f"{lane.name:32} waiting {lane.waiting:6}  ready {lane.ready:5}  at work {lane.leased:3}{rests}")
    for what, count in gateway.store.lanes.counts().items():
        click.echo(f"{what:32} {count}")


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


def _exec(program: str, *arguments: str) -> NoReturn:
    """Become another program of this environment, so that signals reach it."""
    path = Path(sys.executable).parent / program
    sys.stdout.flush()
    os.execv(path, [str(path), *arguments])
