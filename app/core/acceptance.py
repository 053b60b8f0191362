"""What a webhook brings for a mailbox, and what became of it: the argument and the answer of `Mailboxes.accept`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from app.core.consent import State
from app.core.costs import Cost
from app.core.work import Append, Wake


class ConsentStatement(Struct, frozen=True):
    """What a customer says of their consent with a message (None: nothing new), and the answer that they get for it."""

    state: State | None
    by: str
    answer: Append | None = None


class Responder(Struct, frozen=True):
    """The destination that is active in the conversation; with `seize` it holds it from now on."""

    destination: str
    mode: str = "human"
    seize: bool = True


class Place(Struct, frozen=True):
    """A message's number in a destination's thread (`name`: both names); `lane` is where a gap is looked into. Without
    `index`: something else changed in that thread. With `more`, the number is done only with a later part."""

    name: str
    lane: str
    index: int | None = None
    more: bool = False


class Acceptance(Struct, frozen=True, kw_only=True):
    """A message that is to be recorded once, and all that comes to pass with it.

    `scope` is its external id with its name space ('' = none): the second one within `window` seconds (None: as for all
    of its sender's) is a duplicate, and so is one whose `second_scope` is known. With `follow` it goes to the lane of
    the session's destination, if there is a session. `show` shows it in the live stream at once. The messages in `more`
    stand behind it. `cost` is booked with it. `same_person` are the conversations that the customer's other addresses
    would have: from now on all of them are one.
    """

    entry: Append
    scope: str = ""
    second_scope: str = ""
    window: float | None = None
    follow: bool = False
    responder: Responder | None = None
    place: Place | None = None
    show: bool = False
    consent: ConsentStatement | None = None
    more: tuple[Append, ...] = ()
    cost: Cost | None = None
    same_person: tuple[str, ...] = ()


class Entered(Struct, frozen=True):
    """What became of an acceptance. `later`: there is a gap before the message; it was not recorded, but a poll of the
    thread that will find it was."""

    state: Literal["ok", "duplicate", "later", "mailbox_full", "lane_full"]
    message_id: str
    wakes: tuple[Wake, ...] = ()
