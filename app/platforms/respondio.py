"""Destination `respondio`: people answer in respond.io, over its custom channel.

Source: https://respond.io/help/custom-channel/custom-channel and the official sample
(https://github.com/respond-io/custom-channel-integration-example).
"""

from __future__ import annotations

import hmac
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates_schema

from app.core import errors
from app.core.errors import BadWebhook, Failure, Unverified
from app.core.events import Accepted, Answer, Event, Reply, StatusReport, Webhook, Written
from app.core.message import (
    ATTACHMENT_KINDS,
    Attachment,
    Content,
    Location,
    Message,
    Profile,
    QuickReply,
    Text,
    coordinate,
    derived_id,
    split_conversation,
)
from app.core.render import Capabilities, render
from app.core.schema import (
    LABEL_LIMIT,
    REPLIES_LIMIT,
    TEXT_LIMIT,
    URL_LIMIT,
    Id,
    Lenient,
    code_field,
    id_field,
    label_field,
    load,
    parse_json,
    text_field,
    url_field,
)
from app.core.settings import secret_field
from app.core.text import Unit, cut, cut_name
from app.http import Http
from app.platforms.destination import Delivery, Destination, DestinationSchema, Handoff
from app.platforms.tables import Table, Tables

CONTACT_LIMIT = 50
NAME_LIMIT = 50  # of a first name, and of a last name
UNIT: Unit = "utf16"  # of every limit of theirs; the manual does not say, and these are never fewer
# The Custom ID alphabet without `=`, which starts an escape, and the `@` of ALIAS.
PLAIN = f"{string.ascii_letters}{string.digits}_+/"
ESCAPES = {byte: f"={byte:02X}" for byte in range(256) if chr(byte) not in PLAIN}
ALIAS = "@@"  # begins a contact id that stands for a conversation too long to be written out
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
FILE_NAME = re.compile(r"[^/\\]*\.\w+")  # the manual wants an extension
MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(;.*)?")

# What a part of the contact's profile must look like to be sent at all: one bad part has the whole call refused.
PROFILE = {
    "firstName": re.compile(r".{1,50}"),
    "lastName": re.compile(r".{1,50}"),
    "email": re.compile(r"(?=.{3,50}\Z)[^@\s]+@[^@\s]+"),
    "phone": re.compile(r".{1,18}"),
    "profilePic": re.compile(rf"https?://.{{1,{URL_LIMIT - 8}}}"),
    "locale": re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*"),
    "countryCode": re.compile(r"[A-Z]{2}"),
    "language": re.compile(r"[a-z]{2}"),
}


