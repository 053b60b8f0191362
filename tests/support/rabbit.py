"""RabbitMQ as a real process, where there is one: no wheel brings it."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.support.processes import HOST, Process, Server, free_port, wait_until


class RabbitMQ(Server):
    """A broker on a free port, with an Erlang port mapper of its own; what it holds outlives `kill`."""

    def __init__(self, folder: Path) -> None:
        self.port, distribution, mapper = free_port(), free_port(), free_port()
        self._logs = folder / "log"
        self.url = f"amqp://guest:guest@{HOST}:{self.port}//"
        (folder / "enabled_plugins").write_text("[].")
        environment = {
            "HOME": str(folder),  # where the cookie lies
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_NODENAME": f"patchbay-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._logs),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        }
        super().__init__([_program("rabbitmq-server")], folder / "rabbitmq.log", environment)
        self._mapper = Process([_program("epmd"), "-port", str(mapper), "-address", HOST], folder / "epmd.log")

    def start(self) -> None:
        if not self._mapper.running:
            self._mapper.start()
        super().start()
        wait_until("RabbitMQ answers", self._answers, 90)

    @property
    def is_used(self) -> bool:
        """Somebody came to it since it was there."""
        return any("accepting AMQP connection" in log.read_text() for log in self._logs.glob("*.log"))

    def stop(self, seconds: float = 30.0) -> int:
        code = super().stop(seconds)
        self._mapper.stop()
        return code

    def _answers(self) -> bool:
        """It shows its protocol to whoever says what it does not understand."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x00\x00")
                return connection.recv(4) == b"AMQP"
        except OSError:
            return False


def _program(name: str) -> str:
    """As it is packed; what Debian has on PATH in its place wants to be started by another user."""
    found = shutil.which(name, path="/usr/lib/rabbitmq/bin") or shutil.which(name)
    return found or pytest.skip(f"needs RabbitMQ, and {name} is not on PATH: apt-get install rabbitmq-server")
