"""The tick: twice a second, in every worker, what dead workers held is freed, and lanes with work are woken.

It has a thread of its own. As a step of Celery's consumer it would stand still while that looks for its broker, and all
work with it. There is no single scheduler to lose; that several workers sweep is harmless, as each sweep is one script.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from app.core.errors import StoreUnavailable
from app.core.work import Wake
from app.gateway import Gateway
from app.log import logger
from app.outage import Patience
from app.store.workers import ALIVE_FOR
from workers import results
from workers.care import look_after
from workers.lease import HANDS, RENEW_EVERY

TICK = 0.5  # seconds; how late a due retry may be noticed
APART = TICK / 2  # seconds between two sweeps, however many workers there are: Redis does nothing else meanwhile
# What ran out while nobody could renew it (Redis was away for longer than GAP) is spared for so long: whoever has it in
# hand tells of it now. A worker that only just begins does not know, so it does the same.
GAP, SPARED = 3.0, 5.0
DECLARE_EVERY = 30.0  # seconds
LIFE_EVERY = ALIVE_FOR / 3

log = logger("tick")


class Tick:
    """Of the worker `name`, which serves `lanes`; `gateway` is called in the tick's own thread at first.

    `stopping`: the worker is to end. Then nothing more is begun, but it still counts as alive until `end`.
    """

    def __init__(
        self, gateway: Callable[[], Gateway], stopping: threading.Event, name: str, lanes: Collection[str]
    ) -> None:
        self._gateway, self._stopping = gateway, stopping
        self._name, self._lanes = name, sorted(lanes)
        self._patience = Patience(TICK)
        self._declared = self._seen = self._renewed = self._swept = float("-inf")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """The worker has nothing in hand any more."""
        self._ended.set()
        with suppress(StoreUnavailable):
            self._gateway().store.workers.leave(self._name)

    def declare(self) -> None:
        """At first, and now and then, because a Redis that lost its data has lost the lanes, too.

        Raises: StoreUnavailable.
        """
        if time.monotonic() - self._declared > DECLARE_EVERY:
            self._gateway().declare()
            self._declared = time.monotonic()
            look_after(self._gateway())

    def _run(self) -> None:
        while not self._ended.wait(TICK):
            try:
                self._once()
            except StoreUnavailable:  # waited out more and more patiently
                self._patience.failed()
            except Exception as error:  # the others must go on, and the next one may go well
                log.error("unexpected", exc_info=error)

    def _once(self) -> None:
        if self._patience.left:
            return
        self._renew()
        if not self._stopping.is_set():
            self.declare()
            self._gateway().publisher.publish(self._owed())
        self._show_life()

    def _owed(self) -> Sequence[Wake]:
        """The wake-ups that are owed now. Raises: StoreUnavailable."""
        spare = SPARED if time.monotonic() - self._swept > GAP else 0.0
        if spare:
            results.tell(self._gateway())
        wakes = self._gateway().store.mailboxes.sweep(spare, APART)
        self._swept = time.monotonic()
        self._patience.worked()
        return wakes

    def _renew(self) -> None:
        """The leases of what is in hand. Raises: StoreUnavailable."""
        if time.monotonic() - self._renewed > RENEW_EVERY:
            HANDS.renew(self._gateway())
            self._renewed = time.monotonic()

    def _show_life(self) -> None:
        """Now and then, so that `patchbay lanes` and `/readyz` know who is there. Raises: StoreUnavailable."""
        if time.monotonic() - self._seen > LIFE_EVERY:
            self._seen = time.monotonic()
            self._gateway().store.workers.beat(self._name, self._lanes)
