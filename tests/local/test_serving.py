"""The receiver's server as a process: it says that it closes, and outlives the deaths of its processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import HOST, Process, RedisServer, free_port, wait_until

pytestmark = pytest.mark.processes


class Receiver(Process):
    """With `--closing` so many seconds."""

    def __init__(self, folder: Path, redis_url: str, closing: float) -> None:
        config = folder / "patchbay.toml"
        config.write_text(toml.dumps(tables()))
        self.port = free_port()
        command = [
            *(sys.executable, "-m", "app.cli", "receiver", "--port", str(self.port), "--processes", "2"),
            *("--closing", str(closing), "--config", str(config)),
        ]
        super().__init__(
            command, folder / "receiver.log", {"PATCHBAY_REDIS_URL": redis_url, "PATCHBAY_BROKER_URL": redis_url}
        )

    def status(self, path: str) -> int:
        """Of an answer; 0 where there is none."""
        try:
            return requests.get(f"http://{HOST}:{self.port}{path}", timeout=5).status_code
        except requests.RequestException:
            return 0

    def children(self) -> list[psutil.Process]:
        return [one for one in psutil.Process(self.pid).children() if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def receiver(tmp_path: Path, redis_server: RedisServer) -> Iterator[Receiver]:
    started = Receiver(tmp_path, redis_server.url, closing=3.0)
    started.start()
    wait_until("it is ready", lambda: started.status("/readyz") == 200)
    yield started
    started.kill()


def test_it_is_not_ready_for_a_moment_before_it_closes_its_port(receiver: Receiver) -> None:
    os.kill(receiver.pid, signal.SIGTERM)
    wait_until("it is not ready", lambda: receiver.status("/readyz") == 503)
    assert receiver.status("/healthz") == 200, "whoever still comes is served"
    wait_until("its port is closed", lambda: receiver.status("/healthz") == 0)
    wait_until("it has ended", lambda: not receiver.running)
    assert receiver.stop() == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path, redis_server: RedisServer) -> None:
    patient = Receiver(tmp_path, redis_server.url, closing=60.0)
    patient.start()
    wait_until("it is ready", lambda: patient.status("/readyz") == 200)
    os.kill(patient.pid, signal.SIGTERM)
    wait_until("it is not ready", lambda: patient.status("/readyz") == 503)
    assert patient.stop() == 0


def test_quick_deaths_of_its_processes_do_not_end_it(receiver: Receiver) -> None:
    for _ in range(4):
        wait_until("both are there", lambda: len(receiver.children()) >= 2)
        victim = receiver.children()[0]
        victim.kill()
        wait_until("it is dead", lambda victim=victim: not _lives(victim))
    wait_until("it takes webhooks", lambda: receiver.status("/readyz") == 200)
    assert receiver.running


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
