"""What the application remembers: messages with its customers, and how far its own have come.

`version` grows with every change, so that the page, which polls, knows when to look again.
"""

import threading
import time
from dataclasses import asdict, dataclass, field

from app.sandbox.checks import Json

# Statuses may arrive twice, late or in another order: a message never goes back. One that failed may still arrive.
RANKS = {
    "accepted": 0, "scheduled": 0, "queued": 0, "sending": 0,
    "sent": 1,
    "failed": 2, "undelivered": 2, "canceled": 2,
    "delivered": 3,
    "read": 4,
}  # fmt: skip
INBOUND, REPLY, WRITTEN_FIRST = "inbound", "outbound-reply", "outbound-api"  # as Twilio's `direction` has them


@dataclass(frozen=True)
class Media:
    url: str
    content_type: str


@dataclass(frozen=True)
class Status:
    """A word of Twilio's; `error` is its code and sentence for a message that failed."""

    word: str
    error: str = ""


@dataclass(frozen=True)
class Message:
    """`key` is the sid, or a name of our own for answers in TwiML, whose sids are not told. `at`: Unix seconds."""

    key: str
    customer: str
    direction: str
    text: str
    media: tuple[Media, ...] = ()
    name: str = ""
    at: float = field(default_factory=time.time)


class Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.version = 0
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._messages: dict[str, Message] = {}
            self._statuses: dict[str, Status] = {}
            self.version += 1

    def add(self, message: Message) -> None:
        """A message that is told again is the same one."""
        with self._lock:
            if message.key not in self._messages:
                self._messages[message.key] = message
                self.version += 1

    def report(self, key: str, status: Status) -> None:
        """What became of a message, which may not be known yet: a webhook can be faster than an answer."""
        with self._lock:
            known = self._statuses.get(key)
            if known is None or RANKS[status.word] > RANKS[known.word]:
                self._statuses[key] = status
                self.version += 1

    def status(self, message: Message) -> Status:
        with self._lock:
            first = "received" if message.direction == INBOUND else "queued"
            return self._statuses.get(message.key, Status(first))

    def conversations(self) -> list[tuple[str, Message]]:
        """Each customer's name and last message, the newest first. A name is the last one that was told."""
        names: dict[str, str] = {}
        newest: dict[str, Message] = {}
        for message in self.messages():
            names[message.customer] = message.name or names.get(message.customer, "")
            newest.pop(message.customer, None)
            newest[message.customer] = message
        return [(names[customer], message) for customer, message in reversed(newest.items())]

    def messages(self, customer: str | None = None) -> list[Message]:
        with self._lock:
            return [message for message in self._messages.values() if customer in (None, message.customer)]

    def inspect(self) -> Json:
        return {"messages": [asdict(one) | {"status": asdict(self.status(one))} for one in self.messages()]}
