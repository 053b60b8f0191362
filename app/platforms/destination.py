"""What every destination adapter is: `deliver`, its tables, and what it may add.

A verb that a platform cannot do is one that its adapter does not have; see `app.platforms.channel`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from marshmallow import Schema, fields, validate
from msgspec import Struct, field

from app.core.age import LATE_TEXT, check_text
from app.core.events import Accepted, Answer, Event, Polled, Reply, Webhook
from app.core.message import Content, Message, derived_id
from app.core.render import Capabilities
from app.core.session import Session
from app.core.settings import PlatformSchema, seconds_or_none
from app.http import Http

ONE_DAY = 86_400.0
UNAVAILABLE = "Sorry, nobody can take over at the moment. Please go on writing here."

Remember = Callable[[Mapping[str, Any], Sequence[str]], None]
"""Keeps progress and aliases at once: `remember({"chat": sid}, [sid])`. After a crash the next try gets the progress.
An alias is a name under which the destination's webhooks will speak of this conversation."""


class Keep(Protocol):
    def __call__(self, handles: Mapping[str, Any], *, seen: int | None = None) -> None:
        """Write the session's handles at once: what stands on the platform's side must outlive this piece of work. A
        `chat` among them becomes an alias; `seen` is the number of its last message that the customer needs not get."""


class Delivery(Struct, frozen=True):
    """One content of a customer's message, bound for the destination.

    `first`: the session begins with it. `target_task`: the bot task that the channel or the message asks for.
    `uncertain`: an earlier try may have been carried out. `progress` is what an earlier try remembered. `history` is
    what was said before it in this session, oldest first, for who asks for it (see `WantsHistory`). `written_at` is
    when it was written (Unix ms), if it comes late (else 0), for who tells that (see `Destination`).
    """

    message: Message
    content: Content
    session: Session
    remember: Remember
    keep: Keep
    part: int = 0
    first: bool = False
    target_task: str | None = None
    uncertain: bool = False
    progress: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Message] = ()
    written_at: int = 0

    @property
    def id(self) -> str:
        """Stable over retries; the message's own id for the first part."""
        return self.message.id if self.part == 0 else derived_id(self.message.id, self.part)


class Handoff(Struct, frozen=True):
    """A conversation that comes from a bot: what was said so far, oldest first; what the bot knew is the session's
    context."""

    conversation: str
    session: Session
    transcript: Sequence[Message]
    remember: Remember
    keep: Keep
    uncertain: bool = False
    progress: Mapping[str, Any] = field(default_factory=dict)


Late = Literal["send", "drop", "people"]
"""What happens to an answer that comes late: it is sent all the same, dropped, or dropped and the conversation handed
over."""

Who = Literal["customer", "silence", "platform", "dead_end"]
"""Whose doing an end is: the customer's channel said so, nobody wrote for too long, it was ended over there, or what is
written can no longer be brought there."""


class DestinationSchema(PlatformSchema):
    """Keys of every destination. `unavailable` is what the customer reads when a conversation that was handed over here
    goes back to who answered first, because it cannot be brought here; '' = nothing. A session here is over after
    `session_timeout` seconds of silence. What a customer writes within `burst` seconds after their last message is
    asked with that as one question, where a bot answers (0: each message is a question). A message that comes here more
    than `late_after` seconds after it was written says so by `late_text` (0: none does; see `app.core.age`)."""

    unavailable = fields.String(load_default=UNAVAILABLE, validate=validate.Length(max=1_000))
    session_timeout = fields.Float(load_default=ONE_DAY, validate=validate.Range(1))
    burst = fields.Float(load_default=0.0, validate=validate.Range(0, 30))
    late_after = fields.Float(load_default=0.0, validate=seconds_or_none)
    late_text = fields.String(load_default=LATE_TEXT, validate=[validate.Length(1, 200), check_text])


