"""Who works in this process, so that a suspect is tried alone: nothing that was only in the same hands is given up.

A head whose claim ended without a result is a suspect. Whoever has one waits until the other drains have ended, which
finish what they have in hand and claim nothing more; tries it; and lets them go on. Afterwards the process takes no
suspect for as long as that took, so that even hundreds of them leave the others half of its time. Suspects wait
meanwhile, or another process tries them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_EVERY = 0.1  # seconds, for what nobody tells of: that time has passed, or that the process is to end


class Solitude:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.drains = 0  # that work, but for those with a suspect
        self._suspects = 0  # in hand
        self._rests_until = 0.0
        self.closed = False
        """Something is to be tried alone: nothing else may be claimed."""

    @property
    def possible(self) -> bool:
        """Whether a suspect may be taken."""
        return not self._suspects and time.monotonic() >= self._rests_until

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work beside others, once nothing is tried alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self.closed)
            self.drains += 1
        try:
            yield
        finally:
            with self._changed:
                self.drains -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, stopping: Callable[[], bool]) -> Iterator[bool]:
        """Of those who work together, be alone with a suspect. False if the process ended before."""
        self._take(1)
        began = float("inf")
        try:
            if self._wait(self._is_free, stopping):
                began = time.monotonic()
                self._wait(lambda: not self.drains, stopping)
            yield began < float("inf") and not self.drains
        finally:
            self._open(began)
            self._take(-1)

    def _take(self, suspects: int) -> None:
        with self._changed:
            self._suspects += suspects
            self.drains -= suspects
            self._changed.notify_all()

    def _is_free(self) -> bool:
        """Once, for one of those who wait."""
        if self.closed or time.monotonic() < self._rests_until:
            return False
        self.closed = True
        return True

    def _open(self, began: float) -> None:
        """`began`: when it was closed, if it was."""
        with self._changed:
            now = time.monotonic()
            if began <= now:
                self.closed, self._rests_until = False, 2 * now - began

    def _wait(self, holds: Callable[[], bool], stopping: Callable[[], bool]) -> bool:
        with self._changed:
            while not (held := holds()) and not stopping():
                self._changed.wait(LOOK_EVERY)
            return held
