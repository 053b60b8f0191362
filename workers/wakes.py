"""Wake-ups in a worker: they are published, and where that cannot be, they are worked in this process.

So a broker that is away stops nothing. Nobody would hear of what is published while the workers look for it, either; so
as long as this one has no ear at its queues, it works itself what it finds.

Where many lanes share a queue, a worker that serves some of them hears of the others, too, and passes that on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from threading import Lock
from typing import Protocol

from cachetools import TTLCache

from app.core.work import Wake
from app.store.workers import WorkerState
from app.tasks import Publisher


class Pool(Protocol):
    """As much of Celery's as is needed."""

    def apply_async(self, target: Callable[..., object], args: tuple[str, ...], *, callback: object) -> object: ...


class Wakes:
    """`work` is done in `pool` once there is one. `listens`: Celery's consumer is at its queues, those of `lanes`.
    `known` are all lanes of the configuration: what belongs to none of them anybody may work."""

    _publisher: Publisher

    def __init__(self, work: Callable[[str, str], object], known: Collection[str]) -> None:
        self._work, self.known = work, frozenset(known)
        self._any_lane = next(iter(known), "")
        self.lanes: frozenset[str] = frozenset()
        self.pool: Pool | None = None
        self.listens = False
        self._lock = Lock()
        self._passed_on: TTLCache[str, bool] = TTLCache(1_000, ttl=10.0)

    def over(self, publisher: Publisher) -> Wakes:
        """Itself, which publishes with that one."""
        self._publisher = publisher
        return self

    def publish(self, wakes: Sequence[Wake]) -> Sequence[Wake]:
        """See `app.gateway.Publishes`; whoever asked need not care for any of them."""
        may_hear = self.listens and not self._publisher.is_away
        left = self._publisher.send(wakes) if may_hear else wakes
        if self._publisher.is_away and not self._publisher.rests:
            self._look()
        self._publisher.give_back([wake for wake in left if not self._is_worked_here(wake)])
        return ()

    def _look(self) -> None:
        """Whether the broker is back, in a thread of its own: a look at one that hangs takes its time."""
        if self.pool:
            with suppress(RuntimeError):
                self.pool.apply_async(self.reaches, (self._any_lane,), callback=lambda reached: None)

    def reaches(self, lane: str) -> bool:
        """Whether the broker takes a wake-up; one too many is harmless."""
        return not self._publisher.send([Wake(lane, "")])

    def serves(self, lane: str) -> bool:
        """What belongs to no lane of the configuration anybody may work."""
        return lane in self.lanes or lane not in self.known

    def pass_on(self, wake: Wake, workers: Sequence[WorkerState]) -> None:
        """Have another one of the `workers` work it: by the lane's own queue, where those listen who serve some lanes
        only, or by the shared one again. If nobody does, so that it comes back, the next sweep owes it again."""
        others = [] if self._comes_back(wake) else [worker for worker in workers if wake.lane in worker.lanes]
        some_only = any(not self.known.issubset(worker.lanes) for worker in others)
        left = self._publisher.send([wake], own_queue=some_only) if others else [wake]
        self._publisher.give_back(left)

    def _comes_back(self, wake: Wake) -> bool:
        with self._lock:
            before = wake.token in self._passed_on
            self._passed_on[wake.token] = True
            return before

    def _is_worked_here(self, wake: Wake) -> bool:
        if self.pool is None or not self.serves(wake.lane):
            return False
        with suppress(RuntimeError):  # it ends, and takes nothing more
            self.pool.apply_async(self._work, (wake.lane, wake.token), callback=lambda heads: None)
            return True
        return False
