"""`make bench-scale`: what a message costs as everything grows: conversations, what waits, lanes, workers.

Costs may grow with the logarithm and with nothing else, so each part sets its sizes against the smallest one, taken in
turn in the same minutes. What is printed is the table of `docs/scale.md`.
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

from tests.benchmarks.site import Site, Spent
from tests.support.processes import Process, free_port, wait_until

CONVERSATIONS = (1, 1_000, 100_000)
WAITING = (0, 10_000, 500_000)
LANES = (2, 50, 300)
WORKERS = (1, 2, 4)
ROUNDS, SHOTS = 2, 4
SHOT = 400  # webhooks
PER_S, FLOW_S = 100, 6
SLOW, CALL_MS = 32, 1_500  # platforms, each of which takes so long for a call
RISE_S, SLOW_S = 15, 8  # seconds until lanes have found their pace, and for which they are measured then
MAX_GROWTH = 0.25  # of a cost, with ten times as much


ACCEPTED, DELIVERED = ("accepted/s", "Redis, us"), ("delivered/s", "Redis, us")
Sizes = Mapping[int, Site]


class Row(NamedTuple):
    accept: Spent
    deliver: Spent


class Growth:
    """The most that a cost grew with each ten times of a size, and where."""

    def __init__(self) -> None:
        self.most, self.where = 0.0, "nowhere"

    def note(self, where: str, costs: Mapping[int, float]) -> None:
        """Costs by size, the smallest one first."""
        (least, first), *others = costs.items()
        for size, cost in others:
            growth = (cost / first - 1) / math.log10(size / least)
            if growth > self.most:
                self.most, self.where = growth, f"{where}, {size:,}"


class Bench:
    def __init__(self, folder: Path, growth: Growth) -> None:
        self._folder, self._growth = folder, growth
        self._numbers = itertools.count()
        self.busiest = 0.0  # us of Redis for a message that is accepted and delivered, at most
        self._sink = self._serve("tests.benchmarks.sink", str(folder / "arrivals.json"))
        self._slow = self._serve("tests.benchmarks.slow_sink")

    def close(self) -> None:
        for process, _ in (self._sink, self._slow):
            process.stop()

    def backlogs(self) -> None:
        """How many conversations there are, and how much waits."""
        tell("conversations", "waiting", *ACCEPTED, *DELIVERED)
        found: dict[int, dict[int, Row]] = {}
        for conversations in CONVERSATIONS:
            with ExitStack() as stack:
                sites = {waiting: stack.enter_context(self._site(1, conversations, waiting)) for waiting in WAITING}
                rows = found[conversations] = measured(sites)
            for waiting, row in rows.items():
                tell(f"{conversations:,}", f"{waiting:,}", *cells(row, rows[WAITING[0]]))
            self.busiest = max(self.busiest, *(row.accept.us + row.deliver.us for row in rows.values()))
            self._judge("waiting", {waiting + SHOT * SHOTS: row for waiting, row in rows.items()})
        for waiting in WAITING:
            self._judge("conversations", {conversations: rows[waiting] for conversations, rows in found.items()})

    def lanes(self) -> None:
        """How many lanes have work; each channel has two, and each destination."""
        tell("lanes", *ACCEPTED, *DELIVERED, "Redis at 100/s, us")
        with ExitStack() as stack:
            sites = {lanes: stack.enter_context(self._site(lanes, 3_000, 0)) for lanes in LANES}
            rows = measured(sites)
            flows = {lanes: site.flow(site.webhooks(PER_S * FLOW_S), PER_S) for lanes, site in sites.items()}
        for lanes, row in rows.items():
            alone = relative(flows[lanes].us, flows[LANES[0]].us)
            tell(str(lanes), *cells(row, rows[LANES[0]]), alone)
        self._judge("lanes", rows)
        self._growth.note("one by one, lanes", {lanes: flow.us for lanes, flow in flows.items()})

    def workers(self) -> None:
        """How many workers there are, and platforms take their time."""
        tell("workers", "delivered/s", "Redis, us")
        rows = {workers: self._worked(workers) for workers in WORKERS}
        first = rows[WORKERS[0]]
        for workers, row in rows.items():
            tell(str(workers), relative(row.per_s, first.per_s), relative(row.us, first.us))
        self._growth.note("workers", {workers: row.us for workers, row in rows.items()})

    def _worked(self, workers: int) -> Spent:
        with self._site(SLOW, SLOW * 100, SLOW * 400, f"wait-{CALL_MS}") as site, site.working(workers):
            return site.steady(workers, RISE_S, SLOW_S)

    def _judge(self, where: str, rows: Mapping[int, Row]) -> None:
        self._growth.note(f"accept, {where}", {size: row.accept.us for size, row in rows.items()})
        self._growth.note(f"deliver, {where}", {size: row.deliver.us for size, row in rows.items()})

    @contextmanager
    def _site(self, lanes: int, conversations: int, waiting: int, path: str = "") -> Iterator[Site]:
        folder = self._folder / f"site-{next(self._numbers)}"
        site = Site(folder, lanes, conversations, (self._slow if path else self._sink)[1], path or "desk")
        try:
            if waiting < conversations:  # else all of them are there then
                site.meet()
            site.fill(waiting)
            site.open()
            yield site
        finally:
            site.close()
            shutil.rmtree(folder)

    def _serve(self, module: str, *arguments: str) -> tuple[Process, str]:
        port = free_port()
        process = Process([sys.executable, "-m", module, str(port), *arguments], self._folder / "sinks.log")
        process.start()
        wait_until("the sink answers", lambda: answers(f"http://127.0.0.1:{port}/count"))
        return process, f"http://127.0.0.1:{port}"


def measured(sites: Sizes) -> dict[int, Row]:
    """What each size accepts and delivers, one after the other and again."""
    accepted: dict[int, list[Spent]] = {size: [] for size in sites}
    delivered: dict[int, list[Spent]] = {size: [] for size in sites}
    for _ in range(ROUNDS):
        for _ in range(SHOTS):
            for size, site in sites.items():
                accepted[size].append(site.accept(site.webhooks(SHOT)))
        for size, site in sites.items():
            delivered[size].append(site.deliver(SHOT * SHOTS))
    return {size: Row(median(accepted[size]), median(delivered[size])) for size in sites}


def median(found: Sequence[Spent]) -> Spent:
    return Spent(*map(statistics.median, zip(*found, strict=True)))


def cells(row: Row, least: Row) -> Iterator[str]:
    for found, first in zip(row, least, strict=True):
        yield relative(found.per_s, first.per_s)
        yield relative(found.us, first.us)


def relative(value: float, least: float) -> str:
    return f"{value:,.0f} ({value / least:.2f})"


def tell(*row: str) -> None:
    """A row of a table; a heading is one that begins with a word."""
    sys.stdout.write(f"| {' | '.join(row)} |\n")
    if row[0].isalpha():
        sys.stdout.write(f"|{' ---: |' * len(row)}\n")
    sys.stdout.flush()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def main() -> None:
    began, growth = time.monotonic(), Growth()
    with tempfile.TemporaryDirectory(prefix="patchbay-scale-") as folder:
        bench = Bench(Path(folder), growth)
        try:
            for part in (bench.backlogs, bench.lanes, bench.workers):
                part()
                sys.stdout.write("\n")
        finally:
            bench.close()
    met = "met" if growth.most <= MAX_GROWTH else "MISSED"
    sys.stdout.write(
        f"With ten times as much, a cost grew by {growth.most:.0%} at most ({growth.where}); "
        f"goal {MAX_GROWTH:.0%}: {met}.\n"
        f"To accept and deliver a message takes Redis {bench.busiest:.0f} us at most: it has time for "
        f"{1e6 / bench.busiest:,.0f} a second.\n"
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.monotonic() - began:.0f} s.\n"
    )


if __name__ == "__main__":
    main()
