"""What every destination adapter is: the verbs of a channel from the other side, and its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from marshmallow import fields, validate
from msgspec import Struct, field

from app.core.errors import Unverified
from app.core.events import Accepted, Answer, Checkup, Event, Reply, StatusReport, Webhook
from app.core.message import Content, Message, derived_id
from app.core.render import Capabilities
from app.core.session import Session
from app.core.settings import PlatformSchema
from app.http import Http

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
    `uncertain`: an earlier try may have been carried out. `progress` is what an earlier try remembered.
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


Who = Literal["customer", "silence", "platform", "dead_end"]
"""Whose doing an end is: the customer's channel said so, nobody wrote for too long, it was ended over there, or what is
written can no longer be brought there."""


class DestinationSchema(PlatformSchema):
    """Keys of every destination. `unavailable` is what the customer reads when a conversation that was handed over here
    goes back to who answered first, because it cannot be brought here; '' = nothing."""

    unavailable = fields.String(load_default=UNAVAILABLE, validate=validate.Length(max=1_000))


class Destination(Protocol):
    """A configured place where customers are answered. `verify` raises Unverified, `parse` BadWebhook, others Failure.

    `calls`: at most so many in a row, each within the time-out, before progress is kept or the work is done.
    `session_timeout`: seconds of silence after which a session here is over. `deadline` (seconds) and `late` say when
    an answer is late and what happens to it then (`send`, `drop`, `people`). `watch`: seconds between two looks at an
    open chat, 0 where nothing is opened. `repeats_for`: seconds for which its platform may send a webhook again; 0: for
    minutes at most. `farewell`: what the customer is told when a session here ends, unless they ended it.
    """

    name: str
    capabilities: Capabilities
    calls: int
    session_timeout: float
    deadline: float | None
    late: str
    watch: float
    farewell: str | None
    repeats_for: float

    def verify(self, webhook: Webhook) -> None:
        """Raise Unverified unless the platform sent this, going by the raw bytes."""

    def parse(self, webhook: Webhook) -> list[Event]:
        """What the webhook says. Something that the platform may send and we cannot use is Ignored, never an error."""

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        """What the platform wants to hear once all events are recorded."""

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        """How the platform is told that its webhook was not taken."""

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        """Bring one content there; the answer may carry replies."""

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Begin a session that a bot hands over."""

    def report(self, report: StatusReport, http: Http) -> None:
        """Tell the platform what became of its message."""

    def check_link(self, token: str) -> str:
        """To which file, that a message showed, a link of ours leads whose end that is; the same for every spelling of
        the token.

        Raises:
            Unverified: it is none of ours, or not good any more.
        """

    def media(self, token: str, http: Http) -> str:
        """Where the file behind a link of ours is now.

        Raises:
            Unverified: the link is not good.
            Failure: nobody says.
        """

    def check(self, session: Session, seen: int | None, http: Http) -> Checkup:
        """Look at the session's chat: what stands there behind number `seen` (None: nobody knows any more what the
        customer got, so nothing is carried over), what was read, whether it is over."""

    def close(self, session: Session, who: Who, http: Http) -> None:
        """The session is over: close what it has open there, so that nobody waits in it or writes into the void."""

    def abandon(self, session: Session, http: Http) -> bool:
        """A message was given up that should perhaps have opened the chat: take it down if it stands half, and say
        so."""


@runtime_checkable
class Recorder(Protocol):
    """A destination whose answers may name a call to record (`Answer.record`)."""

    def record(self, call: str, uncertain: bool, http: Http) -> bool:
        """Have the call with this sid recorded. False: it cannot be any more, or need not be, and nobody has to mend
        that.

        Args:
            uncertain: an earlier try may have started the recording; no second one is.
        """


class Unopened:
    """Mixed into destinations that keep nothing open between two messages."""

    calls = 1
    watch = 0.0
    farewell: str | None = None
    repeats_for = 0.0

    def check_link(self, token: str) -> str:
        raise Unverified("this destination has no files")

    def media(self, token: str, http: Http) -> str:
        raise Unverified("this destination has no files")

    def check(self, session: Session, seen: int | None, http: Http) -> Checkup:
        return Checkup()

    def close(self, session: Session, who: Who, http: Http) -> None:
        pass

    def abandon(self, session: Session, http: Http) -> bool:
        return False


class AnswersAtOnce(Unopened):
    """Mixed into destinations that say all they have to say in their answers, and send no webhooks."""

    def verify(self, webhook: Webhook) -> None:
        raise Unverified("this destination answers at once and sends no webhooks")

    def parse(self, webhook: Webhook) -> list[Event]:
        return []

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(204)

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        return Reply(status, {"error": {"message": sentence}})
