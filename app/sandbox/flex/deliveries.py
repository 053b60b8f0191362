"""Delivers webhooks: signed, five seconds' patience, retried on few answers only, in order within each room.

Three faults live here: `drop` loses a webhook, `duplicate` sends it twice, `reorder` holds one back until the
next of its room has gone out (or until the faults are switched off).
"""

import threading
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlencode

import requests
from twilio.request_validator import RequestValidator

from app.sandbox.checks import Json
from app.sandbox.faults import Faults
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import Hook

PATIENCE_SECONDS = 5.0
# Twilio's own pauses are not documented; the sandbox does not want to wait long.
FIRST_PAUSE_SECONDS = 0.3
RETRIED = (429, 503, 504)
GOOD = range(200, 300)


@dataclass(frozen=True)
class Parcel:
    """One event for one webhook."""

    room_sid: str
    hook: Hook
    event: str
    body: dict[str, str]
    message_sid: str | None


@dataclass(frozen=True)
class Outcome:
    """`status` is empty if nobody answered, `error` if all was well."""

    status: int | None
    error: str | None

    @property
    def is_retried(self) -> bool:
        return self.error is not None and (self.status is None or self.status in RETRIED)


class Deliveries:
    def __init__(self, auth_token: str, memory: Memory, faults: Faults) -> None:
        self._validator = RequestValidator(auth_token)
        self._memory = memory
        self._faults = faults
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Parcel]] = {}
        self._held: dict[str, Parcel] = {}
        self._era = threading.Event()
        faults.on_release("flex", self.release)

    def post(self, parcel: Parcel) -> None:
        """Queue it; one thread for each room sends while there is something to send."""
        with self._lock:
            waiting = self._waiting.get(parcel.room_sid)
            if waiting is not None:
                waiting.append(parcel)
                return
            self._waiting[parcel.room_sid] = deque([parcel])
            era = self._era
        threading.Thread(target=self._work, args=(parcel.room_sid, era), daemon=True).start()

    def release(self) -> None:
        """Send what `reorder` still holds back."""
        with self._lock:
            held, self._held = self._held, {}
        for parcel in held.values():
            threading.Thread(target=self._deliver, args=(parcel, self._era), daemon=True).start()

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

    def _work(self, room_sid: str, era: threading.Event) -> None:
        while parcel := self._next(room_sid, era):
            for due in self._due(parcel):
                self._deliver(due, era)

    def _next(self, room_sid: str, era: threading.Event) -> Parcel | None:
        with self._lock:
            if era.is_set():
                return None
            if self._waiting[room_sid]:
                return self._waiting[room_sid].popleft()
            del self._waiting[room_sid]
            return None

    def _due(self, parcel: Parcel) -> list[Parcel]:
        with self._lock:
            held = self._held.pop(parcel.room_sid, None)
            if held:
                return [parcel, held]
            if self._faults.take("flex", ("reorder",), event=parcel.event):
                self._held[parcel.room_sid] = parcel
                return []
            return [parcel]

    def _deliver(self, parcel: Parcel, era: threading.Event) -> None:
        if self._faults.take("flex", ("drop",), event=parcel.event):
            self._note(parcel, 0, Outcome(None, "The sandbox was told to drop it"))
            return
        times = 2 if self._faults.take("flex", ("duplicate",), event=parcel.event) else 1
        for _ in range(times):
            self._try_until_settled(parcel, era)

    def _try_until_settled(self, parcel: Parcel, era: threading.Event) -> None:
        for number in range(parcel.hook.retries + 1):
            outcome = self._try(parcel, number)
            if era.is_set():
                return
            self._note(parcel, number, outcome)
            if not outcome.is_retried:
                break
            if number < parcel.hook.retries and era.wait(FIRST_PAUSE_SECONDS * 2**number):
                return
        if parcel.message_sid:
            self._memory.note_delivery(parcel.message_sid, "failed" if outcome.error else "sent", outcome.error)

    def _note(self, parcel: Parcel, number: int, outcome: Outcome) -> None:
        attempt: Json = {
            "room_sid": parcel.room_sid,
            "webhook_sid": parcel.hook.sid,
            "url": parcel.hook.url,
            "event": parcel.event,
            "body": parcel.body | {"RetryCount": str(number)},
            "status": outcome.status,
            "error": outcome.error,
        }
        self._memory.note_attempt(attempt)

    def _try(self, parcel: Parcel, number: int) -> Outcome:
        body = parcel.body | {"RetryCount": str(number)}
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.send(
                    session.prepare_request(self._request(parcel.hook, body)),
                    timeout=PATIENCE_SECONDS,
                    allow_redirects=False,
                )
        except requests.Timeout:
            return Outcome(None, f"The gateway did not answer within {PATIENCE_SECONDS:g} seconds")
        except requests.RequestException:
            return Outcome(None, "The gateway could not be reached")
        status = response.status_code
        return Outcome(status, None if status in GOOD else f"The gateway answered {status}")

    def _request(self, hook: Hook, body: dict[str, str]) -> requests.Request:
        """A form, or with method GET a query; the signature covers the URL and the fields of the form."""
        url, form = hook.url, body
        if hook.method == "GET":
            url, form = f"{url}{'&' if '?' in url else '?'}{urlencode(body)}", {}
        signature = self._validator.compute_signature(url, form)
        return requests.Request(hook.method, url, data=form, headers={"X-Twilio-Signature": signature})
