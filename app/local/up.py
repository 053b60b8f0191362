"""`patchbay up`: everything on one machine, supervised as one.

Processes are run by supervisord: it starts them in order, restarts what dies, and stops them in reverse order, so that
Redis is the last to go and work in hand is finished before.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import orjson

from app.config.file import CONFIG_VARIABLE, OVERRIDES, USUAL_FILE, ConfigError, read
from app.config.schema import Settings, load
from app.core.errors import StoreUnavailable
from app.gateway import check_redis
from app.local import stand_ins
from app.local.embedded import CannotStart, broker_url, forget_socket, server_url
from app.local.page import chat_titles, page
from app.local.processes import (
    DATA_VARIABLE,
    HOST,
    Plan,
    check_module,
    check_ports,
    programs_of,
    remember,
    write_supervisord_conf,
)
from app.outage import Outage
from app.store.connection import Connection, connect

READY_WITHIN = 60.0  # seconds
LOOK_EVERY = 1.0  # seconds between two looks whether Redis is there
TELL_AFTER = 2.0  # seconds for which it may be away before anything is said
STARTS_WITHIN = 15.0  # the same for the embedded one, which is only just started


def run(plan: Plan) -> int:
    """Start everything, print one page, wait for the end; the exit code.

    Raises:
        CannotStart: a port is taken or a piece is missing.
        ConfigError: the configuration is not valid, or its Redis would lose messages.
    """
    environment = _environment(plan)
    settings = load(Path(environment[CONFIG_VARIABLE]), environment)
    environment |= {"SANDBOX_CHATS": orjson.dumps(chat_titles(settings)).decode()} if plan.sandbox else {}
    embedded = settings.gateway["redis_url"] == server_url(plan.data)
    for sentence in [] if embedded else check_redis(settings):
        click.echo(f"Warning: {sentence}", err=True)
    check_module("supervisor", "install Patchbay with its extra `up`")
    check_ports(plan)
    with _only_one(plan):
        conf = write_supervisord_conf(plan, programs_of(plan, embedded))
        remember(plan, environment)
        process = _start(plan, conf, environment)
        try:
            return _watch(plan, settings, process, environment)
        finally:
            forget_socket(plan.data)


def _start(plan: Plan, conf: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.local.child", sys.executable, "-m", "supervisor.supervisord"]
    with _said(plan).open("wb") as said:
        return subprocess.Popen(
            [*command, "--configuration", str(conf), "--nodaemon"],
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def _only_one(plan: Plan) -> Iterator[None]:
    """Hold the data folder: two servers on the same append-only file would spoil it. Raises: CannotStart."""
    with (plan.data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStart(
                f"Patchbay already runs with its data in {plan.data}; stop it or set {DATA_VARIABLE}."
            ) from None
        yield


def _watch(plan: Plan, settings: Settings, process: subprocess.Popen[bytes], environment: Mapping[str, str]) -> int:
    """Print the page once all answers, then pass the wish to stop on to the supervisor."""
    asked = threading.Event()

    def stop(*_: Any) -> None:
        if process.poll() is None and not asked.is_set():
            click.echo("Stopping; the work in hand is finished first ...")
            process.terminate()
        asked.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    url = settings.gateway["redis_url"]
    watched = _Redis(url, STARTS_WITHIN if url == server_url(plan.data) else TELL_AFTER)
    ready = _ready(plan, process, asked, watched)
    if asked.is_set():
        pass
    elif ready:
        click.echo(page(plan, settings, environment))
    elif process.poll() is None:
        click.echo(f"Not ready after {READY_WITHIN:.0f} s. {_last_words(plan)}", err=True)
        process.terminate()
        process.wait()
        return 1
    while process.poll() is None:
        if not asked.is_set():
            watched.look()
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY)
    if asked.is_set():
        return 0
    click.echo(f"The supervisor ended{'' if ready else ' at once'}. {_last_words(plan)}", err=True)
    return process.returncode or 1


class _Redis:
    """Tells the person in front of the terminal, once, that nothing works because Redis is away."""

    def __init__(self, url: str, patience: float) -> None:
        self._patience = patience
        self._connection = Connection(connect(url, timeout=2.0, name="up", connections=1))
        self._outage = Outage(
            lambda error: click.echo(f"{error} Nothing works without it; waiting ...", err=True),
            lambda seconds: click.echo(f"Redis is back after {seconds:.0f} s.", err=True),
        )
        self._failing: float | None = None

    def look(self) -> None:
        """One failure alone is nothing: it may only just start."""
        try:
            self._connection.knock()
        except StoreUnavailable as error:
            self._failing = time.monotonic() if self._failing is None else self._failing
            if time.monotonic() - self._failing > self._patience:
                self._outage.failed(str(error))
        else:
            self._failing = None
            self._outage.worked()


def _environment(plan: Plan) -> dict[str, str]:
    """What the parts are told by environment variables."""
    environment = dict(os.environ)
    plan.data.mkdir(parents=True, exist_ok=True)
    os.chmod(plan.data, 0o700)
    environment = _made_up_secrets(plan.data / "secrets.json") | environment  # an operator's own go before
    environment["PYTHONSAFEPATH"] = "1"  # what lies in the working folder is not ours, even if it is called `app`
    if plan.sandbox:
        sandbox = f"http://{HOST}:{plan.sandbox_port}"
        environment.setdefault("PATCHBAY_PUBLIC_URL", plan.address)
        environment |= {
            "SANDBOX_GATEWAY_URL": plan.address,
            "SANDBOX_PUBLIC_URL": sandbox,
            "SANDBOX_FLOWER_URL": f"http://{HOST}:{plan.flower_port}",
            **stand_ins.addresses(sandbox),
        }
    config = plan.config or environment.get(CONFIG_VARIABLE)
    default = stand_ins.configuration(plan.data) if plan.sandbox and not config else USUAL_FILE
    environment[CONFIG_VARIABLE] = str(config or default)
    if "spool" not in _named(Path(environment[CONFIG_VARIABLE])):
        environment.setdefault(OVERRIDES["spool"], str(plan.data / "spool"))
    if plan.redis_url:
        broker = re.sub("^unix:", "redis+socket:", plan.redis_url)  # as Celery writes it
        environment |= {"PATCHBAY_REDIS_URL": plan.redis_url, "PATCHBAY_BROKER_URL": broker}
    else:
        environment |= _embedded(plan, environment)
    return environment


def _embedded(plan: Plan, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the embedded Redis is, unless another one is chosen; it is the broker, too, unless there is another one."""
    named = _named(Path(environment[CONFIG_VARIABLE]))
    if environment.get("PATCHBAY_REDIS_URL") or "redis_url" in named:
        return {}
    url = {"PATCHBAY_REDIS_URL": server_url(plan.data)}
    if environment.get("PATCHBAY_BROKER_URL") or "broker_url" in named:
        return url
    return {**url, "PATCHBAY_BROKER_URL": broker_url(plan.data)}


