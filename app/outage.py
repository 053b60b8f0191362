"""Says once that something is out of reach, and once that it is back, however many ask for it meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

QUIET = 10.0  # seconds before the same is said again of something that comes and goes
LONGEST = 1.0  # seconds between two tries: work goes on as late as that once something is back


class Outage:
    """Threads share one for each thing that they need.

    Args:
        gone: called with the error of the first try that failed.
        back: called with the seconds for which it was gone.
        again: seconds after which a failure is told again although nothing has worked; None: never.
    """

    def __init__(
        self,
        gone: Callable[[str], object],
        back: Callable[[float], object],
        again: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gone, self._back, self._again, self._clock = gone, back, again, clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False  # of this time
        self._last: float | None = None

    @property
    def lasts(self) -> bool:
        return self._since is not None

    def failed(self, error: str) -> None:
        with self._lock:
            now = self._clock()
            self._since = now if self._since is None else self._since
            quiet = self._again if self._told else QUIET
            if self._last is not None and (quiet is None or now - self._last < quiet):
                return
            self._told, self._last = True, now
        self._gone(error)

    def worked(self) -> None:
        if self._since is None:
            return
        with self._lock:
            since, told = self._since, self._told
            self._since, self._told = None, False
        if since is not None and told:
            self._back(self._clock() - since)


class Patience:
    """How long to wait before the next try: twice as long after each failure, `LONGEST` at most."""

    def __init__(self, first: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first, self._clock = first, clock
        self._delay = first
        self._until = 0.0

    def failed(self) -> None:
        self._until = self._clock() + self._delay
        self._delay = min(LONGEST, self._delay * 2)

    def worked(self) -> None:
        self._delay, self._until = self._first, 0.0

    @property
    def left(self) -> float:
        """Seconds; 0 where it is time for a try."""
        return max(0.0, self._until - self._clock())
