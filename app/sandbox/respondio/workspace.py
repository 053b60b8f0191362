"""What the respond.io stand-in remembers: contacts, their messages in order, and what was done wrongly.

Messages and contacts are frozen and replaced; one condition guards them all. `version` grows with every
change, so that a page which polls knows when to look again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from app.sandbox.checks import Json

# A status may not follow one that stands further right; proof of delivery outranks a failure.
CLIMB = ("queued", "sent", "failed", "delivered", "read")
# A report may overtake the answer to the outgoing call that gives its mId away.
OVERTAKING_SECONDS = 2.0


@dataclass(frozen=True)
class Message:
    """One message of a conversation. `author` is customer, agent or bot; only the agent's have a status."""

    sequence: int
    contact_id: str
    author: str
    content: Json
    timestamp: int
    m_id: str | None = None
    status: str | None = None
    error: str | None = None
    repeats: int = 0

    def as_json(self) -> Json:
        return {
            "sequence": self.sequence,
            "mId": self.m_id,
            "author": self.author,
            "direction": "inbound" if self.author == "customer" else "outbound",
            "status": self.status,
            "error": self.error,
            "timestamp": self.timestamp,
            "repeats": self.repeats,
            "message": self.content,
        }


@dataclass(frozen=True)
class Contact:
    contact_id: str
    profile: Json = field(default_factory=dict)
    unread: int = 0
    changed: int = 0

    def as_json(self) -> Json:
        return {"contactId": self.contact_id, "contact": self.profile, "unread": self.unread}


