"""A Redis with a receiver and workers at one size, and what a message costs there: the time of Redis beside the rate.

A loaded machine changes a rate from minute to minute, and the time of its processor that Redis needs by far less.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests

from app.config.schema import check
from app.core.acceptance import Acceptance
from app.core.message import Direction, Message, Text, new_id
from app.core.reading import encoded
from app.core.work import Append
from app.gateway import build, limits_of, lists_of
from app.store import scripting
from app.store.wire import Wire
from tests.benchmarks import loads
from tests.support import toml
from tests.support.gateway import SECRET
from tests.support.processes import RedisServer, System, wait_until

WORKERS = 2
BATCH, FILLERS = 500, 2


Asked = tuple[str, dict[str, Any]]  # a script and what it is asked


class Spent(NamedTuple):
    """Of a stretch: messages a second, and of each the us that Redis needed of its processor. What `commandstats` tells
    is none of that: it counts on while others have the processor."""

    per_s: float
    us: float


def configuration(lanes: int, url: str) -> dict[str, Any]:
    """So many channels, each with a destination of its own; all of them call `url`. Nothing is too much."""
    channel = {"type": "webhook", "secrets": [SECRET], "send_url": url, "statuses": False}
    desk = {"type": "respondio", "webhook_url": url, "api_token": "desk-token-0001"}
    return {
        "gateway": {"public_url": "http://127.0.0.1:8000", "mailbox_limit": 1_000_000, "lane_limit": 100_000_000},
        "channels": {f"c{n}": {**channel, "destination": f"d{n}"} for n in range(lanes)},
        "destinations": {f"d{n}": {**desk, "channel_id": f"ch_{n}"} for n in range(lanes)},
    }


class Site:
    """`lanes` channels, whose messages come from so many `conversations` in all."""

    def __init__(self, folder: Path, lanes: int, conversations: int, sink_url: str, path: str) -> None:
        folder.mkdir()
        self.lanes, self.conversations = lanes, conversations
        self._sink_url = sink_url
        # A rewrite of its file in the middle of a stretch would be measured with it.
        self.redis = RedisServer(
            folder, os.environ.get("BENCH_FSYNC", "everysec"), "--auto-aof-rewrite-percentage", "0"
        )
        self.redis.start()
        raw = configuration(lanes, f"{sink_url}/{path}")
        (folder / "patchbay.toml").write_text(toml.dumps(raw))
        settings = check(raw, {"PATCHBAY_REDIS_URL": self.redis.url})
        self._gateway = build(settings, role="bench", timeout=60)
        self._gateway.declare()
        self._wire = Wire(limits_of(settings), lists_of(settings))
        self._system = System(folder / "patchbay.toml", self.redis.url, folder)
        self._numbers = itertools.count()

    def open(self) -> None:
        """The receiver takes webhooks from now on."""
        self._system.start(workers=0)

    def close(self) -> None:
        self._system.stop()
        self.redis.stop()

    def meet(self) -> None:
        """Every conversation was there before: something was written to it, and called off."""
        self._in_batches(range(self.conversations), self._greet)

    def fill(self, count: int) -> None:
        """So many messages wait from now on, and nobody was told."""
        self._in_batches([next(self._numbers) for _ in range(count)], self._write)

    def webhooks(self, count: int) -> list[bytes]:
        """Requests for `accept`, one channel after the other."""
        each, prefix = -(-count // self.lanes), f"w{next(self._numbers)}"
        made = [
            loads.signed_requests("bench", f"/channels/c{lane}", each, prefix, -(-self.conversations // self.lanes))
            for lane in range(min(self.lanes, count))
        ]
        return list(itertools.chain(*zip(*made, strict=True)))[:count]

    def accept(self, made: Sequence[bytes]) -> Spent:
        """Have the receiver take webhooks, as many at once as it likes."""
        before, began = self._spent(), time.perf_counter()
        loads.fire(self._system.port, made)
        return self._between(before, began, len(made))

    def deliver(self, count: int) -> Spent:
        """Have workers deliver so many of those that wait; how it went, but for its beginning and its end."""
        with self.working():
            before, began, first = self.after(count // 10)
            self.after(count * 9 // 10)
            return self._between(before, began, self._count() - first)

    def flow(self, made: Sequence[bytes], per_s: int) -> Spent:
        """Take webhooks at a steady rate, and deliver each as it comes."""
        with self.working():
            loads.fire(self._system.port, made[:per_s], connections=1)
            before, began, first = self.after(per_s)
            for number, request in enumerate(made[per_s:]):
                time.sleep(max(0.0, began + number / per_s - time.perf_counter()))
                loads.fire(self._system.port, [request], connections=1)
            wait_until("all is delivered", lambda: self._count() >= len(made), 60)
            return self._between(before, began, len(made) - first)

    def steady(self, workers: int, after: float, seconds: float) -> Spent:
        """How it goes for so many seconds, once others have passed since all the workers are there."""
        wait_until("all workers are there", lambda: len(self._gateway.store.workers.alive()) == workers, 120)
        time.sleep(after)
        before, began, first = self.after(1)
        time.sleep(seconds)
        return self._between(before, began, self._count() - first)

    @contextmanager
    def working(self, workers: int = WORKERS) -> Iterator[None]:
        """The sink counts from here on."""
        requests.get(f"{self._sink_url}/reset", timeout=10)
        started = [self._system.add_worker() for _ in range(workers)]
        try:
            yield
        finally:
            for worker in started:
                worker.stop()

    def after(self, count: int) -> tuple[float, float, int]:
        """What was spent, when, and how much had come, once so much had."""
        wait_until("so many messages are delivered", lambda: self._count() >= count, 120)
        return self._spent(), time.perf_counter(), self._count()

    def _between(self, before: float, began: float, count: int) -> Spent:
        took = time.perf_counter() - began
        return Spent(count / took, (self._spent() - before) / count)

    def _spent(self) -> float:
        """us of its one thread that does all the work, since the server began."""
        with self.redis.client() as client:
            cpu = client.info("cpu")
        return 1e6 * sum(cpu.get(f"used_cpu_{of}_main_thread", cpu[f"used_cpu_{of}"]) for of in ("user", "sys"))

    def _count(self) -> int:
        time.sleep(0.05)
        return int(requests.get(f"{self._sink_url}/count", timeout=10).text)

    def _in_batches(self, numbers: Sequence[int], ask: Callable[[int], Iterator[Asked]]) -> None:
        """By a pipeline, as nobody has the time to wait for each."""
        self._gateway.declare()  # and with it, Redis knows the functions
        batches = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]
        with ThreadPoolExecutor(FILLERS) as pool:
            for _ in pool.map(lambda batch: self._send(itertools.chain.from_iterable(map(ask, batch))), batches):
                pass

    def _send(self, calls: Iterable[Asked]) -> None:
        connection, library = self._gateway.store.connection, scripting.library()[0]
        pipeline = connection.client.pipeline(transaction=False)
        for script, request in calls:
            seed = secrets.token_hex(8)
            pipeline.execute_command("FCALL", f"{library}_{script}", 1, connection.prefix, "", seed, encoded(request))
        for state, *_ in pipeline.execute():
            assert state == "ok", state

    def _write(self, number: int) -> Iterator[Asked]:
        message = self._message(number, "inbound")
        entry = Append(message, message.channel.replace("c", "inbound:d"))
        scope = f"{message.channel}:inbound:{message.external_id}"
        yield "accept", self._wire.acceptance(Acceptance(entry=entry, scope=scope, follow=True))

    def _greet(self, number: int) -> Iterator[Asked]:
        message = self._message(number, "outbound")
        yield "accept", self._wire.acceptance(Acceptance(entry=Append(message, f"outbound:{message.channel}")))
        yield "cancel", {"ids": [message.id], "cv": message.conversation, "retention": 3600, "error": ""}

    def _message(self, number: int, direction: Direction) -> Message:
        lane, customer = number % self.lanes, number % self.conversations // self.lanes
        channel, now = f"c{lane}", int(time.time() * 1000)
        content, address = Text(loads.TEXT), f"webhook:v-{customer}"
        return Message(new_id(), direction, channel, address, content, "customer", channel, now, f"b-{number}")
