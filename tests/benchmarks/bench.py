"""`make bench`: ratios measured in one run, printed as a table and written to `bench.json`.

Machines are noisy, so each figure is set against a plain alternative that ran in the same minutes on the same machine.
Everything listens on loopback; counts and times are bounded.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import requests
from celery import chain

from app.config.schema import check
from app.core.acceptance import Acceptance
from app.core.message import Message, Text, new_id
from app.core.work import Append
from app.gateway import Gateway, build
from tests.benchmarks import loads
from tests.benchmarks.server_time import ServerTime
from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import Process, RedisServer, System, free_port, wait_until

# What is compared runs one after the other; each round gives a ratio, and their median counts. A shared machine is now
# fast, now slow: the best runs of each side would compare different machines. A receiver's rounds are many and short,
# because the connections of each are shared out anew between its processes, now evenly, now not.
RECEIVER_ROUNDS, DELIVERY_ROUNDS = 21, 5
RECEIVED = 1_000
DELIVERED = 4_000
CHAINED = 400
WAITING = 5_000
PER_SECOND, SECONDS = 50, 10

NOT_WITHIN = ("cmdstat_fcall", "cmdstat_evalsha", "cmdstat_info", "cmdstat_config|resetstat")  # a script

GOALS = {
    "receiver_ratio": (">=", 0.36),
    "delivery_ratio": (">=", 1.2),
    "celery_chain_ratio": (">=", 15.0),
    "latency_p50_ms": ("<", 5.0),
    "latency_p99_ms": ("<", 20.0),
    "bytes_per_waiting_message": ("<", 2_000.0),
}


class Bench:
    """One Redis, one sink, and the parts that are measured, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis = RedisServer(folder, os.environ.get("BENCH_FSYNC", "everysec"))
        self.redis.start()
        self.client = redis.Redis(port=self.redis.port)
        self.sink_port = free_port()
        self.sink_url = f"http://127.0.0.1:{self.sink_port}"
        self.sink = self._python("tests.benchmarks.sink", str(self.sink_port), str(folder / "arrivals.json"))
        raw = tables(
            desk_url=f"{self.sink_url}/desk",
            # the customer's own statuses would be a second post for each message
            channels__shop={"statuses": False, "destination": "desk", "handoff": "helper"},
        )
        self.settings = check(raw, {"PATCHBAY_REDIS_URL": self.redis.url})
        self.config = folder / "patchbay.toml"
        self.config.write_text(toml.dumps(raw))
        os.environ.update({"CHAIN_BROKER": self.redis.url, "CHAIN_URL": f"{self.sink_url}/chain"})
        self.celery = loads.create_chain()
        self.server_time: dict[str, float] = {}

    def close(self) -> None:
        self.sink.stop()
        self.redis.stop()

    def receiver(self) -> dict[str, float]:
        """Accepted webhooks a second against an empty endpoint, both under granian with two processes."""
        self.client.flushall()
        rounds = itertools.count()

        def measure() -> dict[str, float]:
            number = next(rounds)
            empty = loads.fire(idle, loads.signed_requests("bench", "/empty", RECEIVED, f"e{number}", 200))
            made = loads.signed_requests("bench", "/channels/shop", RECEIVED, f"r{number}", 200)
            accepted = loads.fire(receiver, made)
            return {"accepted_per_s": accepted, "empty_per_s": empty, "receiver_ratio": accepted / empty}

        with (
            self._granian("tests.benchmarks.loads:create_empty_app", "/empty") as idle,
            self._granian("app.web:create_app", "/healthz") as receiver,
        ):
            measure()  # to warm up
            self.client.config_resetstat()
            return _medians(measure, RECEIVER_ROUNDS) | self._redis_of_accepts()

    def _redis_of_accepts(self) -> dict[str, float]:
        """What Redis says that one accept took it, by its clock, and how many commands that was: next to nothing else
        has been asked of it since its figures were reset."""
        stats: dict[str, dict[str, float]] = self.client.info("commandstats")
        script = stats.get("cmdstat_fcall") or stats["cmdstat_evalsha"]
        inside = sum(of["calls"] for name, of in stats.items() if name not in NOT_WITHIN)
        return {"redis_us_per_accept": script["usec_per_call"], "redis_commands_per_accept": inside / script["calls"]}

    def delivery(self) -> dict[str, float]:
        """Messages a second from a full backlog, two workers, against two processes of bare `requests` posts and
        against two workers of a plain Celery chain, which is fastest with one process in each; what each of them costs
        Redis from its acceptance to the end of its one hop."""
        bare, ours, chained = self._bare_loops(), self._drain_backlog(), self._run_chain()
        return {
            "delivered_per_s": ours,
            "bare_posts_per_s": bare,
            "delivery_ratio": ours / bare,
            "chain_per_s": chained,
            "celery_chain_ratio": ours / chained,
            **self.server_time,
        }

    def _bare_loops(self) -> float:
        self._get("reset")
        loops = [self._python("tests.benchmarks.loads", f"{self.sink_url}/bare", str(DELIVERED // 2)) for _ in "12"]
        wait_until("the bare loops end", lambda: self._count() >= DELIVERED, 60)
        for loop in loops:
            loop.stop()
        return self._rate()

    def _run_chain(self) -> float:
        self.client.flushall()
        self._get("reset")
        for number in range(CHAINED):
            first = self.celery.signature("dedup", args=({"id": str(number)},))
            chain(first, *(self.celery.signature(name) for name in ("translate", "deliver", "status"))).apply_async()
        command = ["-m", "celery", "-A", "tests.benchmarks.chain", "--quiet", "worker", "--concurrency", "1"]
        workers = [self._python(*command, "--hostname", f"chain{n}@%h", "--loglevel", "error") for n in "12"]
        wait_until("the chains end", lambda: int(self.client.get("chain:count") or 0) >= CHAINED, 60)
        for worker in workers:
            worker.stop()
        # the queue is first in, first out: all messages go through the first task before any gets to the last one
        return CHAINED / (float(self.client.get("chain:ended")) - float(self.client.get("chain:began")))

    def latency(self) -> dict[str, float]:
        """Milliseconds from accept to the arrival at the destination, at a steady rate, all parts running."""
        self.client.flushall()
        self._get("reset")
        system = System(self.config, self.redis.url, self.folder)
        system.start(workers=2)
        try:
            count = PER_SECOND * SECONDS
            made = loads.signed_requests("bench", "/channels/shop", count + 50, "l", 100)
            loads.fire(system.port, made[:50], connections=1)
            wait_until("the first messages are delivered", lambda: self._count() >= 50, 30)
            self._get("reset")
            self._fire_steadily(system.port, made[50:])
            wait_until("all messages are delivered", lambda: self._count() >= count, 30)
            arrivals = self._arrivals()
        finally:
            system.stop()
        took = sorted(t * 1000 - at for t, at in zip(arrivals["times"], arrivals["events"], strict=True))
        return {
            "latency_p50_ms": statistics.median(took),
            "latency_p99_ms": took[int(len(took) * 0.99)],
            "latency_max_ms": took[-1],
        }

    def memory(self) -> dict[str, float]:
        """Bytes of Redis memory for each waiting message of 200 characters, 10 in each conversation."""
        self.client.flushall()
        gateway = self._gateway()
        before = self.client.info("memory")["used_memory"]
        self._fill(gateway, WAITING, WAITING // 10)
        used = self.client.info("memory")["used_memory"] - before
        return {"bytes_per_waiting_message": used / WAITING}

    def _drain_backlog(self) -> float:
        self.client.flushall()
        server_time = ServerTime(self.client)
        self._fill(self._gateway(), DELIVERED, 200)
        accept = server_time.spent(DELIVERED)
        self._get("reset")
        system = System(self.config, self.redis.url, self.folder)
        workers = [system.add_worker() for _ in "12"]
        wait_until("the backlog is delivered", lambda: self._count() >= DELIVERED, 60)
        for worker in workers:
            worker.stop()
        work = server_time.spent(DELIVERED)
        self.server_time = {
            "redis_us_accept": accept.scripts,
            "redis_us_settle_and_claim": work.scripts,
            "redis_us_a_message": accept.scripts + work.scripts,
            "redis_cpu_us_a_message": accept.processor + work.processor,
            "redis_commands_a_message": accept.commands + work.commands,
        }
        return self._rate()

    def _fill(self, gateway: Gateway, count: int, conversations: int) -> None:
        gateway.declare()
        for number in range(count):
            customer = f"webhook:v-{number % conversations}"
            content = Text(loads.TEXT)
            now = int(time.time() * 1000)
            message = Message(new_id(), "inbound", "shop", customer, content, "customer", "shop", now, f"b-{number}")
            entry = Append(message, "inbound:desk")
            gateway.store.mailboxes.accept(Acceptance(entry=entry, scope=f"shop:inbound:b-{number}", follow=True))

    def _gateway(self) -> Gateway:
        return build(self.settings, role="bench", timeout=5)

    def _fire_steadily(self, port: int, made: list[bytes]) -> None:
        started = time.perf_counter()
        for number in range(len(made)):
            time.sleep(max(0.0, started + number / PER_SECOND - time.perf_counter()))
            loads.fire(port, made[number : number + 1], connections=1)

    @contextmanager
    def _granian(self, factory: str, path: str) -> Iterator[int]:
        port = free_port()
        server = Process(
            [
                str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--factory", factory, "--port",
                str(port), "--workers", "2", "--blocking-threads", "64", "--no-ws", "--log-level", "error",
            ],
            self.folder / "granian.log",
            self._environment(),
        )  # fmt: skip
        server.start()
        wait_until("granian answers", lambda: _answers(f"http://127.0.0.1:{port}{path}"))
        try:
            yield port
        finally:
            server.stop()

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATCHBAY_CONFIG": str(self.config),
            "PATCHBAY_REDIS_URL": self.redis.url,
            "PATCHBAY_BROKER_URL": self.redis.url,
        }

    def _python(self, module: str, *arguments: str) -> Process:
        command = [sys.executable, module, *arguments] if module == "-m" else [sys.executable, "-m", module, *arguments]
        process = Process(command, self.folder / "other.log")
        process.start()
        if module.endswith("sink"):
            wait_until("the sink answers", lambda: _answers(f"{self.sink_url}/count"))
        return process

    def _get(self, what: str) -> str:
        return requests.get(f"{self.sink_url}/{what}", timeout=10).text

    def _count(self) -> int:
        time.sleep(0.1)
        return int(self._get("count"))

    def _arrivals(self) -> dict[str, Any]:
        self._get("save")
        saved: dict[str, Any] = json.loads((self.folder / "arrivals.json").read_text())
        return saved

    def _rate(self) -> float:
        """Arrivals a second between the 5th and the 95th of a hundred: starting and stopping do not count."""
        times = sorted(self._arrivals()["times"])
        low, high = len(times) // 20, len(times) - len(times) // 20 - 1
        return (high - low) / (times[high] - times[low])


def _medians(measure: Callable[[], dict[str, float]], rounds: int) -> dict[str, float]:
    """Of each figure that `measure` gives."""
    found = [measure() for _ in range(rounds)]
    return {name: statistics.median(figures[name] for figures in found) for name in found[0]}


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code < 500
    except requests.RequestException:
        return False


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            figures = bench.receiver()
            figures |= _medians(bench.delivery, DELIVERY_ROUNDS)
            figures |= bench.latency()
            figures |= bench.memory()
        finally:
            bench.close()
    figures["seconds"] = time.monotonic() - started
    Path("bench.json").write_text(
        json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2) + "\n"
    )
    for name, value in figures.items():
        sign, goal = GOALS.get(name, ("", 0.0))
        met = "" if not sign else ("met" if (value >= goal if sign == ">=" else value < goal) else "MISSED")
        aim = f"goal {sign} {goal:.3g}  {met}" if sign else ""
        sys.stdout.write(f"{name:28}{value:12.2f}   {aim}\n")


if __name__ == "__main__":
    main()
