"""What waits in a mailbox (items), the right to work on one (a claim), and what became of that (an outcome).

Mailboxes hold items as text, `tag words`; `TAGS` are the tags of all kinds, and here alone items are written and read.
Whatever is read is written again as it was: what this version does not know stays `Unknown`, untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast, get_args

import orjson
from msgspec import Struct, field

from app.core.costs import Cost
from app.core.lane import WELL, LaneEffect
from app.core.message import Message
from app.core.session import Session
from app.core.status import STATUSES, Status


class Deliver(Struct, frozen=True):
    """Bring a message to who answers, or to the customer."""

    message_id: str


class Handoff(Struct, frozen=True):
    """Tell people that they have the conversation now. `again`: it was a dead letter, so it may have gone on."""

    again: bool = False


class LostHandoff(Struct, frozen=True):
    """Lead a conversation back whose handoff was given up."""


class Poll(Struct, frozen=True):
    """Ask the destination what stands in the conversation's thread."""


EndedBy = Literal["customer", "platform", "silence"]
_ENDED_BY = get_args(EndedBy)


class End(Struct, frozen=True):
    """The session is over; one that the platform ended, only if it still has this `thread` ('': any)."""

    by: EndedBy = "customer"
    thread: str = ""


class TellEnd(Struct, frozen=True):
    """Tell the customer's channel that the session is over."""

    event_id: str


class Typing(Struct, frozen=True):
    """Show the customer that somebody types; `at` (Unix ms) they did."""

    at: int


class Report(Struct, frozen=True):
    """Tell where a message came from what became of it."""

    message_id: str
    status: Status


class Close(Struct, frozen=True):
    """Take down what a session that is over has open at its destination; `by` says whose doing that is."""

    by: str
    handles: Mapping[str, Any]


class Record(Struct, frozen=True):
    """Have the call with this sid recorded."""

    call: str


class AskPrice(Struct, frozen=True):
    """Ask a channel's platform what it charged for a message."""

    message_id: str


class Unknown(Struct, frozen=True):
    """What another version wrote. It becomes a dead letter as it is, which that version can replay."""

    text: str


Item = Deliver | Handoff | LostHandoff | Poll | End | TellEnd | Typing | Report | Close | Record | AskPrice | Unknown
TAGS: Mapping[type[Item], str] = {
    Deliver: "message",
    Handoff: "handoff",
    LostHandoff: "lost",
    Poll: "check",
    End: "ended",
    TellEnd: "ended",
    Typing: "typing",
    Report: "status",
    Close: "close",
    Record: "record",
    AskPrice: "price",
}
"""The first word of each kind's text. The scripts in `app/store/scripts` know some of them, too."""


def item_text(item: Item) -> str:
    """An item as it stands in its mailbox."""
    return _WRITERS[type(item)](item)


def item_of(text: str) -> Item:
    """The inverse of `item_text`."""
    tag, _, words = text.partition(" ")
    try:
        item = _READERS[tag](words)
        return item if item_text(item) == text else Unknown(text)
    except (KeyError, TypeError, ValueError):
        return Unknown(text)


def _ended(words: str) -> Item:
    by, _, thread = words.partition(" ")
    if by in _ENDED_BY:
        return End(cast("EndedBy", by), thread)
    return TellEnd(words) if words else End()


def _ending(item: End) -> str:
    words = (TAGS[End], "" if item.by == "customer" and not item.thread else item.by, item.thread)
    return " ".join(filter(None, words))


_WRITERS: Mapping[type[Item], Callable[[Any], str]] = {
    Deliver: lambda item: f"{TAGS[Deliver]} {item.message_id}",
    Handoff: lambda item: f"{TAGS[Handoff]} again" if item.again else TAGS[Handoff],
    LostHandoff: lambda item: f"{TAGS[LostHandoff]} handoff",
    Poll: lambda item: TAGS[Poll],
    End: _ending,
    TellEnd: lambda item: f"{TAGS[TellEnd]} {item.event_id}",
    Typing: lambda item: f"{TAGS[Typing]} @{item.at}",
    Report: lambda item: f"{TAGS[Report]} {item.message_id} {item.status}",
    Close: lambda item: f"{TAGS[Close]} {item.by} {orjson.dumps(dict(item.handles)).decode()}",
    Record: lambda item: f"{TAGS[Record]} {item.call}",
    AskPrice: lambda item: f"{TAGS[AskPrice]} {item.message_id}",
    Unknown: lambda item: item.text,
}

_READERS: Mapping[str, Callable[[str], Item]] = {
    TAGS[Deliver]: Deliver,
    TAGS[Handoff]: lambda words: Handoff(again=bool(words)),
    TAGS[LostHandoff]: lambda words: LostHandoff(),
    TAGS[Poll]: lambda words: Poll(),
    TAGS[End]: _ended,
    TAGS[Typing]: lambda words: Typing(int(words.removeprefix("@"))),
    TAGS[Report]: lambda words: Report(words.partition(" ")[0], STATUSES[STATUSES.index(words.partition(" ")[2])]),
    TAGS[Close]: lambda words: Close(words.partition(" ")[0], orjson.loads(words.partition(" ")[2])),
    TAGS[Record]: Record,
    TAGS[AskPrice]: AskPrice,
}


