"""What every channel adapter is: four verbs and its tables. Time-outs, retries, redaction and logs live elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol, runtime_checkable

from marshmallow import fields
from msgspec import Struct

from app.core.costs import Price
from app.core.errors import Unverified
from app.core.events import Accepted, Event, File, Receipt, Reply, StatusReport, Webhook
from app.core.message import Content, Message, derived_id
from app.core.render import Capabilities
from app.core.settings import ChannelLimitsSchema, PlatformSchema
from app.http import Http
from app.platforms.consent import ConsentSchema


class Outgoing(Struct, frozen=True):
    """One content of a message to the customer. A message that the channel cannot carry in one piece has several parts.

    `uncertain`: an earlier try of this part may have been carried out.
    """

    message: Message
    content: Content
    part: int = 0
    uncertain: bool = False

    @property
    def id(self) -> str:
        """Stable over retries; the message's own id for the first part."""
        return self.message.id if self.part == 0 else derived_id(self.message.id, self.part)


class Channel(Protocol):
    """A configured account on a customer platform.

    `provider` is the first half of its customers' addresses; of several, that of customers whom it writes to first.
    `methods` are those of its webhooks. `calls`: at most so many in a row for one content. `answered` are the opt-out
    keywords that its platform answers by itself (see `app.core.consent.plain`). `repeats_for`: seconds for which its
    platform may send a webhook again that was not answered well; 0: for minutes at most. Every verb gets what it needs
    as arguments and keeps no state; `verify` raises Unverified, `parse` BadWebhook, the others Failure.
    """

    name: str
    provider: str
    capabilities: Capabilities
    methods: Sequence[str]
    calls: int
    answered: frozenset[str]
    repeats_for: float

    def verify(self, webhook: Webhook) -> None:
        """Raise Unverified unless the platform sent this, going by the raw bytes."""

    def parse(self, webhook: Webhook) -> list[Event]:
        """What the webhook says. Something that the platform may send and we cannot use is Ignored, never an error."""

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        """What the platform wants to hear once all events are recorded."""

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        """Bring one content to the customer."""

    def report(self, report: StatusReport, http: Http) -> None:
        """Tell the platform what became of the customer's own message."""

    def typing(self, customer: str, http: Http) -> None:
        """Show that somebody types."""

    def ended(self, customer: str, event_id: str, http: Http) -> None:
        """Tell the platform that the conversation's session is over. `event_id` stays the same over retries."""

    def check_link(self, token: str) -> str:
        """To which customer's file a link of ours leads whose end that is; the same for every spelling of the token.

        Raises:
            Unverified: it is none of ours, or not good any more.
        """

    def media(self, token: str, http: Http, into: BinaryIO) -> File | str:
        """Write the file behind a link of ours into `into`, or say where it is now.

        Raises:
            Unverified: the link is not good, or there is no such file any more.
            Failure: it cannot be had.
        """

    def price(self, external_id: str, http: Http) -> Price | None:
        """What the platform charged for a message with that id of its own, in either direction; None while it does not
        know, or never will."""


class Holder(Struct, frozen=True):
    """Who holds a token: a customer's address, and when the token was made, in Unix seconds."""

    customer: str
    made: float


@runtime_checkable
class GivesTokens(Protocol):
    """A channel that gives its customers tokens, which can be taken back before they end."""

    def holder(self, webhook: Webhook) -> Holder:
        """Whose token came with a webhook that was verified."""


@runtime_checkable
class KnowsSender(Protocol):
    """A channel that knows who wrote by the credentials alone."""

    def sender(self, webhook: Webhook) -> Mapping[str, str]:
        """Headers from which `parse` knows them again once the credentials are taken out of a webhook that was
        verified. Their names must be such as no request can have."""


class Usual:
    """Mixed into channels whose webhooks are POSTed, that make one call for a content, keep no files and tell no
    prices."""

    methods: Sequence[str] = ("POST",)
    calls = 1
    answered: frozenset[str] = frozenset()
    repeats_for = 0.0

    def check_link(self, token: str) -> str:
        raise Unverified("this channel has no files")

    def media(self, token: str, http: Http, into: BinaryIO) -> File | str:
        raise Unverified("this channel has no files")

    def price(self, external_id: str, http: Http) -> Price | None:
        return None


class ChannelSchema(PlatformSchema):
    """Keys of every channel: who answers first, who after a handoff, the bot task that begins a conversation, how often
    it may be called, and how customers opt out. Without a `consent` table those keywords count that the platform
    answers by itself, if any."""

    destination = fields.String(required=True)
    handoff = fields.String(load_default=None)
    target_task = fields.String(load_default=None)
    consent = fields.Nested(ConsentSchema, load_default=None)
    limits = fields.Nested(ChannelLimitsSchema, load_default=None)
