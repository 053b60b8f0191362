"""What one drain did, in words and as a state: `3 done, 1 retry: unavailable`. Flower shows it of each task."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

NOTHING = "nothing was due"
AWAY = "the store is out of reach"
ELSEWHERE = "passed on to a worker that serves the lane"
NO_THREAD = "the lane has its share of the threads"
# The events that tell of a drain by the worst that befell a head in it. Celery runs nothing again because of them.
WORST = (("dead", "task-failed"), ("retry", "task-retried"))


class Tally:
    """Counts the outcomes of a drain; its `repr` is all of it that Celery passes on."""

    def __init__(self, instead: str = NOTHING) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._instead = instead

    def add(self, outcome: str, why: str, heads: int = 1) -> None:
        if heads:
            self._counts[outcome, why] += heads

    def __repr__(self) -> str:
        parts = [f"{n} {outcome}: {why}" if why else f"{n} {outcome}" for (outcome, why), n in self._counts.items()]
        return ", ".join(parts) or self._instead


def event_of(type_: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The event that Flower is sent in place of Celery's own about a drain that ended, with its fields."""
    if type_ != "task-succeeded":
        return type_, fields
    words = str(fields["result"])
    for outcome, event in WORST:
        heads = _how_many(outcome, words)
        if heads:
            more = {"exception": words, "traceback": "", "retries": _how_many("retry", words)}
            return event, {**fields, **more}
    return type_, fields


def _how_many(outcome: str, words: str) -> int:
    return sum(int(count) for count in re.findall(rf"(\d+) {outcome}\b", words))