class Append(Struct, frozen=True):
    """A message for a mailbox. `report_to` names who hears of its status; `live` shows it in the customer's stream.
    `scope` is its external id with its name space, where a webhook may bring the same message. `exempt`: it goes to a
    customer who opted out, too, because it confirms just that. It has `waited` so many ms already, before it came to
    Redis. `bulk`: it waits while replies flow, in a mailbox of its own."""

    message: Message
    lane: str
    report_to: str = ""
    live: bool = False
    scope: str = ""
    exempt: bool = False
    waited: int = 0
    bulk: bool = False

    @property
    def mailbox(self) -> str:
        return mailbox_of(self.message.conversation, "bulk" if self.bulk else self.message.direction)


class AppendItem(Struct, frozen=True):
    """Something that is no message for a mailbox, once for each `scope` (a name with its name space, '' = always)."""

    mailbox: str
    lane: str
    item: Item
    scope: str = ""


class Wake(Struct, frozen=True):
    """A drain that is owed: publish it; if it gets lost, the sweep will owe another one."""

    lane: str
    token: str


class Claim(Struct, frozen=True):
    """The right to work one head: the item, what its message is and was, and how often it was tried.

    `attempt` counts this try (1, 2, ...). `uncertain`: an earlier try may have been carried out. `progress` is what an
    earlier try remembered. In Unix ms: `now` is Redis's clock, `first_at` when it was first claimed, `status_at` when
    its message last climbed. `to` is the address that the customer last wrote from, if they have several. `asked` are
    the ids of what is asked as one, the head first; empty: not decided. `damaged` says what was left out, and why.
    `turn` is that of its lane's pace. `suspect`: an earlier claim ended without a result, so it is tried alone.
    """

    mailbox: str
    owner: str
    item: Item
    conversation: str
    now: int
    attempt: int = 1
    uncertain: bool = False
    progress: Mapping[str, Any] = field(default_factory=dict)
    message: Message | None = None
    status: Status = "queued"
    error: str = ""
    first_at: int = 0
    status_at: int = 0
    session: Session | None = None
    to: str = ""
    asked: tuple[str, ...] = ()
    damaged: str = ""
    turn: int = 0
    suspect: bool = False


class ThreadState(Struct, frozen=True):
    """Up to which number a destination's thread was carried over to the customer (`seen`) and read by people (`read`).
    -1: not at all; `seen` is None where nobody knows."""

    name: str
    seen: int | None = -1
    read: int = -1


class Achieved(Struct, frozen=True, kw_only=True):
    """What an adapter has achieved in the middle of its work. `progress` is for the next try of this work alone (None:
    as it was), as are the ids of the messages that are `asked` as one, the head first; the others outlive it.
    `poll_in`: seconds until the thread is polled next (0: as it was)."""

    progress: Mapping[str, Any] | None = None
    asked: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    session: Session | None = None
    thread: ThreadState | None = None
    poll_in: float = 0.0


class SessionChange(Struct, frozen=True):
    """Written only if the session still is the one that was read."""

    session: Session
    changes_hands: bool = False


class _Outcome(Struct, frozen=True):
    name: ClassVar[str]
    claim: Claim


class _OfLane(_Outcome, frozen=True, kw_only=True):
    lane: LaneEffect = WELL


class _Final(_OfLane, frozen=True, kw_only=True):
    """The head leaves its mailbox. `front` goes before what waits there, `append` behind what waits in others. `thread`
    is how far the destination's thread is known now, `poll_in` the seconds until its next poll (0: no more, None: as it
    was)."""

    session: SessionChange | None = None
    thread: ThreadState | None = None
    poll_in: float | None = None
    front: tuple[Item, ...] = ()
    append: tuple[Append | AppendItem, ...] = ()


class Done(_Final, frozen=True, kw_only=True):
    """The work is done, though perhaps in vain: then `reason` and `error` say why.

    `status` is what the message comes to by it. `scope` is the external id that the platform gave, with its name space;
    `parts` are those of a message that went out in several, and has come as far as the one that is behind. `show` shows
    the message in the live stream, `event` something else. `cost` is booked for the message.
    """

    name: ClassVar[str] = "done"
    status: Status | None = None
    reason: str = ""
    error: str = ""
    scope: str = ""
    parts: tuple[str, ...] = ()
    show: bool = False
    event: str = ""
    cost: Cost | None = None


class Dead(_Final, frozen=True, kw_only=True):
    """Given up; it becomes a dead letter. `ambiguous`: only because what became of it is unknown."""

    name: ClassVar[str] = "dead"
    reason: str
    error: str = ""
    ambiguous: bool = False


class Retry(_OfLane, frozen=True, kw_only=True):
    """To be tried again in `due` seconds. `counts`: the try has spent an attempt. `uncertain`: it may have been carried
    out."""

    name: ClassVar[str] = "retry"
    reason: str = ""
    error: str = ""
    due: float = 0.0
    counts: bool = True
    uncertain: bool = False


class Reroute(_OfLane, frozen=True):
    """The mailbox goes on in the lane `to`."""

    name: ClassVar[str] = "reroute"
    to: str


class Behind(_OfLane, frozen=True):
    """What stands in `front` must be done first; the head was not tried now."""

    name: ClassVar[str] = "behind"
    front: tuple[Item, ...]


Outcome = Done | Retry | Dead | Reroute | Behind


def mailbox_of(conversation: str, direction: str) -> str:
    return f"{conversation}|{direction}"
