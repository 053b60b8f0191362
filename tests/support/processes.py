"""Real processes for tests: each listens on a free loopback port, and is ended by its id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import redis
import requests

from app.local.embedded import redis_server

HOST = "127.0.0.1"
# Ports below those that systems give to outgoing connections. Each of the processes that share the tests has a part of
# them to itself and goes through it from somewhere, so that nobody takes a port between the look and its use.
PORTS, PORTS_EACH = 12_000, 4_000
_first = PORTS + PORTS_EACH * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5)
_next = random.randrange(PORTS_EACH)


def free_port(row: int = 1) -> int:
    """A port on which nobody listens; the first of `row` that follow each other."""
    global _next
    while True:
        place = _next if _next + row <= PORTS_EACH else 0
        _next = place + row
        if all(_is_free(_first + port) for port in range(place, _next)):
            return _first + place


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until(what: str, holds: Callable[[], object], seconds: float = 30.0, every: float = 0.02) -> None:
    """Wait for something that another process brings about; fail with its name if it does not.

    It looks the more seldom the longer that takes, or looking would take the time from those who are looked at."""
    began = time.monotonic()
    while not holds():
        passed = time.monotonic() - began
        if passed > seconds:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(max(every, min(passed / 20, 0.25)))


class Process:
    """A child in a process group of its own, so that what it starts ends with it."""

    def __init__(
        self, command: list[str], log: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self._command = command
        self._cwd = cwd
        self.environment = {**os.environ, **(environment or {})}
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self._child = subprocess.Popen(
                self._command, stdout=out, stderr=out, env=self.environment, cwd=self._cwd, start_new_session=True
            )

    @property
    def pid(self) -> int:
        assert self._child is not None, "not started"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """End it and what it started at once, as a crash would."""
        if self._child is not None:
            self._signal(signal.SIGKILL)
            self._child.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """Ask it to end, and its exit code; kill what does not end in time."""
        if self._child is None:
            return 0
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -1
        self._signal(signal.SIGKILL)
        return code

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Server(Process):
    """One that Patchbay is led to by its `url`."""

    url: str


class RedisServer(Server):
    """A Redis with an append-only file; `start` after `kill` brings the same data back."""

    def __init__(self, folder: Path, fsync: str = "always", *options: str, password: str = "") -> None:
        self.port, self.folder = free_port(), folder
        self.url = f"redis://{HOST}:{self.port}/0"
        self._password = password or None
        command = [
            redis_server(), "--port", str(self.port), "--bind", HOST, "--dir", str(folder), "--appendonly", "yes",
            "--appendfsync", fsync, "--save", "", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0",
            *options,
        ]  # fmt: skip
        super().__init__(command, folder / "redis.log")

    def start(self) -> None:
        super().start()
        wait_until("Redis answers", self._answers)

    def follow(self, other: RedisServer) -> None:
        """Copy that one from now on, and have come as far as it has."""
        with self.client() as client:
            client.replicaof(HOST, other.port)  # type: ignore[arg-type]
            wait_until("the copy is there", lambda: client.info("replication")["master_link_status"] == "up")

    def client(self) -> redis.Redis:
        return redis.Redis(host=HOST, port=self.port, password=self._password, socket_timeout=5, decode_responses=True)

    def _answers(self) -> bool:
        try:
            with redis.Redis(host=HOST, port=self.port, password=self._password, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class System:
    """Receivers and workers on one configuration file, each a real process. `special`: what some of them, by name, have
    in their environment beside the rest. `behind_proxy`: receivers are as they are shipped, for a load balancer."""

    def __init__(
        self,
        config: Path,
        redis_url: str,
        folder: Path,
        port: int | None = None,
        broker_url: str = "",
        special: Mapping[str, Mapping[str, str]] | None = None,
        behind_proxy: bool = False,
    ) -> None:
        self._special, self._closing = special or {}, () if behind_proxy else ("--closing", "0")
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.folder = folder
        self.environment = {
            "PATCHBAY_CONFIG": str(config),
            "PATCHBAY_REDIS_URL": redis_url,
            "PATCHBAY_BROKER_URL": broker_url or redis_url,
            "PATCHBAY_PUBLIC_URL": self.url,
            "PATCHBAY_DATA": str(folder / "data"),
            "PATCHBAY_BEHIND_PROXY": str(int(behind_proxy)),
        }
        self.receiver = self._receiver("receiver", self.port)
        self.receivers = {self.url: self.receiver}
        self.workers: list[Process] = []

    def start(self, workers: int = 1, receivers: int = 1) -> None:
        self.receiver.start()
        for _ in range(receivers - 1):
            self.add_receiver()
        for _ in range(workers):
            self.add_worker()
        for url in self.receivers:
            wait_until("the receiver is ready", lambda url=url: is_ready(url))

    def add_receiver(self) -> None:
        """One more, on a port of its own."""
        port = free_port()
        receiver = self._receiver(f"receiver-{len(self.receivers)}", port)
        receiver.start()
        self.receivers[f"http://{HOST}:{port}"] = receiver

    def add_worker(self, lanes: str = "*") -> Process:
        number = len(self.workers)
        worker = self._part(f"worker-{number}", "worker", "--name", f"worker-{number}", "--lanes", lanes)
        worker.start()
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        for process in [*self.receivers.values(), *self.workers]:
            process.stop()

    def logs(self) -> str:
        """Everything that the parts wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _receiver(self, name: str, port: int) -> Process:
        return self._part(name, "receiver", "--port", str(port), "--processes", "1", *self._closing)

    def _part(self, name: str, *arguments: str) -> Process:
        command = [sys.executable, "-m", "app.cli", *arguments]
        return Process(command, self.folder / f"{name}.log", {**self.environment, **self._special.get(name, {})})

    @property
    def ready(self) -> bool:
        return is_ready(self.url)


def is_ready(url: str) -> bool:
    """Whether the receiver there takes webhooks."""
    try:
        return requests.get(f"{url}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False