class Settings(DestinationSchema):
    """`id_type` is the channel dialog's choice. With `phone`, an agent may write first; their message then goes out on
    `channel` (needed only if several channels use this destination). `longitude_field` is the spelling that we send:
    the manual's table has `longtitude`. Two equal messages within `repeat_window` seconds count as one, 0 = never."""

    webhook_url = url_field()
    channel_id = fields.String(required=True, validate=validate.Length(min=1, max=100))
    api_token = secret_field(required=True)
    id_type = fields.String(load_default="custom", validate=validate.OneOf(["custom", "phone"]))
    channel = fields.String(load_default=None)
    longitude_field = fields.String(load_default="longitude", validate=validate.OneOf(["longitude", "longtitude"]))
    repeat_window = fields.Float(load_default=3.0, validate=validate.Range(0, 60))

    @validates_schema
    def _no_channel_for_custom_ids(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if data["channel"] and data["id_type"] == "custom":
            raise ValidationError('Only id_type = "phone" lets agents write first.', "channel")


class _TextSchema(Lenient):
    text = text_field(TEXT_LIMIT)


class _FileSchema(Lenient):
    type = fields.String(required=True, validate=validate.OneOf(ATTACHMENT_KINDS))
    url = url_field()
    mimeType = code_field()
    fileName = label_field(by=cut_name)
    description = label_field()


class _AttachmentSchema(Lenient):
    attachment = fields.Nested(_FileSchema, required=True)


class _LocationSchema(Lenient):
    """Both spellings and a nested `location` object are in use."""

    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))
    address = label_field()

    @pre_load
    def _one_spelling(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        flat = {**data, **data["location"]} if isinstance(data.get("location"), Mapping) else dict(data)
        if flat.get("longitude") is None and "longtitude" in flat:
            flat["longitude"] = flat["longtitude"]
        return flat


class _QuickReplySchema(Lenient):
    title = text_field(LABEL_LIMIT)
    replies = fields.List(text_field(LABEL_LIMIT), required=True, validate=validate.Length(min=1, max=REPLIES_LIMIT))


MESSAGE_SCHEMAS: dict[str, Schema] = {
    "text": _TextSchema(),
    "attachment": _AttachmentSchema(),
    "location": _LocationSchema(),
    "quick_reply": _QuickReplySchema(),
}


class _OutgoingSchema(Lenient):
    channelId = Id(load_default=None, allow_none=True)
    contactId = id_field(CONTACT_LIMIT)
    message = fields.Dict(required=True)


_outgoing = _OutgoingSchema()


class RespondioDestination(Destination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    capabilities = Capabilities(
        contents=frozenset(MESSAGE_SCHEMAS),
        text_limit=TEXT_LIMIT,
        text_unit=UNIT,
        described=frozenset({"image"}),
        statuses=True,
        resend_safe=True,
        people=True,
    )

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.channel: str | None = settings["channel"]
        self._url: str = settings["webhook_url"]
        self._channel_id: str = settings["channel_id"]
        self._token: str = settings["api_token"]
        self._phone: bool = settings["id_type"] == "phone"
        self._longitude: str = settings["longitude_field"]
        self._window: float = settings["repeat_window"]
        self._timeout: float = settings["timeout"]

    @staticmethod
    def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
        """An agent who writes first does so on one channel."""
        users = tables.users(mine.name)
        if mine.values.get("id_type") == "phone" and mine.values.get("channel") is None and len(users) > 1:
            yield "channel", f"Required, because several channels use it: {', '.join(one.name for one in users)}."

    def verify(self, webhook: Webhook) -> None:
        scheme, _, token = webhook.headers.get("authorization", "").partition(" ")
        if not token:
            raise Unverified("the bearer token is missing")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise Unverified("the bearer token does not match")

    def parse(self, webhook: Webhook) -> list[Event]:
        if not webhook.path.rstrip("/").endswith("/message"):
            raise BadWebhook("", "respond.io posts to the base URL followed by /message.")
        data = load(_outgoing, parse_json(webhook.body, webhook.headers.get("content-type", "")))
        if data["channelId"] not in (None, self._channel_id):
            raise BadWebhook("channelId", "Must be this channel's id.")
        contact = data["contactId"]
        content = content_from(data["message"])
        conversation, alias, customer = self._who(contact)
        return [
            Written(
                content=content,
                external_id=None,
                author="agent",
                conversation=conversation,
                alias=alias,
                customer=customer,
                window=self._window,
                metadata={"contact": contact} if self._phone else {},
            )
        ]

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(200, {"mId": accepted[0].message_id})

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        return Reply(status, {"error": {"message": sentence}})

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        message = delivery.message
        contact = self._contact(message)
        if self._needs_alias(contact):
            delivery.remember(delivery.progress, [contact])
        self._post(contact, self._event("message", delivery.id, message.at, delivery.content), message.profile, http)
        return Answer(handles={"contact": contact})

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Show the agents what was said so far: the customer's messages as their own, the bot's as echoes."""
        told = int(handoff.progress.get("told", 0))
        contact = self._contact(*handoff.transcript) if handoff.transcript else ""
        for number, message in enumerate(handoff.transcript):
            if number < told:
                continue
            kind = "message" if message.direction == "inbound" else "message_echo"
            for part, content in enumerate(render(message.content, self.capabilities)):
                mid = message.id if part == 0 else derived_id(message.id, part)
                self._post(contact, self._event(kind, mid, message.at, content), message.profile, http)
            aliases = [contact] if self._needs_alias(contact) else []
            handoff.remember({"told": number + 1}, aliases)
        return Answer(handles={"contact": contact} if contact else None)

    def report(self, report: StatusReport, http: Http) -> None:
        status: dict[str, str] = {"value": report.status}
        if report.status == "failed":
            status["message"] = report.error or "The message could not be delivered."
        event = {"type": "message_status", "mId": report.message.id, "timestamp": report.at, "status": status}
        contact = report.message.metadata.get("contact") or self._contact(report.message)
        self._post(contact, event, None, http)

    def _post(self, contact: str, event: Mapping[str, Any], profile: Profile | None, http: Http) -> None:
        body: dict[str, Any] = {"channelId": self._channel_id, "contactId": contact, "events": [event]}
        if profile and (known := contact_profile(profile)):
            body["contact"] = known
        headers = {"authorization": f"Bearer {self._token}"}
        http.post(self._url, json=body, headers=headers, timeout=self._timeout).check()

    def _event(self, kind: str, mid: str, at: int, content: Content) -> dict[str, Any]:
        return {"type": kind, "mId": mid, "timestamp": at, "message": content_to(content, self._longitude)}

    def _contact(self, *messages: Message) -> str:
        """The id under which respond.io knows the customer of these messages, all of one conversation.

        Raises:
            Failure: REJECTED, the channel wants phone numbers and the customer has none.
        """
        if not self._phone:
            return contact_id(messages[0].conversation)
        told = [message.profile.phone for message in messages if message.profile and message.profile.phone]
        for phone in (messages[0].customer.partition(":")[2], *told):
            if is_phone(phone):
                return phone
        raise Failure(errors.REJECTED, "id_type is phone and the customer has no phone number in E.164 form")

    def _needs_alias(self, contact: str) -> bool:
        return self._phone or contact.startswith(ALIAS)

    def _who(self, contact: str) -> tuple[str | None, str | None, str | None]:
        """(conversation, alias, customer's identifier) that a contact id may stand for."""
        if self._phone:
            if not is_phone(contact):
                raise BadWebhook("contactId", "Must be a phone number in E.164 form with a leading +.")
            return None, contact, contact
        if contact.startswith(ALIAS):
            return None, contact, None
        conversation = conversation_of(contact)
        if conversation is None:
            raise BadWebhook("contactId", "Is none that this gateway made.")
        return conversation, None, None


def is_phone(value: str) -> bool:
    """Whether this can be a phone number in E.164 form. Numbering plans change, so no plan is asked whether it exists:
    whoever writes from it does."""
    return bool(PHONE.fullmatch(value))


def contact_id(conversation: str) -> str:
    """A conversation key in the Custom ID alphabet (`A-Z a-z 0-9 _ = + / @`, at most 50 characters).

    Other bytes are written `=XX`, so the key can be read back; a key too long for that is hashed behind `@@`, and the
    store remembers what the hash stands for.
    """
    raw = conversation.encode()
    escaped = raw.decode("latin-1").translate(ESCAPES)
    return escaped if len(escaped) <= CONTACT_LIMIT else ALIAS + sha256(raw).hexdigest()[:40]


def conversation_of(contact: str) -> str | None:
    """The inverse of `contact_id` for ids that are no hash; None if we cannot have made it."""
    try:
        raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), contact.encode())
        conversation = raw.decode()
    except UnicodeDecodeError:
        return None
    channel, customer = split_conversation(conversation)
    return conversation if channel and ":" in customer and contact_id(conversation) == contact else None


def contact_profile(profile: Profile) -> dict[str, str]:
    """The profile in respond.io's words, without the parts that it would refuse; a null is one of them."""
    first, _, last = " ".join((profile.name or "").split()).partition(" ")
    language = (profile.locale or "").replace("_", "-").partition("-")[0].lower()
    values = {
        "firstName": cut(first, NAME_LIMIT, UNIT),
        "lastName": cut(last, NAME_LIMIT, UNIT),
        "email": profile.email,
        "phone": profile.phone,
        "profilePic": profile.picture,
        "locale": profile.locale,
        "countryCode": (profile.country or "").upper(),
        "language": language,
    }
    return {name: value for name, value in values.items() if value and PROFILE[name].fullmatch(value)}


def content_to(content: Content, longitude: str = "longitude") -> dict[str, Any]:
    """A content in respond.io's form."""
    match content:
        case Text(text):
            return {"type": "text", "text": text}
        case Attachment():
            inner = {
                "type": content.kind,
                "url": content.url,
                "mimeType": _matching(MIME_TYPE, content.mime_type),
                "fileName": _matching(FILE_NAME, _file_name(content)),
                "description": _label(content.description) if content.kind == "image" else None,
            }
            return {"type": "attachment", "attachment": {k: v for k, v in inner.items() if v is not None}}
        case Location():
            point = {
                "type": "location",
                "latitude": coordinate(content.latitude),
                longitude: coordinate(content.longitude),
            }
            return {**point, "address": _label(content.address)} if content.address else point
        case QuickReply(title, replies):
            return {"type": "quick_reply", "title": _label(title), "replies": [_label(reply) for reply in replies]}
    raise Failure(errors.UNSUPPORTED, f"respond.io has no message type for {content.type}")


def _label(text: str | None) -> str | None:
    return text and cut(text, LABEL_LIMIT, UNIT)


def _file_name(file: Attachment) -> str | None:
    """Without the folders that some systems put before it."""
    name = re.split(r"[/\\]", file.file_name or "")[-1]
    return cut_name(name, LABEL_LIMIT, UNIT)


def _matching(pattern: re.Pattern[str], value: str | None) -> str | None:
    return value if value and pattern.fullmatch(value) else None


def content_from(data: Mapping[str, Any]) -> Content:
    """An agent's message as content.

    Raises:
        BadWebhook: the type is unknown, or a field breaks its rule.
    """
    kind = data.get("type")
    schema = MESSAGE_SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise BadWebhook("message.type", f"Must be one of: {', '.join(MESSAGE_SCHEMAS)}.")
    values = load(schema, data, "message")
    match kind:
        case "text":
            return Text(values["text"])
        case "attachment":
            inner = values["attachment"]
            return Attachment(
                inner["type"], inner["url"], inner.get("mimeType"), inner.get("fileName"), inner.get("description")
            )
        case "location":
            return Location(values["latitude"], values["longitude"], values.get("address") or None)
    return QuickReply(values["title"], tuple(values["replies"]))
