"""The Celery application of the fleet: one queue per lane, the drain task, and the tick in every worker.

Start it with `patchbay worker`, which is `celery -A workers.fleet worker` with the options that it needs.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.worker.request import Request

from app.config.file import CONFIG_VARIABLE
from app.core.errors import StoreUnavailable
from app.core.work import Wake
from app.gateway import WORKER_TIMEOUT, Gateway, build, lanes_of, settings_from_environment
from app.local.processes import remembered
from app.log import logger
from app.outage import Patience
from app.store.workers import ALIVE_FOR
from app.tasks import DRAIN, Publisher, create_celery, unacknowledged
from workers.care import look_after
from workers.drain import Drainer
from workers.tally import AWAY, Tally, event_of

TICK = 0.5  # seconds; how late a due retry may be noticed
DECLARE_EVERY = 30.0  # seconds
LIFE_EVERY = ALIVE_FOR / 3

log = logger("fleet")
stopping = threading.Event()
_declared = float("-inf")
_patience = Patience(TICK)
_name = ""  # of this worker, as Celery and Flower call it
_seen = float("-inf")
_reached = False  # the broker

if not os.environ.get(CONFIG_VARIABLE):  # `celery inspect` and its like mean what runs here under `patchbay up`
    os.environ.update({name: value for name, value in remembered().items() if not os.environ.get(name)})
settings = settings_from_environment()
celery: Celery = create_celery(
    settings.gateway["broker_url"], [lane.name for lane in lanes_of(settings)], timeout=WORKER_TIMEOUT
)


@cache
def gateway() -> Gateway:
    """The gateway of this process, built with its first use; Redis may be away then."""
    return build(settings, role="worker", timeout=WORKER_TIMEOUT, celery=celery)


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
    drainer = Drainer(gateway(), stopping.is_set)
    try:
        _declare_again()
        drainer.drain(lane, token)
    except StoreUnavailable:  # the tick calls again once Redis is back
        return Tally(AWAY)
    return drainer.tally


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
        global _reached
        if _reached:
            log.warning("broker is back")
        _reached = True
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
        _hush()
        gateway()  # and with it the log
        publisher, patience = Publisher(broker), Patience(TICK)
        while patience.left or publisher.publish([Wake(lane, "")]):  # one too many is harmless
            if not patience.left:
                patience.failed()
            if stopping.is_set():
                raise WorkerShutdown(0)
            for wake in owed():
                work_here(worker.pool, wake)
            time.sleep(TICK)


def owed() -> Sequence[Wake]:
    """The wake-ups that are owed now; none while Redis is out of reach, which is waited out more and more patiently."""
    if _patience.left:
        return ()
    try:
        _declare_again()
        wakes = gateway().store.mailboxes.sweep()
    except StoreUnavailable:
        _patience.failed()
        return ()
    _patience.worked()
    _show_life()
    return wakes


def work_here(pool: Any, wake: Wake) -> None:
    """Work, in this process, what nobody can be told of by a queue."""
    pool.apply_async(drain, (wake.lane, wake.token), callback=lambda heads: None)


def _declare_again() -> None:
    """At first, and now and then, because a Redis that lost its data has lost the lanes, too."""
    global _declared
    if time.monotonic() - _declared > DECLARE_EVERY:
        gateway().declare()
        _declared = time.monotonic()
        look_after(gateway())


def _show_life() -> None:
    """Now and then, so that `patchbay lanes` and `/readyz` know who is there."""
    global _seen
    if time.monotonic() - _seen > LIFE_EVERY:
        _seen = time.monotonic()
        with suppress(StoreUnavailable):
            gateway().store.workers.beat(_name, sorted(celery.amqp.queues.consume_from))


@signals.celeryd_after_setup.connect
def _begin(sender: str, **_: Any) -> None:
    global _name
    _name = sender


@signals.worker_shutdown.connect
def _leave(**_: Any) -> None:
    with suppress(StoreUnavailable):
        gateway().store.workers.leave(_name)


def _is_news(record: logging.LogRecord) -> bool:
    """Celery says at each try that its broker is away; the first time will do."""
    said = record.getMessage()
    return "Cannot connect to" not in said or "(1/" in said


def _hush() -> None:
    """Once Celery has set up its own logging."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_news)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # of what a later Celery does by itself


celery.steps["consumer"].add(Tick)
celery.steps["worker"].add(Room)
