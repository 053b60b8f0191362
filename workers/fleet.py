"""The Celery application of the fleet: one queue per lane, the drain task, and what a worker does around its consumer.

Start it with `patchbay worker`, which is `celery -A workers.fleet worker` with the options that it needs.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from functools import cache, partial
from threading import Lock
from typing import Any

from cachetools import TTLCache, cached
from celery import Celery, bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.worker.consumer import Consumer
from celery.worker.request import Request

from app.config.file import CONFIG_VARIABLE
from app.core.errors import StoreUnavailable
from app.core.work import Wake
from app.gateway import WORKER_TIMEOUT, Gateway, build, lanes_of, settings_from_environment
from app.local.processes import remembered
from app.log import logger
from app.store.workers import WorkerState
from app.tasks import DRAIN, create_celery, served_by, unacknowledged
from workers.drain import Drainer, Threads
from workers.lease import ends, stopping
from workers.tally import AWAY, ELSEWHERE, Tally, event_of
from workers.tick import TICK, Tick
from workers.wakes import Wakes

AGAIN = 0.5  # seconds until a worker looks again for the broker that it lost, or waits for

log = logger("fleet")
_tick: Tick | None = None
_reached = False  # the broker
_threads = Threads()

if not os.environ.get(CONFIG_VARIABLE):  # `celery inspect` and its like mean what runs here under `patchbay up`
    os.environ.update({name: value for name, value in remembered().items() if not os.environ.get(name)})
settings = settings_from_environment()
celery: Celery = create_celery(
    settings.gateway["broker_url"], [lane.name for lane in lanes_of(settings)], timeout=WORKER_TIMEOUT
)


@cache
def gateway() -> Gateway:
    """The gateway of this process, built with its first use; Redis may be away then."""
    return build(settings, role="worker", timeout=WORKER_TIMEOUT, around=wakes.over)


class Acknowledged(Request):
    """What a worker makes of a wake-up. Flower hears what became of the heads, not that the drain itself went well."""

    def send_event(self, type: str, **fields: Any) -> None:
        type, fields = event_of(type, fields)
        super().send_event(type, **fields)


class Hint(Acknowledged):
    """One that its queue does not want acknowledged."""

    def acknowledge(self) -> None:
        self.acknowledged = True


@celery.task(name=DRAIN, Request=Hint if unacknowledged(settings.gateway["broker_url"]) else Acknowledged)
def drain(lane: str, token: str) -> Tally:
    """Work a lane until nothing is due; what became of its heads, which Flower shows."""
    drainer = Drainer(gateway(), stopping.is_set, _threads)
    try:
        if _tick:
            _tick.declare()
        if wakes.serves(lane):
            drainer.drain(lane, token)
        else:
            wakes.pass_on(Wake(lane, token), _alive())
            return Tally(ELSEWHERE)
    except StoreUnavailable:  # the tick calls again once Redis is back
        return Tally(AWAY)
    return drainer.tally


@cached(TTLCache(1, ttl=1.0), lock=Lock())
def _alive() -> Sequence[WorkerState]:
    return gateway().store.workers.alive()


wakes = Wakes(drain, [lane.name for lane in lanes_of(settings)])


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    ends()


class Clock(bootsteps.StartStopStep):
    """Has the tick begin before Celery looks for its broker, and go on whatever becomes of it."""

    requires = {"celery.worker.components:Pool"}

    def start(self, worker: Any) -> None:
        global _tick, _threads
        _hush()
        _threads = Threads(worker.concurrency)
        summary = gateway().summary()  # and with the gateway the log
        wakes.pool, wakes.lanes = worker.pool, served_by(celery.amqp.queues.consume_from, wakes.known)
        log.info("started", name=worker.hostname, **summary, lanes=sorted(wakes.lanes), threads=worker.concurrency)
        _tick = Tick(gateway, stopping, worker.hostname, wakes.lanes)
        _tick.start()


class Room(bootsteps.StartStopStep):
    """Celery cannot start while its broker is away or has no memory left, so that is waited for."""

    requires = {Clock}  # and before the consumer, which is the last to start

    def start(self, worker: Any) -> None:
        while not wakes.reaches(lanes_of(settings)[0].name):
            if stopping.wait(AGAIN):
                raise WorkerShutdown(0)


class Ear(bootsteps.StartStopStep):
    """Knows whether the consumer hears its queues; begun anew with each connection to the broker."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        global _reached
        if _reached:
            log.warning("broker is back")
        _reached = wakes.listens = True
        # what Flower is told of a task would be published between its wake-up and its work
        consumer.event_dispatcher.on_send_buffered = None
        self._timer = consumer.timer.call_repeatedly(TICK, consumer.event_dispatcher.flush)

    def stop(self, consumer: Any) -> None:
        wakes.listens = False
        if self._timer:
            self._timer.cancel()
            self._timer = None


class Patient(Consumer):
    """Looks for a broker that went away every second; Celery's own lets up to half a minute pass."""

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=AGAIN, interval_max=AGAIN)
        return super().ensure_connected(conn)


@signals.worker_shutdown.connect
def _leave(**_: Any) -> None:
    if _tick:
        _tick.end()


def _is_news(record: logging.LogRecord) -> bool:
    """Celery says at each try that its broker is away; the first time will do."""
    said = record.getMessage()
    return "Cannot connect to" not in said or "(1/" in said


def _hush() -> None:
    """Once Celery has set up its own logging."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_news)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # of what a later Celery does by itself


celery.conf.worker_consumer = Patient
celery.steps["consumer"].add(Ear)
celery.steps["worker"] |= {Clock, Room}
