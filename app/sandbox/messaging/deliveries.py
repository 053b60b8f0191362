"""Sends webhooks: in order for each key, one thread for each key that has something to send.

Three faults live here: `drop` loses a webhook, `duplicate` sends it twice, `reorder` holds one back until the
next of its key has gone out (or until the faults are switched off).
"""

import threading
from collections import deque

from app.sandbox.faults import Faults
from app.sandbox.messaging.transport import Parcel, Transport

TARGET = "messaging"


class Deliveries:
    def __init__(self, transport: Transport, faults: Faults) -> None:
        self._transport = transport
        self._faults = faults
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Parcel]] = {}
        self._held: dict[str, Parcel] = {}
        self._era = threading.Event()
        faults.on_release(TARGET, self.release)

    def post(self, parcel: Parcel) -> None:
        with self._lock:
            waiting = self._waiting.get(parcel.key)
            if waiting is not None:
                waiting.append(parcel)
                return
            self._waiting[parcel.key] = deque([parcel])
            era = self._era
        threading.Thread(target=self._work, args=(parcel.key, era), daemon=True).start()

    def release(self) -> None:
        """Send what `reorder` still holds back."""
        with self._lock:
            held, self._held = self._held, {}
        for parcel in held.values():
            self.post(parcel)

    def reset(self) -> None:
        """Forget what was not sent; what is under way is neither retried nor recorded."""
        with self._lock:
            self._era.set()
            self._era = threading.Event()
            self._waiting, self._held = {}, {}

    def idle(self) -> bool:
        """Whether everything has been sent or given up."""
        with self._lock:
            return not self._waiting

    def _work(self, key: str, era: threading.Event) -> None:
        while parcel := self._next(key, era):
            for due in self._due(parcel):
                self._deliver(due, era)

    def _next(self, key: str, era: threading.Event) -> Parcel | None:
        with self._lock:
            if era.is_set():
                return None
            if self._waiting[key]:
                return self._waiting[key].popleft()
            del self._waiting[key]
            return None

    def _due(self, parcel: Parcel) -> list[Parcel]:
        with self._lock:
            held = self._held.pop(parcel.key, None)
            if held:
                return [parcel, held]
            if self._faults.take(TARGET, ("reorder",), event=parcel.event):
                self._held[parcel.key] = parcel
                return []
            return [parcel]

    def _deliver(self, parcel: Parcel, era: threading.Event) -> None:
        if self._faults.take(TARGET, ("drop",), event=parcel.event):
            self._transport.drop(parcel)
            return
        times = 2 if self._faults.take(TARGET, ("duplicate",), event=parcel.event) else 1
        for _ in range(times):
            self._transport.carry(parcel, era.is_set)
