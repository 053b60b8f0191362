"""The parts of `patchbay up` as supervisord runs them: which processes, in which order, on which ports, and what they
were told, for whoever wants to look at them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

import orjson
from msgspec import Struct

from app.local.embedded import CannotStart, redis_server, server_options
from app.local.ports import PortRefused, claim

HOST = "127.0.0.1"
GRACE = 60  # seconds for a worker to finish what it has in hand
DATA_VARIABLE = "PATCHBAY_DATA"


class Plan(Struct, frozen=True):
    """The options of `patchbay up`. The receiver listens on `port`; sandbox and Flower on the next two."""

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


class Program(Struct, frozen=True):
    """One process (or several alike) for supervisord; lower `order` starts earlier and stops later."""

    name: str
    command: str
    order: int
    copies: int = 1
    grace: int = 20


def data_folder() -> Path:
    return Path(os.environ.get(DATA_VARIABLE) or ".patchbay").absolute()


def programs_of(plan: Plan, embedded: bool) -> list[Program]:
    python = quote(sys.executable)
    patchbay = f"{python} -m app.cli"
    programs = [
        Program("receiver", f"{patchbay} receiver --host {HOST} --port {plan.port} --closing 0", 30, grace=8),
        Program("worker", f"{patchbay} worker --name worker-%(process_num)d", 20, plan.workers, GRACE),
        Program("flower", f"{python} -m app.flower --port {plan.flower_port}", 40, grace=4),
    ]
    if plan.sandbox:
        programs.append(Program("sandbox", f"{patchbay} sandbox --port {plan.sandbox_port}", 10, grace=4))
    if embedded:
        programs.append(Program("redis", _redis_command(plan), 1))
    return programs


def check_ports(plan: Plan) -> None:
    """Raises: CannotStart."""
    wanted = {"the receiver": plan.port, "Flower": plan.flower_port}
    if plan.sandbox:
        wanted["the sandbox"] = plan.sandbox_port
    for part, port in wanted.items():
        try:
            claim(HOST, port, part)
        except PortRefused as error:
            raise CannotStart(f"{error} `patchbay up` has --port, which takes three in a row.") from None


def write_supervisord_conf(plan: Plan, programs: list[Program]) -> Path:
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
            # this value alone is expanded twice
            f"stdout_logfile={_literal(_literal(logs))}/%%(program_name)s-%%(process_num)d.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
        ]
    conf = plan.data / "supervisord.conf"
    conf.write_text("\n".join(lines) + "\n")
    return conf


def _command(program: Program) -> str:
    """The command line as supervisord's file has it; the program ends with its supervisor."""
    escaped = program.command.replace("%", "%%").replace("%%(process_num)d", "%(process_num)d")
    return f"{_literal(quote(sys.executable))} -m app.local.child {escaped}"


def _literal(path: Path | str) -> str:
    """A path as supervisord's file has it, where a per cent sign begins a variable."""
    return str(path).replace("%", "%%")


def _can_open(files: int) -> bool:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return hard == resource.RLIM_INFINITY or hard >= files


def _redis_command(plan: Plan) -> str:
    folder = plan.data / "redis"
    folder.mkdir(exist_ok=True)
    options = (f"--{name} {quote(value)}" for name, value in server_options(plan.data).items())
    return " ".join([quote(redis_server(folder)), *options])


def remember(plan: Plan, environment: Mapping[str, str]) -> None:
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


def check_module(name: str, otherwise: str) -> None:
    """Raises: CannotStart, a package that a part is made of is not installed."""
    if find_spec(name) is None:
        raise CannotStart(f"The package {name} is missing: {otherwise}.")
