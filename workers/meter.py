"""What this process has seen of a lane's calls since the lane's pace last changed; the rule of the pace asks for it.

It costs the store nothing: each attempt is noted here, and what they come to travels with a settlement.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from app.core.lane import Seen

MEMORY = 64  # calls that the averages reach back
MAX_WAIT = 5.0  # seconds


class Meter:
    """Of one lane; safe to share between threads. `clock` in seconds.

    Right after the pace has changed, only quick calls can have ended, which would make all of them look quick. So what
    ends within twice the time that a call took until then is not counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._counts_from = float("-inf")
        self.seen = Seen()
        self.usual = 0.0  # seconds of a call, in whatever turn; 0: nobody knows

    def note(self, turn: int, took: float, *, late: bool = False) -> None:
        """A call of `took` seconds that was begun in that turn. `late`: it timed out, which says nothing of how long
        the others take. What began before the pace changed says nothing of it now."""
        with self._lock:
            now = self._clock()
            if turn > self.seen.turn:
                self._counts_from = now - took + min(2 * self.usual, MAX_WAIT)
                self.seen = Seen(turn, mean=self.seen.mean)
            if turn == self.seen.turn and (late or now >= self._counts_from):
                self._add(took, late)

    def _add(self, took: float, late: bool) -> None:
        seen = self.seen
        calls = seen.calls + 1
        weight = 1 / min(calls, MEMORY)
        mean = seen.mean if late else seen.mean + (took * 1000 - seen.mean) * weight
        self.seen = Seen(seen.turn, calls, mean, seen.late + (late - seen.late) * weight)
        self.usual = mean / 1000 if mean else took


class Meters:
    """One for each lane."""

    def __init__(self) -> None:
        self._of: defaultdict[str, Meter] = defaultdict(Meter)

    def __getitem__(self, lane: str) -> Meter:
        return self._of[lane]
