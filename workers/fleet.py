"""The Celery application of the fleet: one queue per lane, the drain task, and the tick in every worker.

Start it with `patchbay worker`, which is `celery -A workers.fleet worker` with the options that it needs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import WorkerShutdown
from celery.worker.request import Request

from app.core.errors import StoreUnavailable
from app.gateway import WORKER_TIMEOUT, Gateway, build, lanes_of, settings_from_environment
from app.log import logger
from app.store.mailbox import Wake
from app.tasks import DRAIN, Publisher, create_celery, unacknowledged
from workers.care import look_after
from workers.drain import Drainer

TICK = 0.5  # seconds; how late a due retry may be noticed
DECLARE_EVERY = 30.0  # seconds

log = logger("fleet")
stopping = threading.Event()
_declared = time.monotonic()

settings = settings_from_environment()
celery: Celery = create_celery(
    settings.gateway["broker_url"], [lane.name for lane in lanes_of(settings)], timeout=WORKER_TIMEOUT
)


@cache
def gateway() -> Gateway:
    """The gateway of this process, built with its first use."""
    built = build(settings, role="worker", timeout=WORKER_TIMEOUT, celery=celery)
    built.declare()
    return built


class Hint(Request):
    """What a worker makes of a wake-up, which its queue does not want acknowledged."""

    def acknowledge(self) -> None:
        self.acknowledged = True


@celery.task(name=DRAIN, Request=Hint if unacknowledged(settings.gateway["broker_url"]) else Request)
def drain(lane: str, token: str) -> int:
    """Work a lane until nothing is due; how many heads were worked, which Flower shows."""
    try:
        return Drainer(gateway(), stopping.is_set).drain(lane, token)
    except StoreUnavailable as error:  # the tick calls again once Redis is back
        log.error("store unavailable", lane=lane, error=str(error))
        return 0


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    stopping.set()


class Tick(bootsteps.StartStopStep):
    """Twice a second, in every worker: free what dead workers held, wake lanes with work that nobody is on its way to.

    There is no single scheduler to lose; that several workers sweep is harmless, because each sweep is one script.
    """

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        # what Flower is told of a task would be published between its wake-up and its work
        consumer.event_dispatcher.on_send_buffered = None
        self._timer = consumer.timer.call_repeatedly(TICK, self._tick, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tick(self, consumer: Any) -> None:
        consumer.event_dispatcher.flush()
        for wake in owed():
            if gateway().publisher.publish([wake]):  # no room, or no queue for a lane that is no longer configured
                work_here(consumer.pool, wake)


class Room(bootsteps.StartStopStep):
    """Celery cannot start while its broker is away or has no memory left. Until then, work goes on without it."""

    requires = {"celery.worker.components:Pool"}  # and before the consumer, which is the last to start

    def start(self, worker: Any) -> None:
        lane = lanes_of(settings)[0].name
        broker = create_celery(settings.gateway["broker_url"], [lane], timeout=WORKER_TIMEOUT, retries=0)
        while Publisher(broker).publish([Wake(lane, "")]):  # one too many is harmless
            if stopping.is_set():
                raise WorkerShutdown(0)
            for wake in owed():
                work_here(worker.pool, wake)
            time.sleep(TICK)


def owed() -> Sequence[Wake]:
    """The wake-ups that are owed now; none while Redis is out of reach, which is waited out."""
    try:
        _declare_again()
        return gateway().store.mailboxes.sweep()
    except StoreUnavailable as error:
        log.error("store unavailable", error=str(error))
        return ()


def work_here(pool: Any, wake: Wake) -> None:
    """Work, in this process, what nobody can be told of by a queue."""
    pool.apply_async(drain, (wake.lane, wake.token), callback=lambda heads: None)


def _declare_again() -> None:
    """Now and then, because a Redis that lost its data has lost the lanes, too."""
    global _declared
    if time.monotonic() - _declared > DECLARE_EVERY:
        gateway().declare()
        _declared = time.monotonic()
        look_after(gateway())


celery.steps["consumer"].add(Tick)
celery.steps["worker"].add(Room)
