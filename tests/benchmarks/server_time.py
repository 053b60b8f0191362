"""What messages cost Redis, by its own count: the time of our scripts, all commands, and its processor's time.

The first goes by the clock (`INFO commandstats`), so other work on the machine makes it longer. The last does not,
but it contains all that the server does: reading and writing sockets, its file, the broker's commands.
"""

from __future__ import annotations

import redis
from msgspec import Struct

SCRIPTS = frozenset(["fcall", "evalsha", "eval"])  # their time contains that of the commands which they call
OURS = frozenset(["config|resetstat", "info", "function|load"])


class Spent(Struct, frozen=True):
    """For each message: microseconds in scripts, commands, microseconds of the processor."""

    scripts: float
    commands: float
    processor: float


class ServerTime:
    """Counts from now on, and again from each `spent`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._begin()

    def spent(self, messages: int) -> Spent:
        """What so many messages took."""
        stats = {name.removeprefix("cmdstat_"): one for name, one in self._client.info("commandstats").items()}
        found = Spent(
            sum(one["usec"] for name, one in stats.items() if name in SCRIPTS) / messages,
            sum(one["calls"] for name, one in stats.items() if name not in SCRIPTS | OURS) / messages,
            (self._processor() - self._began) * 1e6 / messages,
        )
        self._begin()
        return found

    def _begin(self) -> None:
        self._client.config_resetstat()
        self._began = self._processor()

    def _processor(self) -> float:
        """Seconds so far."""
        used = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
