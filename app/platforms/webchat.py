"""Channel `webchat`: the chat page that Patchbay serves itself at `/chat/<name>`.

The browser speaks the envelope of channel `webhook`; who it speaks for is decided by its visitor token, never by the
body. Sending needs no call: the message is shown in the visitor's live stream in the same step in which it is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from marshmallow import ValidationError, fields, validate

from app.core.errors import Unverified
from app.core.events import (
    Accepted,
    Ended,
    Event,
    Ignored,
    Receipt,
    Reply,
    Reported,
    Typing,
    Webhook,
    Written,
)
from app.core.message import Profile, new_id
from app.core.render import EVERYTHING, Capabilities
from app.core.schema import (
    LOCALE_LIMIT,
    ContentField,
    Lenient,
    code_field,
    id_field,
    is_web_url,
    label_field,
    load,
    parse_json,
    text_field,
)
from app.core.settings import signing_field
from app.http import Http
from app.platforms.channel import Channel, ChannelSchema, Holder, Outgoing

SALT, TICKET_SALT = "patchbay-visitor", "patchbay-ticket"
PARKED_VISITOR = "parked_visitor"  # for webhooks that are kept; in those that come, no header has a _ in its name


def _web_origin(value: str) -> None:
    """As browsers write it in the header Origin; anything else would never match, or bend the page's policy."""
    parts = urlsplit(value) if is_web_url(value) else None
    if (
        parts is None
        or value != f"{parts.scheme}://{parts.netloc}".lower()
        or not value.isascii()
        or set(value) & set("; ,'\"")
    ):
        raise ValidationError("Must be an origin such as https://www.example.com, without a path.")


class Settings(ChannelSchema):
    """`secrets` sign visitor tokens, the first one signs. A token is good for `token_days`. `origins` are the web sites
    besides our own page that may use the chat. `title` and `greeting` are shown on the page."""

    secrets = fields.List(signing_field("visitors' tokens"), required=True, validate=validate.Length(min=1))
    token_days = fields.Float(load_default=30.0, validate=validate.Range(0.01, 365))
    origins = fields.List(fields.String(validate=_web_origin), load_default=list)
    title = fields.String(load_default="Chat with us", validate=validate.Length(min=1, max=80))
    greeting = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=500))


class _MessageSchema(Lenient):
    id = id_field()
    content = ContentField(required=True)
    name = label_field(100)
    locale = code_field(LOCALE_LIMIT)


class _StatusSchema(Lenient):
    message_id = id_field()
    status = fields.String(required=True, validate=validate.OneOf(["delivered", "read"]))


class _EnvelopeSchema(Lenient):
    type = text_field(64)
    data = fields.Dict(load_default=dict)


_envelope, _message, _status = _EnvelopeSchema(), _MessageSchema(), _StatusSchema()


class WebchatChannel(Channel):
    """See `app.platforms.channel.Channel` for the verbs. Others need no call: settling shows in the stream that
    somebody types, or that the session is over."""

    Settings = Settings
    provider = "webchat"
    ticket_seconds = 60
    capabilities = Capabilities(contents=EVERYTHING, typing=True, resend_safe=True, live=True)

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.title: str = settings["title"]
        self.greeting: str | None = settings["greeting"]
        self.origins: tuple[str, ...] = tuple(settings["origins"])
        self.token_seconds = int(settings["token_days"] * 86_400)
        # itsdangerous signs with the last key and accepts them all; the channel's name keeps two chats apart
        keys = list(reversed(settings["secrets"]))
        self._tokens = URLSafeTimedSerializer(keys, salt=f"{SALT}-{name}")
        self._tickets = URLSafeTimedSerializer(keys, salt=f"{TICKET_SALT}-{name}")

    def new_token(self) -> str:
        """A token for a visitor nobody has seen yet."""
        return self._tokens.dumps(new_id())

    def visitor(self, token: str) -> str:
        """The address of the visitor who holds this token.

        Raises:
            Unverified: the token is not ours, or too old.
        """
        return self.holder_of(token).customer

    def holder_of(self, token: str) -> Holder:
        """Raises: Unverified, as `visitor`. Whether the token was taken back, only the store knows."""
        try:
            visitor, made = self._tokens.loads(token, max_age=self.token_seconds, return_timestamp=True)
            return Holder(f"{self.provider}:{visitor}", made.timestamp())
        except SignatureExpired:
            raise Unverified("the visitor token has expired") from None
        except BadData:
            raise Unverified("the visitor token is missing or not valid") from None

    def new_ticket(self, customer: str) -> str:
        """What opens the stream of a visitor, whose address it is, for `ticket_seconds`."""
        return self._tickets.dumps(customer)

    def reader(self, ticket: str) -> Holder:
        """For whom a ticket was made, and when.

        Raises:
            Unverified: the ticket is not ours, or too old.
        """
        try:
            customer, made = self._tickets.loads(ticket, max_age=self.ticket_seconds, return_timestamp=True)
            return Holder(str(customer), made.timestamp())
        except SignatureExpired:
            raise Unverified("the stream's ticket has expired") from None
        except BadData:
            raise Unverified("the stream's ticket is missing or not valid") from None

    def verify(self, webhook: Webhook) -> None:
        self.visitor(_bearer(webhook))

    def holder(self, webhook: Webhook) -> Holder:
        return self.holder_of(_bearer(webhook))

    def sender(self, webhook: Webhook) -> Mapping[str, str]:
        return {PARKED_VISITOR: self.visitor(_bearer(webhook))}

    def parse(self, webhook: Webhook) -> list[Event]:
        visitor = webhook.headers.get(PARKED_VISITOR) or self.visitor(_bearer(webhook))
        envelope = load(_envelope, parse_json(webhook.body, webhook.headers.get("content-type", "")))
        match envelope["type"]:
            case "message.created":
                data = load(_message, envelope["data"], "data")
                return [
                    Written(
                        content=data["content"],
                        external_id=data["id"],
                        customer=visitor,
                        profile=Profile(name=data.get("name") or _nickname(visitor), locale=data.get("locale")),
                    )
                ]
            case "message.status":
                data = load(_status, envelope["data"], "data")
                return [Reported(data["message_id"], data["status"], customer=visitor)]
            case "conversation.typing":
                return [Typing(customer=visitor)]
            case "conversation.ended":
                return [Ended(customer=visitor)]
            case other:
                return [Ignored(other)]

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(202, {"accepted": [entry.as_dict() for entry in accepted]})

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        """Nothing to call: settling shows it."""
        return Receipt()


def _nickname(visitor: str) -> str:
    """What people who answer may call somebody who gave no name, to tell them from the next one."""
    return f"Visitor {visitor[-6:]}"


def _bearer(webhook: Webhook) -> str:
    scheme, _, token = webhook.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
