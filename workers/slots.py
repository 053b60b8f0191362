"""Which lanes have this process's threads: none so many that another one finds no thread.

A lane may take a thread while it has less than some times those that are free (the dynamic thresholds of switches):
each busy lane gets the same, and what is left for the next one is in proportion. So a slow lane alone may use most of
them, twenty slow ones share them, and some are always free. A part is kept for lanes whose calls are quick: they give
back a thread at once, and never wait for one behind those that hold theirs for seconds.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

SHARE = 4  # times what is free
KEPT = 8  # one part of so many is for quick lanes alone
QUICK = 1.0  # seconds of a call


class Slots:
    """`usual`: seconds that a call of a lane takes, 0 where nobody knows."""

    def __init__(self, threads: int, usual: Callable[[str], float] = lambda lane: 0.0) -> None:
        self.threads = threads
        self._usual = usual
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, lane: str) -> bool:
        """One more for the lane, which must `give` it back; False: it has its share."""
        with self._lock:
            taken = self._may(lane)
            self._taken[lane] += taken
            return taken

    def give(self, lane: str) -> None:
        with self._lock:
            self._taken[lane] -= 1

    def keeps(self, lane: str) -> bool:
        """Whether the lane may go on with a thread that it has: it would get it again."""
        with self._lock:
            self._taken[lane] -= 1
            keeps = self._may(lane)
            self._taken[lane] += 1
            return keeps

    def _may(self, lane: str) -> bool:
        free = self.threads - self._taken.total()
        quick = 0 < self._usual(lane) <= QUICK
        return self._taken[lane] < SHARE * (free if quick else free - self.threads // KEPT)
