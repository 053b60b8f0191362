"""`make bench-pace`: how a lane finds its pace; default settings, two workers, platforms that take 200 ms a call.

Three parts: a platform that takes whatever comes; one that has room for 20 at once and refuses what comes beyond; and a
quick lane beside one that is flooded. What bare threads can post to the same platform stands beside it, because the
machine is the limit of the first part.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from app.config.schema import check
from app.core.acceptance import Acceptance
from app.core.message import Message, Text, new_id
from app.core.work import Append
from app.gateway import Gateway, build
from tests.benchmarks import loads
from tests.support import toml
from tests.support.gateway import SECRET, tables
from tests.support.processes import Process, RedisServer, System, free_port, wait_until

WORKERS, THREADS = 2, 256  # as `patchbay worker` has them
FAST_WITHIN, LIMITED_FOR, BARE_FOR = 30, 60, 8  # seconds
FLOOD, LIMITED = 45_000, 8_000  # messages, more than can be delivered meanwhile
PER_SECOND, STEADY = 20, 10  # of the quick lane, for so many seconds
SOME = 40  # calls at once
SETTLED = 8  # seconds of a flood after which it is measured

GOALS = {
    "slow_per_s": (">=", 1_000.0),
    "limited_p50_at_once": (">=", 10.0),
    "limited_p95_at_once": ("<=", 20.0),
    "limited_refused": ("<", 0.05),
    "latency_ratio_some": ("<", 2.0),
    "latency_ratio_full": ("<", 2.0),
}


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis = RedisServer(folder, "everysec")
        self.redis.start()
        self.port = free_port()
        self.sink = Process([sys.executable, "-m", "tests.benchmarks.slow_sink", str(self.port)], folder / "sink.log")
        self.sink.start()
        wait_until("the platform answers", self._answers)
        self._numbers = itertools.count()

    def close(self) -> None:
        self.sink.stop()
        self.redis.stop()

    def bare(self) -> dict[str, float]:
        """What as many threads in as many processes post, as anybody would write them."""
        url = f"http://127.0.0.1:{self.port}/bare"
        arguments = ["-m", "tests.benchmarks.pace", url, str(THREADS), str(BARE_FOR)]
        others = [Process([sys.executable, *arguments], self.folder / "bare.log") for _ in range(WORKERS)]
        for other in others:
            other.start()
        wait_until("the bare threads end", lambda: not any(other.running for other in others), BARE_FOR + 30)
        times = sorted(at for path, at, *_ in self._seen() if path == "bare")
        return {"bare_per_s": _per_second(times, times[-1] - BARE_FOR / 2, times[-1])}

    def slow(self) -> dict[str, float]:
        """Messages a second in the last ten seconds before half a minute is over, and when there were a thousand."""
        with self._fleet("slow") as gateway:
            self._fill(gateway, "shop", FLOOD, 2_000)
            self._work()
            began = time.time()
            time.sleep(FAST_WITHIN)
            pace = gateway.store.lanes.state("inbound:desk", time.time()).pace
            times = sorted(at for path, at, *_ in self._seen() if path == "slow")
        rates = [(second, _per_second(times, began + second - 1, began + second)) for second in range(1, FAST_WITHIN)]
        return {
            "slow_per_s": _per_second(times, began + FAST_WITHIN - 10, began + FAST_WITHIN),
            "slow_best_per_s": max(rate for _, rate in rates),
            "slow_pace": pace,
            "thousand_after_s": next((second for second, rate in rates if rate >= 1_000), float("inf")),
        }

    def limited(self) -> dict[str, float]:
        """Of a minute, how many were there at once in its last third, and what share of all calls was refused."""
        with self._fleet("limited") as gateway:
            self._fill(gateway, "shop", LIMITED, 500)
            self._work()
            time.sleep(LIMITED_FOR)
            pace = gateway.store.lanes.state("inbound:desk", time.time()).pace
            calls = [call for call in self._seen() if call[0] == "limited"]
        lately = [call for call in calls if call[1] > calls[-1][1] - LIMITED_FOR / 3]
        at_once = sorted(call[2] for call in lately)
        return {
            "limited_per_s": sum(not refused for *_, refused, _ in lately) / (LIMITED_FOR / 3),
            "limited_p50_at_once": statistics.median(at_once),
            "limited_p95_at_once": at_once[int(len(at_once) * 0.95)],
            "limited_most_at_once": at_once[-1],
            "limited_pace": pace,
            "limited_refused": sum(refused for *_, refused, _ in calls) / len(calls),
            "limited_refused_lately": sum(refused for *_, refused, _ in lately) / len(lately),
        }

    def side_by_side(self) -> dict[str, float]:
        """Milliseconds from accept to arrival in a quick lane: alone, beside a flood that leaves the machine some time,
        and beside one that takes all of it."""
        with self._fleet("slow") as gateway:
            self._work()
            self._write_steadily(gateway, 2)  # to warm up
            alone = self._latency(gateway)
        some, some_rate = self._beside_flood(SOME)
        full, full_rate = self._beside_flood()
        return {
            "quick_p50_ms_alone": alone,
            "quick_p50_ms_beside_some": some,
            "some_flood_per_s": some_rate,
            "latency_ratio_some": some / alone,
            "quick_p50_ms_beside_full": full,
            "full_flood_per_s": full_rate,
            "latency_ratio_full": full / alone,
        }

    def _beside_flood(self, concurrency: int | None = None) -> tuple[float, float]:
        """p50 of the quick lane, and calls a second of the flooded one."""
        with self._fleet("slow", {"concurrency": concurrency} if concurrency else {}) as gateway:
            self._fill(gateway, "shop", FLOOD, 2_000)
            self._work()
            time.sleep(SETTLED)
            flooded = time.time()
            p50 = self._latency(gateway)
            times = sorted(at for path, at, *_ in self._seen() if path == "slow")
        return p50, _per_second(times, flooded, flooded + STEADY)

    def _latency(self, gateway: Gateway) -> float:
        began = time.time()
        self._write_steadily(gateway, STEADY)
        time.sleep(2)
        found = [at * 1000 - stamp for path, at, *_, stamp in self._seen() if path == "quick" and stamp / 1000 >= began]
        if len(found) < PER_SECOND * STEADY * 0.9:
            raise SystemExit(f"only {len(found)} of {PER_SECOND * STEADY} messages arrived in the quick lane")
        return statistics.median(found)

    def _write_steadily(self, gateway: Gateway, seconds: int) -> None:
        started = time.perf_counter()
        for number in range(PER_SECOND * seconds):
            time.sleep(max(0.0, started + number / PER_SECOND - time.perf_counter()))
            self._fill(gateway, "kiosk", 1, 200)

    def _fill(self, gateway: Gateway, channel: str, count: int, conversations: int) -> None:
        lane = {"shop": "inbound:desk", "kiosk": "inbound:quick"}[channel]
        for _ in range(count):
            number = next(self._numbers)
            now = int(time.time() * 1000)
            customer = f"webhook:v-{number % conversations}"
            message = Message(
                new_id(), "inbound", channel, customer, Text(loads.TEXT), "customer", channel, now, f"p-{number}"
            )
            entered = gateway.store.mailboxes.accept(
                Acceptance(entry=Append(message, lane), scope=f"{channel}:inbound:p-{number}", follow=True)
            )
            gateway.publisher.publish(entered.wakes)

    @contextmanager
    def _fleet(self, path: str, desk: Mapping[str, Any] = {}) -> Iterator[Gateway]:
        """A gateway whose desk is at that path; its workers begin with `_work`."""
        with self.redis.client() as client:
            client.flushall()
        base = f"http://127.0.0.1:{self.port}"
        kiosk = {"type": "webhook", "secrets": [SECRET], "send_url": f"{base}/bare", "destination": "quick"}
        quick = {"type": "respondio", "webhook_url": f"{base}/quick", "channel_id": "ch_2", "api_token": "quick-0001"}
        raw = tables(
            desk_url=f"{base}/{path}",
            channels__shop={"statuses": False, "destination": "desk", "handoff": "helper"},
            channels__kiosk={**kiosk, "statuses": False},
            destinations__quick=quick,
            destinations__desk=desk,
        )
        config = self.folder / "patchbay.toml"
        config.write_text(toml.dumps(raw))
        gateway = build(check(raw, {"PATCHBAY_REDIS_URL": self.redis.url}), role="bench", timeout=5)
        gateway.declare()
        self._system = System(config, self.redis.url, self.folder)
        try:
            yield gateway
        finally:
            for worker in self._system.workers:
                worker.kill()  # a backlog is left

    def _work(self) -> None:
        for _ in range(WORKERS):
            self._system.add_worker()

    def _seen(self) -> Sequence[Any]:
        found: Sequence[Any] = requests.get(f"http://127.0.0.1:{self.port}/seen", timeout=30).json()
        return found

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/", timeout=1).ok
        except requests.RequestException:
            return False


def _per_second(times: Sequence[float], since: float, until: float) -> float:
    return sum(since < at <= until for at in times) / (until - since)


def post_from_threads(url: str, threads: int, seconds: float) -> None:
    until = time.monotonic() + seconds

    def post() -> None:
        with requests.Session() as session:
            while time.monotonic() < until:
                session.post(url, json=loads.EVENT, timeout=10)

    running = [threading.Thread(target=post) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def main() -> None:
    sys.stdout.write(f"{'cores':28}{os.cpu_count():12d}   load {os.getloadavg()[0]:.1f} before\n")
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            for part in (bench.bare, bench.slow, bench.limited, bench.side_by_side):
                for name, value in part().items():
                    _tell(name, value)
        finally:
            bench.close()


def _tell(name: str, value: float) -> None:
    sign, goal = GOALS.get(name, ("", 0.0))
    met = {">=": value >= goal, "<=": value <= goal, "<": value < goal}.get(sign)
    aim = f"goal {sign} {goal:.3g}  {'met' if met else 'MISSED'}" if sign else ""
    sys.stdout.write(f"{name:28}{value:12.3f}   {aim}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        post_from_threads(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
