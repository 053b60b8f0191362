"""What a webhook says once an adapter has read it, and what an adapter answers after it sent something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct, field

from app.core.consent import State
from app.core.message import Author, Content, Message, Profile
from app.core.shown import shown
from app.core.status import Status


class Webhook(Struct, frozen=True):
    """A request as it came: `url` is the public one that the platform called, `headers` have lower-case names."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return shown(self, "headers")  # credentials stand there

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.url.partition("?")[2], keep_blank_values=True))


class Reply(Struct, frozen=True):
    """The answer to a webhook: `body` is sent as JSON unless it is a string or bytes."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class File(Struct, frozen=True):
    """A file of a platform, written out to be shown behind a link of ours; `mime_type` as the platform says."""

    mime_type: str


class Written(Struct, frozen=True):
    """Somebody wrote: the customer (webhook of a channel) or who answers them (webhook of a destination).

    A channel names the `customer` by address. A destination names the `conversation` by its key, or an `alias` that an
    earlier delivery remembered; if there is none, `customer` is the bare identifier of somebody whom it may write to
    first. Where `external_id` is missing, equal contents within `window` seconds count as one. `index` is the message's
    number in the thread `alias`, where the platform counts; with `more`, parts of the same number follow. `identity` is
    the name under which a destination's platform knows the writer: a customer's own words that come back are dropped.
    `token` names the webhook that brought it, where a platform sends one again under other ids. `part` counts what a
    platform's one message was taken apart into; it costs something once. `aliases` are other addresses of the same
    customer that the webhook names.
    """

    content: Content
    external_id: str | None = None
    customer: str | None = None
    conversation: str | None = None
    alias: str | None = None
    author: Author = "customer"
    window: float | None = None
    profile: Profile | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    index: int | None = None
    more: bool = False
    identity: str | None = None
    token: str | None = None
    part: int = 0
    aliases: tuple[str, ...] = ()


class Reported(Struct, frozen=True):
    """A platform reports what became of a message that we gave it; `ref` is our id or the platform's own.

    `customer` limits the report to that customer's conversation, where the platform's own accounts are not all trusted.
    """

    ref: str
    status: Status
    error: str | None = None
    customer: str | None = None


TYPING_LASTS = 10_000  # ms after which a hint that somebody types is no longer true


class Typing(Struct, frozen=True):
    """Somebody is typing. A hint: may be lost, is never retried."""

    customer: str | None = None
    conversation: str | None = None
    alias: str | None = None


class Ended(Struct, frozen=True):
    """The conversation's session is over; the next message begins with the channel's first destination again.

    `external_id` tells a repeated webhook from a second end. A destination that names a thread by `alias` ends only the
    session that has this thread.
    """

    external_id: str | None = None
    customer: str | None = None
    conversation: str | None = None
    alias: str | None = None


class Opted(Struct, frozen=True):
    """A channel's platform says that a customer wants no messages (`out`), as by blocking us, or wants them again."""

    customer: str
    state: State


class Changed(Struct, frozen=True):
    """A destination's thread changed. With `index`: by a message that needs nothing from us, a step in the counting.
    Without: in a way that only asking its platform tells."""

    alias: str
    index: int | None = None


class Ignored(Struct, frozen=True):
    """Something that the platform may send and we have no use for; acknowledged and counted under `kind`."""

    kind: str


Event = Written | Reported | Typing | Ended | Opted | Changed | Ignored


class Accepted(Struct, frozen=True):
    """What became of one event: `message_id` is ours (None for events that are no messages)."""

    event: Event
    message_id: str | None = None
    duplicate: bool = False

    def as_dict(self) -> dict[str, Any]:
        """One line of the answer that Patchbay's own channels give: the sender's id, ours, and whether we had it."""
        match self.event:
            case Written(external_id=external_id):
                return {"id": external_id, "message_id": self.message_id, "duplicate": self.duplicate}
            case Reported(ref=ref, status=status):
                return {"message_id": ref, "status": status}
            case Ignored(kind=kind):
                return {"ignored": kind}
            case other:
                return {"event": type(other).__name__.lower()}


class Receipt(Struct, frozen=True):
    """A platform took a message: its id there, and the status that its answer proves."""

    external_id: str | None = None
    status: Status = "sent"


class Said(Struct, frozen=True):
    """A reply with what goes along: `metadata` of the message that it becomes, and `to`, the address of somebody else
    than the customer who wrote. `part`: the next one that is none speaks for it, too."""

    content: Content
    metadata: Mapping[str, Any] = field(default_factory=dict)
    to: str | None = None
    part: bool = False

    def speaking_for(self, parts: Sequence[str]) -> Mapping[str, Any]:
        """Its metadata, with the ids of the parts before it."""
        return {**self.metadata, "parts": list(parts)} if parts and not self.part else self.metadata


class Answer(Struct, frozen=True):
    """What a destination said to a delivery.

    `replies` go to the customer in order; `unsupported` names what it asked for beside them and nobody can do.
    `handles` replaces what the session remembers of the destination (None: no change). `handoff` moves the session to
    the channel's people, `end` closes it; `memory` goes along with a handoff. `over`: the thread was over before, so
    nobody there reads the message; it is for whoever comes next. `record` is the sid of a call that is to be recorded.
    `spent`: nanos of the configured currency that this answer cost there, in the place of the price of a turn.
    """

    receipt: Receipt = Receipt()
    replies: tuple[Content | Said, ...] = ()
    unsupported: tuple[str, ...] = ()
    handles: Mapping[str, Any] | None = None
    handoff: bool = False
    end: bool = False
    over: bool = False
    memory: Mapping[str, Any] = field(default_factory=dict)
    record: str | None = None
    spent: int | None = None


class Polled(Struct, frozen=True):
    """What a poll of a destination's thread found.

    `written` came from there and was not seen before, oldest first; `seen` is the number of the last message that was
    looked at, `read` of the last one of the customer's that people have read (-1: none). `over`: it has ended.
    """

    written: tuple[Written, ...] = ()
    seen: int = -1
    read: int = -1
    over: bool = False


class StatusReport(Struct, frozen=True):
    """A change of one message's status, on its way to the platform that the message came from.

    `handles` are those of the conversation's session now, `uncertain`: an earlier try may have been carried out.
    """

    message: Message
    status: Status
    error: str | None = None
    at: int = 0
    handles: Mapping[str, Any] = field(default_factory=dict)
    uncertain: bool = False
