"""Real sentinels that watch a primary and its copies, each a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from app.local.embedded import redis_server
from tests.support.processes import HOST, Process, RedisServer, free_port, wait_until

MASTER = "patchbay"
DOWN_AFTER = 1.0  # seconds of silence after which a sentinel calls a server down
USER, PASSWORD = "gateway", "ge%heim&1"
SENTINEL_PASSWORD = "watch/1"


class Sentinel(Process):
    def __init__(self, folder: Path, primary: RedisServer, quorum: int, password: str) -> None:
        self.port = free_port()
        config = folder / f"sentinel-{self.port}.conf"
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f'dir "{folder}"',
            f"sentinel monitor {MASTER} {HOST} {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {MASTER} {int(DOWN_AFTER * 1000)}",
            f"sentinel failover-timeout {MASTER} 10000",
        ]
        if password:
            lines += [f"sentinel auth-pass {MASTER} {password}", f"requirepass {SENTINEL_PASSWORD}"]
        config.write_text("\n".join(lines) + "\n")
        super().__init__([redis_server(), str(config), "--sentinel"], folder / f"sentinel-{self.port}.log")
        self._password = SENTINEL_PASSWORD if password else None

    def client(self) -> redis.Redis:
        return redis.Redis(host=HOST, port=self.port, password=self._password, socket_timeout=2, decode_responses=True)

    def is_settled(self, sentinels: int, copies: int) -> bool:
        """It knows of the others and of the copies, and all are up."""
        try:
            with self.client() as client:
                state = client.sentinel_master(MASTER)
        except redis.RedisError:
            return False
        return bool(
            (state["num-other-sentinels"], state["num-slaves"], state["flags"]) == (sentinels - 1, copies, "master")
        )


@dataclass(frozen=True)
class Watched:
    """`servers[0]` is the primary at first."""

    servers: list[RedisServer]
    sentinels: list[Sentinel]
    password: str

    def url(self, scheme: str = "redis+sentinel") -> str:
        who = f":{self.password.replace('%', '%25').replace('&', '%26')}@" if self.password else ""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        own = f"?sentinel_password={SENTINEL_PASSWORD}" if self.password else ""
        return f"{scheme}://{who}{hosts}/{MASTER}/0{own}"

    def primary(self) -> RedisServer:
        """The one that the sentinels name."""
        with self.sentinels[-1].client() as client:
            port = client.sentinel_get_master_addr_by_name(MASTER)[1]
        return next(server for server in self.servers if server.port == port)


@contextmanager
def watched(folder: Path, *, copies: int = 2, sentinels: int = 3, password: str = "") -> Iterator[Watched]:
    """All are up and know each other."""
    options = ["--requirepass", password, "--masterauth", password] if password else []
    servers = [RedisServer(_made(folder / f"redis-{n}"), "no", *options, password=password) for n in range(copies + 1)]
    watchers: list[Sentinel] = []
    try:
        for server in servers:
            server.start()
        for copy in servers[1:]:
            copy.follow(servers[0])
        watchers += [Sentinel(folder, servers[0], sentinels // 2 + 1, password) for _ in range(sentinels)]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            wait_until("the sentinels know all", lambda watcher=watcher: watcher.is_settled(sentinels, copies), 60)
        yield Watched(servers, watchers, password)
    finally:
        for process in (*watchers, *servers):
            process.kill()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
