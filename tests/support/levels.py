"""Whether what processes hold stays level while they work, or grows: looked at meanwhile, judged when it is over."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import redis

from tests.support.processes import Process, RedisServer

MB = 1024 * 1024
SETTLES = 15.0  # seconds, after which a process that was started anew holds what it needs
FEWEST = 9  # samples that tell anything


@dataclass(frozen=True)
class Bound:
    """By how much the last third may lie above the first: a share of that, but at least `least`."""

    share: float
    least: float
    unit: float = 1.0
    low: bool = False  # what is there at quiet moments counts: else the median

    def of(self, first: float) -> float:
        return max(self.least, self.share * first)


BOUNDS = {
    "memory, MB": Bound(0.05, 4.0, MB),
    "resident, MB": Bound(0.5, 8.0, MB),  # of a Redis: where it was killed, reading its file again leaves holes
    "descriptors": Bound(0.2, 12.0),  # pools of connections grow to the most that were ever wanted at once
    "threads": Bound(0.05, 4.0),
    "keys": Bound(0.35, 500.0),  # as many as came in the time for which they are kept, and machines are noisy
    "keys that stay": Bound(0.1, 20.0, low=True),  # what waits stays, too
}


@dataclass(frozen=True)
class Level:
    """What is usual in each third of the time; `bound`: how much more it may be in the last than in the first."""

    who: str
    what: str
    thirds: tuple[float, float, float]
    bound: float

    @property
    def holds(self) -> bool:
        return self.thirds[2] - self.thirds[0] <= self.bound


@dataclass(frozen=True)
class Sample:
    at: float
    value: float
    life: int  # of the process: another one each time it is started


@dataclass
class Watch:
    """Looks at processes and servers by their names, until it is told to end. Those who were killed may be missing."""

    processes: Callable[[], Mapping[str, Process]]
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def running(self, every: float) -> Iterator[Watch]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(every):
                self.look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join(30)

    def look(self) -> None:
        for name, process in self.processes().items():
            if not process.running:
                continue
            memory = "resident, MB" if isinstance(process, RedisServer) else "memory, MB"
            for number, one in enumerate(_tree(process.pid)):
                self._note_process(name if number == 0 else f"{name}, child", one, memory)
            if isinstance(process, RedisServer):
                self._note_redis(name, process)

    def levels(self, since: float, slack: float = 1.0) -> list[Level]:
        """Of all that was looked at from then on, by `time.monotonic`. The bounds are `slack` times as wide."""
        found = (level_of(who, what, one, since, slack) for (who, what), one in sorted(self.samples.items()))
        return [level for level in found if level]

    def _note_process(self, who: str, process: psutil.Process, memory: str) -> None:
        with suppress(psutil.Error), process.oneshot():
            figures = {
                memory: process.memory_info().rss,
                "descriptors": process.num_fds(),
                "threads": process.num_threads(),
            }
            self._note(who, figures, process.pid)

    def _note_redis(self, who: str, server: RedisServer) -> None:
        """What it says that it holds."""
        with suppress(redis.RedisError), server.client() as client:
            held = client.info("memory")["used_memory"]
            told = client.info("keyspace").get("db0", {"keys": 0, "expires": 0})
            stay = told["keys"] - told["expires"]
            self._note(who, {"memory, MB": held, "keys": told["keys"], "keys that stay": stay}, 0)

    def _note(self, who: str, figures: Mapping[str, float], life: int) -> None:
        for what, value in figures.items():
            self.samples[who, what].append(Sample(time.monotonic(), value, life))


def level_of(who: str, what: str, samples: Sequence[Sample], since: float, slack: float = 1.0) -> Level | None:
    """None: there are too few samples to say anything. Those of a process that just started anew do not count."""
    began: dict[int, float] = {}
    for one in samples:
        began.setdefault(one.life, one.at)
    first_life = samples[0].life
    counted = [
        one.value / BOUNDS[what].unit
        for one in samples
        if one.at >= since and (one.life == first_life or one.at - began[one.life] >= SETTLES)
    ]
    if len(counted) < FEWEST:
        return None
    third, bound = len(counted) // 3, BOUNDS[what]
    parts = (counted[:third], counted[third:-third], counted[-third:])
    first, second, last = (statistics.quantiles(part, n=10)[0 if bound.low else 4] for part in parts)
    return Level(who, what, (first, second, last), slack * bound.of(first))


def as_markdown(levels: Sequence[Level]) -> list[str]:
    head = ["process", "what", "first third", "second", "last", "may grow by", "level"]
    lines = [[level.who, level.what, *map(_short, level.thirds), _short(level.bound), _said(level)] for level in levels]
    return ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]]


def _said(level: Level) -> str:
    return "yes" if level.holds else "NO"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