class Workspace:
    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._in_flight = 0
        # Both go on over a reset: an answer that comes late must not meet a new message's number.
        self.version = 0
        self._last_sequence = 0
        self.reset()

    def reset(self) -> None:
        with self._changed:
            self._contacts: dict[str, Contact] = {}
            self._messages: dict[int, Message] = {}
            self._given: dict[str, list[int]] = {}
            self._seen: dict[str, int] = {}
            self._records: dict[str, list[Json]] = {
                name: [] for name in ("outgoing", "echoes", "statuses", "repeats", "violations", "refused")
            }
            self.version += 1

    def keep(self, name: str, entry: Json) -> None:
        """Add to one of the records that `inspect` shows."""
        with self._changed:
            self._records[name].append(entry)

    def violate(self, kind: str, contact_id: str, m_id: str, **detail: object) -> None:
        """Record something the gateway must not do."""
        self.keep("violations", {"kind": kind, "contactId": contact_id, "mId": m_id, **detail})

    def welcome(self, contact_id: str, profile: Json | None = None) -> None:
        """Know this contact, and fill in what its profile now says."""
        with self._changed:
            known = self._contacts.get(contact_id)
            contact = known or Contact(contact_id)
            contact = replace(contact, profile=contact.profile | (profile or {}))
            if contact != known:
                self._put(contact)

    def knows(self, contact_id: str) -> bool:
        with self._changed:
            return contact_id in self._contacts

    def receive(self, contact_id: str, author: str, event: Json) -> None:
        """A message or an echo; one whose mId was seen before is the same message and is shown once."""
        with self._changed:
            m_id, content = str(event["mId"]), dict(event["message"])  # type: ignore[call-overload]  # checked
            sequence = self._seen.get(m_id)
            if m_id in self._given:
                self.violate("echo_of_outgoing", contact_id, m_id)
            elif sequence is not None:
                self._repeat(self._messages[sequence], contact_id, author, content)
            else:
                self._show(contact_id, author, m_id, content, int(str(event["timestamp"])))

    def write(self, contact_id: str, content: Json) -> Message:
        """The agent's own message, not yet handed to the gateway."""
        with self._changed:
            now = int(time.time() * 1000)
            message = Message(self._next(), contact_id, "agent", content, now, status="queued")
            self._replace(message)
            return message

    def answered(self, sequence: int, m_ids: list[str], error: str | None) -> None:
        """What the gateway said to an outgoing call: ids it gave, or why it refused."""
        with self._changed:
            message = self._messages.get(sequence)
            if message is None:
                return
            for m_id in m_ids:
                self._given.setdefault(m_id, []).append(sequence)
            refused = error is not None and not m_ids
            changes: Json = {"status": "failed", "error": error} if refused else {"m_id": m_ids[0]}
            self._replace(replace(message, **changes))  # type: ignore[arg-type]  # names of fields
            self._changed.notify_all()

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """While an outgoing call runs, a report about an unknown mId waits a little for its answer."""
        with self._changed:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def was_given(self, contact_id: str, m_id: str) -> bool:
        """Whether the gateway answered this mId to a call for this contact."""
        with self._changed:
            self._changed.wait_for(lambda: m_id in self._given or not self._in_flight, OVERTAKING_SECONDS)
            given = (self._messages[sequence] for sequence in self._given.get(m_id, ()))
            return any(message.contact_id == contact_id for message in given)

    def report(self, contact_id: str, m_id: str, status: str, reason: str | None) -> None:
        """A status of the agent's message; it only climbs, and one that does not is a violation."""
        with self._changed:
            self.keep("statuses", {"contactId": contact_id, "mId": m_id, "value": status, "message": reason})
            for sequence in self._given[m_id]:
                message = self._messages[sequence]
                if CLIMB.index(status) < CLIMB.index(message.status or "queued"):
                    self.violate("status_fell", contact_id, m_id, was=message.status, value=status)
                else:
                    self._replace(replace(message, status=status, error=reason))

    def read(self, contact_id: str) -> None:
        with self._changed:
            contact = self._contacts[contact_id]
            if contact.unread:
                self.version += 1
                self._contacts[contact_id] = replace(contact, unread=0)

    def message(self, sequence: int) -> Message:
        with self._changed:
            return self._messages[sequence]

    def messages(self, contact_id: str) -> list[Message]:
        with self._changed:
            return [message for message in self._messages.values() if message.contact_id == contact_id]

    def contacts(self) -> list[Contact]:
        """Newest first."""
        with self._changed:
            return sorted(self._contacts.values(), key=lambda contact: -contact.changed)

    def inspect(self) -> Json:
        with self._changed:
            messages: dict[str, list[Json]] = {contact_id: [] for contact_id in self._contacts}
            for message in self._messages.values():
                messages[message.contact_id].append(message.as_json())
            contacts = [contact.as_json() | {"messages": messages[contact.contact_id]} for contact in self.contacts()]
            return {"contacts": contacts, **{name: list(entries) for name, entries in self._records.items()}}

    def _show(self, contact_id: str, author: str, m_id: str, content: Json, timestamp: int) -> None:
        message = Message(self._next(), contact_id, author, content, timestamp, m_id)
        self._seen[m_id] = message.sequence
        self._replace(message)
        if author == "bot":
            self.keep("echoes", {"contactId": contact_id, "mId": m_id, "message": content})
        else:
            contact = self._contacts[contact_id]
            self._put(replace(contact, unread=contact.unread + 1))

    def _repeat(self, message: Message, contact_id: str, author: str, content: Json) -> None:
        self._replace(replace(message, repeats=message.repeats + 1))
        self.keep("repeats", {"contactId": contact_id, "mId": message.m_id})
        if (message.contact_id, message.author, message.content) != (contact_id, author, content):
            self.violate("mid_reused", contact_id, str(message.m_id))

    def _next(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    def _replace(self, message: Message) -> None:
        is_new = message.sequence not in self._messages
        self._messages[message.sequence] = message
        self.version += 1
        if is_new:
            self._put(self._contacts[message.contact_id])

    def _put(self, contact: Contact) -> None:
        self.version += 1
        self._contacts[contact.contact_id] = replace(contact, changed=self.version)
