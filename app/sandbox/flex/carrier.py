"""How a webhook of Flex goes out: five seconds' patience, tried again on few answers only."""

import threading
from dataclasses import dataclass
from urllib.parse import urlencode

import requests

from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import Hook
from app.sandbox.twilio.deliveries import DROPPED, GOOD, UNREACHED, Webhook, send_signed

PATIENCE_SECONDS = 5.0
# Twilio's own pauses are not documented; the sandbox does not want to wait long.
FIRST_PAUSE_SECONDS = 0.3
RETRIED = (429, 503, 504)


@dataclass(frozen=True)
class Parcel(Webhook):
    """One event for one webhook; `key` is the sid of the room."""

    hook: Hook
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


class Carrier:
    def __init__(self, auth_token: str, memory: FlexMemory) -> None:
        self._auth_token = auth_token
        self._memory = memory

    def carry(self, parcel: Parcel, over: threading.Event) -> None:
        for number in range(parcel.hook.retries + 1):
            outcome = self._try(parcel, number)
            if over.is_set():
                return
            self._note(parcel, number, outcome)
            if not outcome.is_retried:
                break
            if number < parcel.hook.retries and over.wait(FIRST_PAUSE_SECONDS * 2**number):
                return
        if parcel.message_sid:
            self._memory.note_delivery(parcel.message_sid, "failed" if outcome.error else "sent", outcome.error)

    def drop(self, parcel: Parcel) -> None:
        self._note(parcel, 0, Outcome(None, DROPPED))

    def _note(self, parcel: Parcel, number: int, outcome: Outcome) -> None:
        self._memory.keep(
            "attempts",
            {
                "room_sid": parcel.key,
                "webhook_sid": parcel.hook.sid,
                "url": parcel.hook.url,
                "event": parcel.event,
                "body": parcel.body | {"RetryCount": str(number)},
                "status": outcome.status,
                "error": outcome.error,
            },
        )

    def _try(self, parcel: Parcel, number: int) -> Outcome:
        request = _request(parcel.hook, parcel.body | {"RetryCount": str(number)})
        try:
            status = send_signed(self._auth_token, request, PATIENCE_SECONDS).status_code
        except requests.Timeout:
            return Outcome(None, f"The gateway did not answer within {PATIENCE_SECONDS:g} seconds")
        except requests.RequestException:
            return Outcome(None, UNREACHED)
        return Outcome(status, None if status in GOOD else f"The gateway answered {status}")


def _request(hook: Hook, body: dict[str, str]) -> requests.Request:
    """A form, or with method GET a query."""
    if hook.method == "GET":
        return requests.Request("GET", f"{hook.url}{'&' if '?' in hook.url else '?'}{urlencode(body)}")
    return requests.Request(hook.method, hook.url, data=body)
