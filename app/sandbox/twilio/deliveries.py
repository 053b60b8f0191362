"""Sends webhooks: signed, and in order for each key, with one thread for each key that has something to send.

Three faults live here: `drop` loses a webhook, `duplicate` sends it twice, `reorder` lets the next one go first.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import requests
from twilio.request_validator import RequestValidator

from app.sandbox.client import send
from app.sandbox.faults import Faults, Outbox

GOOD = range(200, 300)
DROPPED = "The sandbox was told to drop it"
UNREACHED = "The gateway could not be reached"


@dataclass(frozen=True)
class Webhook:
    """What is sent; those of one key go out in order."""

    key: str
    event: str


Parcel = TypeVar("Parcel", bound=Webhook)
Taken = TypeVar("Taken", bound=Webhook, contravariant=True)


class Carrier(Protocol[Taken]):
    """Makes the calls of one webhook; `over` is set once nobody wants to know any more."""

    def carry(self, parcel: Taken, over: threading.Event) -> None: ...

    def drop(self, parcel: Taken) -> None: ...


class Deliveries(Generic[Parcel]):
    """Those of one platform, `target`."""

    def __init__(self, target: str, faults: Faults, carrier: Carrier[Parcel]) -> None:
        self._carrier = carrier
        self._outbox: Outbox[Parcel] = Outbox(target, faults, self.post)
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Parcel]] = {}
        self._over = threading.Event()

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
            self._waiting = {}
        self._outbox.reset()

    def idle(self) -> bool:
        """Whether everything has been sent or given up."""
        with self._lock:
            return not self._waiting

    def _work(self, key: str, over: threading.Event) -> None:
        while parcel := self._next(key, over):
            for due in self._outbox.due(key, parcel, parcel.event):
                self._deliver(due, over)

    def _next(self, key: str, over: threading.Event) -> Parcel | None:
        with self._lock:
            if over.is_set():
                return None
            if self._waiting[key]:
                return self._waiting[key].popleft()
            del self._waiting[key]
            return None

    def _deliver(self, parcel: Parcel, over: threading.Event) -> None:
        if self._outbox.meets("drop", parcel.event):
            self._carrier.drop(parcel)
            return
        for _ in range(2 if self._outbox.meets("duplicate", parcel.event) else 1):
            self._carrier.carry(parcel, over)


def send_signed(token: str, request: requests.Request, timeout: float | tuple[float, float]) -> requests.Response:
    """The signature covers the URL and the fields of the form."""
    signature = RequestValidator(token).compute_signature(request.url, request.data)
    request.headers = {**request.headers, "X-Twilio-Signature": signature}
    return send(request, timeout)
