"""Lanes: which there are, what waits in them, and whether they rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from app.core.work import Wake
from app.store.connection import Connection
from app.store.keys import BULK, BUSY, COUNTS, DRAINS, LANE, LANES, LEASED, READY

START_PACE, MAX_PACE = 4, 4096  # as in `scripts/parts/limits.lua`
FELL = ("fell_why", "fell_at")


class LaneState(Struct, frozen=True):
    """`waiting` counts items, `ready` and `leased` mailboxes; `paused_for` is in seconds. `pace`: so many heads may be
    worked at once; it last fell `fell_ago` seconds ago, for `fell_why` ('': it never did)."""

    name: str
    waiting: int
    ready: int
    leased: int
    paused_for: float
    paused_why: str
    pace: int = START_PACE
    fell_why: str = ""
    fell_ago: float = 0.0


class Lanes:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def declare(self, caps: Mapping[str, int | None]) -> None:
        """Tell the scripts which lanes there are, and how many drains each may have at once at most, fleet-wide."""
        self._connection.run("declare", {lane: cap or 0 for lane, cap in caps.items()})

    def forget(self, wakes: Sequence[Wake]) -> None:
        """Nobody is on the way for these drains: the next sweep owes them again. Raises: StoreUnavailable."""
        pipeline = self._client.pipeline(transaction=False)
        for wake in wakes:
            pipeline.zrem(self._connection.key(DRAINS, wake.lane), wake.token)
        self._connection.guard(pipeline.execute)

    def overview(self, now: float) -> list[LaneState]:
        """Every lane of the configuration, and those of an earlier one with work left. `now` is Unix seconds."""
        key = self._connection.key
        names = self._connection.guard(lambda: {*self._client.hkeys(key(LANES)), *self._client.smembers(key(BUSY))})
        return [self.state(name, now) for name in sorted(names)]

    def state(self, lane: str, now: float) -> LaneState:
        key = self._connection.key
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(key(LANE, lane), LANE.short("backlog", "paused_until", "paused_why", "pace", "cap", *FELL))
        pipeline.zcard(key(READY, lane))
        pipeline.zcard(key(LEASED, lane))
        pipeline.zcard(key(BULK, lane))
        (backlog, until, why, pace, cap, fell_why, fell_at), ready, leased, bulk = self._connection.guard(
            pipeline.execute
        )
        paused = max(0.0, float(until or 0) / 1000 - now)
        return LaneState(
            *(lane, int(backlog or 0), ready + bulk, leased, paused, why or "" if paused else ""),
            pace=min(int(pace or START_PACE), int(cap or MAX_PACE)),
            fell_why=fell_why or "",
            fell_ago=max(0.0, now - int(fell_at) / 1000) if fell_at else 0.0,
        )

    def count(self, what: str) -> None:
        """Count something that is no message but worth knowing of."""
        self._connection.guard(lambda: self._client.hincrby(self._connection.key(COUNTS), what, 1))

    def counts(self) -> dict[str, int]:
        raw = self._connection.guard(lambda: self._client.hgetall(self._connection.key(COUNTS)))
        return {name: int(value) for name, value in sorted(raw.items())}

    def ping(self) -> None:
        """Raises: StoreUnavailable."""
        self._connection.guard(self._client.ping)
