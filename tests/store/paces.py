"""The rule of the pace as plain Python, written a second time without Redis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, sqrt

from app.core.lane import Seen

START, MOST = 4, 4096
WINDOW = 100  # ms
MAX_AHEAD = 120_000  # ms
KEEPS = {"throttled": 0.8, "timed_out": 0.8, "no thread": 1.0, "sick": 0.0}
GOOD = {**KEEPS, "sick": 0.5}
HOLDS = {"throttled": 15_000, "timed_out": 5_000, "no thread": 5_000, "sick": 0}


@dataclass(frozen=True)
class Pace:
    """Of a lane whose pace may not exceed `cap`; times in ms. `turn` is 0 until it changed for the first time."""

    cap: int = MOST
    pace: int = START
    turn: int = 0
    usual: float = 0.0
    top: int = 0
    top_until: int = 0
    before: int = 0
    slow: float = 0.0
    look_at: int = 0
    fell_why: str = ""

    @property
    def limit(self) -> int:
        return min(self.pace, self.cap)

    def fallen(self, why: str, at_once: int, now: int, turn: int | None = None, late: float = 1.0) -> Pace:
        """After a call of that `turn` that went so, or without one."""
        if turn not in (None, self.turn) or (why == "timed_out" and late < 0.1):
            return self
        seen = min(self.limit, at_once)
        if why == "no thread" and seen == self.limit:
            return self
        return self._then(
            now,
            pace=max(1, floor(seen * KEEPS[why])),
            top=max(1, floor(seen * GOOD[why])),
            top_until=now + HOLDS[why],
            before=0,
            slow=0.0,
            look_at=now + WINDOW,
            fell_why=why,
        )

    def may_rise(self, seen: Seen, limit: int, now: int) -> bool:
        enough = seen.turn == self.turn and seen.calls >= min(8, ceil(limit / 2))
        return enough and (self.look_at <= now or self.look_at > now + MAX_AHEAD)

    def looked(self, seen: Seen, now: int) -> Pace:
        """All of it is used, and calls take `seen.mean`."""
        mean, calls = max(seen.mean, 0.01), max(seen.calls, 1)
        usual = self.usual or mean
        look_at = round(now + max(WINDOW, 2 * mean))
        if self.before and mean > 0.9 * self.slow:  # that fall was for nothing
            pace = min(self.before, self.cap)
            top = {"top": self.before, "top_until": now + 5_000}
            return self._then(now, pace=pace, usual=mean, **top, before=0, slow=0.0, look_at=look_at)
        waits = self.limit * (1 - usual / mean)
        if waits > 3 and mean > (1.5 + 2 / sqrt(calls)) * usual:
            pace = max(1, floor(max(self.limit / 2, 0.9 * self.limit * usual / mean)))
            return self._then(
                now,
                pace=pace,
                usual=usual,
                top=pace,
                top_until=now + 5_000,
                before=self.limit,
                slow=mean,
                look_at=look_at,
                fell_why="slower",
            )
        pace = min(self.cap, self._risen(now)) if waits <= 3 or mean <= 1.25 * usual else self.limit
        return self._then(
            now, pace=pace, usual=self._usual(usual, mean, calls, now), before=0, slow=0.0, look_at=look_at
        )

    def _risen(self, now: int) -> int:
        if not self.top:
            return self.limit * 2
        if self.limit < self.top:
            return min(self.top, self.limit * 2)
        if now < min(self.top_until, now + MAX_AHEAD):
            return self.limit
        return self.limit + max(1, min(self.limit, self.limit - self.top))

    def _usual(self, usual: float, mean: float, calls: int, now: int) -> float:
        if self.limit <= START:
            return mean
        if mean < usual:
            return usual + (mean - usual) * min(0.25, calls / 256)
        return usual + (mean - usual) / 8 if self.top and self.limit <= self.top and now < self.top_until else usual

    def _then(self, now: int, *, pace: int, **changed: object) -> Pace:
        """As it is written: a turn begins with each change, the first one at the present time."""
        turn = (self.turn or now) + (pace != self.limit)
        found = replace(self, pace=pace, turn=turn, **changed)  # type: ignore[arg-type]
        return replace(found, usual=round(found.usual, 2), slow=round(found.slow, 2))
