"""Which workers are there: each shows a sign of life that lapses by itself. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from msgspec import Struct

from app.core.errors import StoreUnavailable
from app.store.connection import Connection
from app.store.keys import WORKER, WORKERS

ALIVE_FOR = 15  # seconds after its last sign of life for which a worker counts


class WorkerState(Struct, frozen=True):
    """`lanes` are the names of those that it serves."""

    name: str
    lanes: tuple[str, ...]


class Workers:
    """Keys: `workers`, a set of names, and for each `worker:<name>`, its lanes as JSON, which expires."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def beat(self, name: str, lanes: Sequence[str]) -> None:
        """Show that a worker is alive. Raises: StoreUnavailable, perhaps after half of it."""
        key = self._connection.key
        try:
            self._connection.guard(lambda: self._client.set(key(WORKER, name), orjson.dumps(lanes), ex=ALIVE_FOR))
            self._connection.guard(lambda: self._client.sadd(key(WORKERS), name))
        except StoreUnavailable:  # one without memory still prolongs what is there
            self._connection.guard(lambda: self._client.expire(key(WORKER, name), ALIVE_FOR))
            raise

    def leave(self, name: str) -> None:
        """A worker ends. Raises: StoreUnavailable."""
        self._connection.guard(lambda: self._client.delete(self._connection.key(WORKER, name)))
        self._connection.guard(lambda: self._client.srem(self._connection.key(WORKERS), name))

    def alive(self) -> list[WorkerState]:
        """Those who showed a sign of life, by name; who did not for long is forgotten. Raises: StoreUnavailable."""
        key = self._connection.key
        names = sorted(self._connection.guard(lambda: self._client.smembers(key(WORKERS))))
        if not names:
            return []
        lanes = self._connection.guard(lambda: self._client.mget([key(WORKER, name) for name in names]))
        found = dict(zip(names, lanes, strict=True))
        lapsed = [name for name, value in found.items() if value is None]
        if lapsed:
            self._connection.guard(lambda: self._client.srem(key(WORKERS), *lapsed))
        return [WorkerState(name, tuple(orjson.loads(value))) for name, value in found.items() if value is not None]