def _named(config: Path) -> set[str]:
    """The keys of the configuration's table for the gateway; `load` says what is wrong with the file."""
    try:
        table = read(config).get("gateway")
    except ConfigError:
        return set()
    return set(table) if isinstance(table, dict) else set()


def _made_up_secrets(path: Path) -> dict[str, str]:
    """Credentials of the sandbox and of Flower, made once for this data folder."""
    kept: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    made = {
        **stand_ins.credentials(),
        "PATCHBAY_FLOWER_PASSWORD": secrets.token_hex(8),
        **kept,
    }
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(made))
    return made


def _ready(plan: Plan, process: subprocess.Popen[bytes], asked: threading.Event, watched: _Redis) -> bool:
    """Whether the receiver and the sandbox answered in time, before somebody asked to stop."""
    urls = [f"{plan.address}/readyz"] + ([f"http://{HOST}:{plan.sandbox_port}/"] if plan.sandbox else [])
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None and not asked.is_set():
        watched.look()
        if all(_answers(url) for url in urls):
            return True
        time.sleep(0.2)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:
        return False


def _said(plan: Plan) -> Path:
    """What the supervisor says itself."""
    return plan.data / "log" / "up.log"


def _last_words(plan: Plan, lines: int = 5) -> str:
    """The ends of the logs that were written since the start."""
    started = (plan.data / "supervisord.conf").stat().st_mtime
    found = []
    for log in sorted((plan.data / "log").glob("*.log")):
        if log.stat().st_mtime >= started:
            found += [f"{log.name}: {line}" for line in log.read_text(errors="replace").splitlines()[-lines:]]
    if not found:
        return "It said nothing."
    return "\n".join([f"The last lines of the logs in {plan.data / 'log'}:", *found])