class Destination(Protocol):
    """A configured place where customers are answered; adapters are subclasses, made from a name and the table's
    values.

    `Settings` is the schema of its table, made from `DestinationSchema`.

    What the others say is so unless the class says otherwise. `calls`: at most so many in a row, each within the
    time-out, before progress is kept or the work is done. `deadline` (seconds; None: none) and `late` say when an
    answer is late and what happens to it then. `asks_together`: a bot, which may be asked several
    messages as one question, joined by line breaks, of at most `longest_question` (in the unit of its capabilities;
    None: any length). `tells_age`: it has a place for when a late message was written; for others, the words begin with
    a mark. `repeats_for` and `spools` as in `app.platforms.channel.Channel`.
    """

    Settings: ClassVar[type[Schema]]
    name: str
    capabilities: Capabilities
    calls: int = 1
    deadline: float | None = None
    late: Late = "send"
    asks_together: bool = False
    longest_question: int | None = None
    tells_age: bool = False
    repeats_for: float = 0.0
    spools: bool = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name

    @abstractmethod
    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        """Bring one content, which the capabilities allow, there; the answer may carry replies. Raises: Failure."""


@runtime_checkable
class CallsUs(Protocol):
    """A destination whose platform sends webhooks to `/destinations/NAME`. The verbs are those of a channel."""

    def verify(self, webhook: Webhook) -> None:
        """Go by the raw bytes. Raises: Unverified, unless the platform sent this."""

    def parse(self, webhook: Webhook) -> list[Event]:
        """What the webhook says. Something that the platform may send and we cannot use is Ignored, never an error.

        Raises:
            BadWebhook: what identifies or makes a message is missing, or breaks a rule.
        """

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        """What the platform wants to hear once all events are recorded, one `Accepted` for each event in order."""


@runtime_checkable
class Refuses(Protocol):
    """A destination whose platform wants to hear in its own way that a webhook was not taken."""

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        """The answer to a webhook that we would refuse with this status of HTTP."""


@runtime_checkable
class TakesOver(Protocol):
    """A destination that is told when a bot hands a conversation over to it; any other one hears of the customer's next
    message."""

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Begin the session, and show what was said so far. Raises: Failure."""


@runtime_checkable
class OpensThreads(TakesOver, Protocol):
    """A destination that opens something for a conversation, which stands until it is closed: a chat, a ticket.

    Its handle is `chat` in the session's handles. It is asked every `poll_every` seconds what webhooks did not tell.
    `farewell` is what the customer is told when a session here ends, unless they ended it; None: nothing.
    """

    poll_every: float
    farewell: str | None

    def poll(self, session: Session, seen: int | None, http: Http) -> Polled:
        """What stands in the session's thread behind number `seen` (None: nobody knows any more what the customer got,
        so nothing is carried over), what was read, whether it is over. Raises: Failure."""

    def close(self, session: Session, who: Who, http: Http) -> None:
        """The session is over: close what it has open there, so that nobody waits in it or writes into the void.
        Raises: Failure."""

    def abandon(self, session: Session, http: Http) -> bool:
        """A message was given up that should perhaps have opened the thread: take it down if it stands half, and say
        so. Raises: Failure."""


@runtime_checkable
class Records(Protocol):
    """A destination whose answers may name a call to record (`Answer.record`)."""

    def record(self, call: str, uncertain: bool, http: Http) -> bool:
        """Have the call with this sid recorded. False: it cannot be any more, or need not be, and nobody has to mend
        that. Raises: Failure.

        Args:
            uncertain: an earlier try may have started the recording; no second one is.
        """


@runtime_checkable
class WantsHistory(Protocol):
    """A destination that keeps no memory of a conversation: each delivery brings along (as `history`) at most so many
    messages that were said before in this session, by whom ever."""

    history: int


class RestAccess(Struct, frozen=True):
    """How an application gets in by REST: `logins` are pairs of user name and password; it sends from `address`, which
    belongs to the pool `service`, if to any."""

    account: str
    address: str
    logins: frozenset[tuple[str, str]]
    service: str | None = None


@runtime_checkable
class SendsByRest(Protocol):
    """A destination whose application may also send through our own REST (`app.web.rest`)."""

    rest: RestAccess
