"""Destination `respondio`: people answer in respond.io, over its custom channel.

Source: https://respond.io/help/custom-channel/custom-channel and the official sample
(https://github.com/respond-io/custom-channel-integration-example).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.core import errors
from app.core.errors import BadWebhook, Failure, Unverified
from app.core.events import Accepted, Answer, Event, Reply, StatusReport, Webhook, Written
from app.core.message import (
    Content,
    Message,
    Profile,
    derived_id,
)
from app.core.render import Capabilities, render
from app.core.schema import (
    TEXT_LIMIT,
    Id,
    Lenient,
    id_field,
    load,
    parse_json,
    url_field,
)
from app.core.settings import secret_field
from app.http import Http
from app.platforms.destination import Delivery, Destination, DestinationSchema, Handoff
from app.platforms.respondio.contacts import (
    ALIAS,
    CONTACT_LIMIT,
    contact_id,
    contact_profile,
    conversation_of,
    is_phone,
)
from app.platforms.respondio.contents import MESSAGE_SCHEMAS, UNIT, content_from, content_to
from app.platforms.tables import Table, Tables


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
