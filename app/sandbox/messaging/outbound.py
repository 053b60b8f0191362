"""Messages to customers: kept, then moved up the statuses one by one, each called back."""

import threading
import time
from collections.abc import Sequence

from app.sandbox.messaging.addresses import PREFIXES, SMS, WHATSAPP, mask
from app.sandbox.messaging.carrier import Parcel
from app.sandbox.messaging.fetch import NotFetched, fetch_media
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.records import REPLY, Message, Outcome
from app.sandbox.messaging.twiml import Said
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.records import new_sid, now

PAUSE_SECONDS = 0.05
FINAL = ("delivered", "read", "undelivered", "failed", "canceled")
OPTED_OUT = 21610
# Twilio's own sentences are longer and change; nobody should read them.
REASONS = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63018: "Rate limit exceeded for channel",
}


class Outbound:
    def __init__(self, settings: SandboxSettings, memory: MessagingMemory, deliveries: Deliveries[Parcel]) -> None:
        self._settings = settings
        self._memory = memory
        self._deliveries = deliveries
        self._climbing: set[str] = set()

    def send(self, message: Message) -> Message:
        """Keep it, and let it go its way; a scheduled one waits until it is canceled."""
        with self._memory.lock:
            self._memory.welcome(message.kind, message.to)
            self._memory.put(self._memory.messages, message)
            if message.status == "scheduled":
                return message
            self._climbing.add(message.sid)
        threading.Thread(target=self._climb, args=(message,), daemon=True).start()
        return message

    def reply(self, inbound: Message, said: Sequence[Said]) -> None:
        """What TwiML said in answer to a customer's message."""
        for one in said:
            message = Message(
                sid=new_sid("MM" if one.media_urls else "SM"),
                direction=REPLY,
                kind=inbound.kind,
                to=one.to or inbound.from_,
                from_=inbound.to,
                body=one.body,
                status="queued",
                num_media=len(one.media_urls),
                media_urls=one.media_urls,
                callback=one.callback,
            )
            self.send(message)

    def read(self, customer: str) -> None:
        """The customer sees what has arrived; channels say so."""
        with self._memory.lock:
            for message in self._memory.messages_with(customer):
                if not message.is_inbound and not message.is_seen and is_readable(message):
                    self._memory.change(self._memory.messages, message, is_seen=True)
                    if message.kind != SMS:
                        self._move(message.sid, "read")

    def cancel(self, message: Message) -> Message | None:
        """None if it is too late."""
        if message.status not in ("scheduled", "accepted", "queued"):
            return None
        return self._move(message.sid, "canceled")

    def idle(self) -> bool:
        return not self._climbing

    def reset(self) -> None:
        self._climbing.clear()

    def _climb(self, message: Message) -> None:
        outcome = self._outcome(message)
        self._move(message.sid, "queued")
        for status in _steps(outcome):
            time.sleep(PAUSE_SECONDS)
            if status == "sent" and not self._fetch(message):
                break
            is_last = status == outcome.status
            self._move(message.sid, status, *((outcome.error_code, outcome.error_message) if is_last else ()))
        with self._memory.lock:
            self._climbing.discard(message.sid)

    def _outcome(self, message: Message) -> Outcome:
        if self._memory.is_opted_out(message.kind, message.to):
            return Outcome("failed", OPTED_OUT, "Attempt to send to unsubscribed recipient")
        return self._memory.take_outcome(message.to) or Outcome("delivered")

    def _fetch(self, message: Message) -> bool:
        try:
            files = fetch_media(message)
        except NotFetched as problem:
            self._move(message.sid, "failed", problem.code, str(problem))
            return False
        with self._memory.lock:
            if message.sid in self._memory.messages:
                for media in files:
                    self._memory.put(self._memory.media, media)
        return True

    def _move(self, sid: str, status: str, code: int | None = None, reason: str | None = None) -> Message | None:
        """To the next status, and say so; nothing happens to one that has ended, or was forgotten."""
        with self._memory.lock:
            message = self._memory.messages.get(sid)
            if message is None or (message.status in FINAL and (message.status, status) != ("delivered", "read")):
                return None
            sent = message.sent or (now() if status == "sent" else None)
            reason = reason or (REASONS.get(code, "The sandbox was told to fail") if code else None)
            changes = {"status": status, "sent": sent, "error_code": code, "error_message": reason}
            message = self._memory.change(self._memory.messages, message, **changes)
            if message.callback:
                form = {name: value for name, value in self._form(message).items() if value is not None}
                self._deliveries.post(Parcel(sid, status, sid, message.callback, form))
            return message

    def _form(self, message: Message) -> dict[str, str | None]:
        common = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
            "From": message.from_,
            "To": message.to,
            "AccountSid": self._settings.twilio_account_sid,
            "ApiVersion": "2010-04-01",
            "MessagingServiceSid": message.service_sid,
            "ErrorCode": str(message.error_code) if message.error_code else None,
            "ErrorMessage": message.error_message,
        }
        if message.kind == SMS:
            return common
        customer = self._memory.customers.get(message.to)
        return common | {
            "ChannelPrefix": PREFIXES[message.kind].rstrip(":"),
            "ChannelInstallSid": "XE" + self._settings.twilio_account_sid[2:],
            "ChannelToAddress": mask(message.to),
            "StructuredMessage": "true" if message.content_sid else "false",
            "ExternalUserId": customer.external_id if customer and message.kind == WHATSAPP else None,
        }


def is_readable(message: Message) -> bool:
    """Whether it has arrived as far as anybody knows."""
    return message.status == "delivered" or (message.kind == SMS and message.status == "sent")


def _steps(outcome: Outcome) -> list[str]:
    """What comes after `queued`."""
    steps = {"failed": [], "sent": ["sent"], "undelivered": ["sent"], "delivered": ["sent"]}[outcome.status]
    return list(dict.fromkeys([*steps, outcome.status]))
