"""Sends webhooks: signed, and in order for each key, with one thread for each key that has something to send.

Three faults live here: `drop` loses a webhook, `duplicate` sends it twice, `reorder` holds one back until the next of
its key has gone out (or until the faults are switched off).
"""

import threading
from collections import deque
from typing import Generic, Protocol, TypeVar

import requests
from twilio.request_validator import RequestValidator

from app.sandbox.client import send
from app.sandbox.faults import Faults

GOOD = range(200, 300)
DROPPED = "The sandbox was told to drop it"
UNREACHED = "The gateway could not be reached"


class Keyed(Protocol):
    """A webhook; those of one key go out in order."""

    @property
    def key(self) -> str: ...

    @property
    def event(self) -> str: ...


Parcel = TypeVar("Parcel", bound=Keyed)
Taken = TypeVar("Taken", bound=Keyed, contravariant=True)


class Carrier(Protocol[Taken]):
    """Makes the calls of one webhook; `over` is set once nobody wants to know any more."""

    def carry(self, parcel: Taken, over: threading.Event) -> None: ...

    def drop(self, parcel: Taken) -> None: ...


class Deliveries(Generic[Parcel]):
    """Those of one platform, `target`."""

    def __init__(self, target: str, faults: Faults, carrier: Carrier[Parcel]) -> None:
        self._target = target
        self._faults = faults
        self._carrier = carrier
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Parcel]] = {}
        self._held: dict[str, Parcel] = {}
        self._over = threading.Event()
        faults.on_release(target, self._release)

    def post(self, parcel: Parcel) -> None:
        with self._lock:
            waiting = self._waiting.get(parcel.key)
            if waiting is not None:
                waiting.append(parcel)
                return
            self._waiting[parcel.key] = deque([parcel])
            over = self._over
        threading.Thread(target=self._work, args=(parcel.key, over), daemon=True).start()

    def reset(self) -> None:
        """Forget what was not sent; what is under way is neither retried nor recorded."""
        with self._lock:
            self._over.set()
            self._over = threading.Event()
            self._waiting, self._held = {}, {}

    def idle(self) -> bool:
        """Whether everything has been sent or given up."""
        with self._lock:
            return not self._waiting

    def _release(self) -> None:
        with self._lock:
            held, self._held = self._held, {}
        for parcel in held.values():
            self.post(parcel)

    def _work(self, key: str, over: threading.Event) -> None:
        while parcel := self._next(key, over):
            for due in self._due(parcel):
                self._deliver(due, over)

    def _next(self, key: str, over: threading.Event) -> Parcel | None:
        with self._lock:
            if over.is_set():
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
            if self._meets("reorder", parcel):
                self._held[parcel.key] = parcel
                return []
            return [parcel]

    def _deliver(self, parcel: Parcel, over: threading.Event) -> None:
        if self._meets("drop", parcel):
            self._carrier.drop(parcel)
            return
        for _ in range(2 if self._meets("duplicate", parcel) else 1):
            self._carrier.carry(parcel, over)

    def _meets(self, kind: str, parcel: Parcel) -> bool:
        return self._faults.take(self._target, (kind,), event=parcel.event) is not None


def send_signed(token: str, request: requests.Request, timeout: float | tuple[float, float]) -> requests.Response:
    """The signature covers the URL and the fields of the form."""
    signature = RequestValidator(token).compute_signature(request.url, request.data)
    request.headers = {**request.headers, "X-Twilio-Signature": signature}
    return send(request, timeout)
