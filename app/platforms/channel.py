"""What every channel adapter is: four verbs, its tables, and what it may add.

A verb that a platform cannot do is one that its adapter does not have: the engine looks once, when the adapter is built
(see `app.platforms.offers`). Time-outs, retries, redaction and logs live elsewhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from marshmallow import Schema, fields, validate
from msgspec import Struct

from app.core.costs import Price
from app.core.events import Accepted, Event, Receipt, Reply, Webhook
from app.core.message import Content, Message, derived_id
from app.core.render import Capabilities
from app.core.settings import A_YEAR, ChannelLimitsSchema, PlatformSchema
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
    """A configured account on a customer platform; adapters are subclasses, made from a name and the table's values.

    `Settings` is the schema of its table, made from `ChannelSchema`. `provider` is the first half of its customers'
    addresses; of several, that of customers whom it writes to first.

    What the others say is so unless the class says otherwise. `methods` are those of its webhooks. `calls`: at most so
    many in a row for one content, each within the time-out. `answered` are the opt-out keywords that its platform
    answers by itself (see `app.core.consent.plain`). `repeats_for`: seconds for which its platform may send a webhook
    again that was not answered well; 0: for minutes at most. `spools`: its webhooks may be answered while Redis is
    away, and read when it is back. So the answer says nothing of what was recorded, and every message has an id.

    Every verb gets what it needs as arguments and keeps no state.
    """

    Settings: ClassVar[type[Schema]]
    name: str
    provider: str
    capabilities: Capabilities
    methods: Sequence[str] = ("POST",)
    calls: int = 1
    answered: frozenset[str] = frozenset()
    repeats_for: float = 0.0
    spools: bool = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name

    @abstractmethod
    def verify(self, webhook: Webhook) -> None:
        """Go by the raw bytes. Raises: Unverified, unless the platform sent this."""

    @abstractmethod
    def parse(self, webhook: Webhook) -> list[Event]:
        """What the webhook says. Something that the platform may send and we cannot use is Ignored, never an error.

        Raises:
            BadWebhook: what identifies or makes a message is missing, or breaks a rule.
        """

    @abstractmethod
    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        """What the platform wants to hear once all events are recorded, one `Accepted` for each event in order."""

    @abstractmethod
    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        """Bring one content, which the capabilities allow, to the customer. Raises: Failure."""


@runtime_checkable
class Types(Protocol):
    """A channel that can show that somebody types, where its capabilities say `typing`."""

    def typing(self, customer: str, http: Http) -> None:
        """Show it to the customer with that address. A hint: whatever it raises as Failure is passed over."""


@runtime_checkable
class Ends(Protocol):
    """A channel whose platform wants to know that a session is over."""

    def ended(self, customer: str, event_id: str, http: Http) -> None:
        """Tell it about the customer with that address. `event_id` stays the same over retries. Raises: Failure."""


@runtime_checkable
class TellsPrices(Protocol):
    """A channel whose platform says what it charged, where the table of costs wants to know (`reported`)."""

    def price(self, external_id: str, http: Http) -> Price | None:
        """What the platform charged for a message with that id of its own, in either direction; None while it does not
        know, or never will. Raises: Failure."""


class Holder(Struct, frozen=True):
    """Who holds a token: a customer's address, and when the token was made, in Unix seconds."""

    customer: str
    made: float


@runtime_checkable
class GivesTokens(Protocol):
    """A channel that gives its customers tokens, which can be taken back before they end."""

    def holder(self, webhook: Webhook) -> Holder:
        """Whose token came with a webhook. Raises: Unverified, none did."""


@runtime_checkable
class KnowsSender(Protocol):
    """A channel that knows who wrote by the credentials alone."""

    def sender(self, webhook: Webhook) -> Mapping[str, str]:
        """Headers from which `parse` knows them again once the credentials are taken out of a webhook that was
        verified. Their names must be such as no request can have."""


@runtime_checkable
class HasChatPage(GivesTokens, Protocol):
    """A channel whose customers write on a page of ours (`app.web.chat`), as visitors with a token each.

    `title` and `greeting` (None: none) are shown there; `origins` are other web sites that may use the chat. Tokens are
    good for `token_seconds`, tickets for `ticket_seconds`.
    """

    title: str
    greeting: str | None
    origins: Sequence[str]
    token_seconds: int
    ticket_seconds: int

    def new_token(self) -> str:
        """A token for a visitor nobody has seen yet."""

    def new_ticket(self, customer: str) -> str:
        """What opens the stream of a visitor, whose address it is; unlike a token it may stand in an address."""

    def reader(self, ticket: str) -> Holder:
        """For whom a ticket was made, and when. Raises: Unverified, it is none of ours, or too old."""


class ChannelSchema(PlatformSchema):
    """Keys of every channel: who answers first, who after a handoff, the bot task that begins a conversation, how often
    it may be called, how customers opt out, and for how many seconds its messages are kept (None: as the gateway says).
    Without a `consent` table those keywords count that the platform answers by itself, if any."""

    destination = fields.String(required=True)
    handoff = fields.String(load_default=None)
    target_task = fields.String(load_default=None)
    consent = fields.Nested(ConsentSchema, load_default=None)
    limits = fields.Nested(ChannelLimitsSchema, load_default=None)
    retention = fields.Integer(load_default=None, validate=validate.Range(60, A_YEAR))
