"""`POST Messages.json`: what an application wants to send, checked as Twilio checks it, and recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from app.core.acceptance import Acceptance
from app.core.address import address_of
from app.core.events import Said
from app.core.message import Message, derived_id, new_id, split_conversation
from app.core.reading import Unreadable, parsed
from app.core.schema import OBJECT_LIMIT, URL_LIMIT, is_web_url, keepable
from app.core.work import Append
from app.gateway import Gateway
from app.platforms.twilio.addresses import is_address, on_the_wire
from app.platforms.twilio.message import BODY_LIMIT, MAX_MEDIA, is_callback_url, said
from app.store.messages import Record
from app.web.rest import refusal
from app.web.rest.account import Account, Sender
from app.web.rest.refusal import Refused
from app.web.rest.repeating import Key, forgotten, other_parameters

# Parameters that would change when or what the customer gets, and that no channel of ours can follow. All others that
# we do not read (MaxPrice, SmartEncoded, ...) change neither.
UNSUPPORTED = ("SendAt", "ScheduleType", "ValidityPeriod", "ApplicationSid", "PersistentAction", "ShortenUrls")
PRIORITIES = ("", "normal", "bulk")
SERVICE = re.compile(r"MG[0-9a-fA-F]{32}\Z")
TEMPLATE = "HX"  # begins a content's sid


def create(gateway: Gateway, account: Account, form: MultiDict[str, str], key: Key | None = None) -> Record:
    """Record the message for its customer; with a key that was there before, that message.

    Raises: Refused, StoreUnavailable.
    """
    customer = _customer(form)
    sender, conversation = _way(gateway, account, form, customer)
    bulk = _is_bulk(form)
    contents = said(*_content(form, gateway, conversation))
    consent = gateway.store.consents.read(conversation)
    if consent and consent.state == "out":
        if key and (first := gateway.store.mailboxes.known(key.scope)):
            return _before(gateway, key, first, len(contents))
        raise Refused(refusal.OPTED_OUT, "The recipient wants no messages from this address")
    parts = [
        _entry(gateway, sender, message, bulk=bulk) for message in _messages(sender, conversation, customer, contents)
    ]
    scope, second = (key.scope, key.whole) if key else ("", "")
    entered = gateway.store.mailboxes.accept(
        Acceptance(entry=parts[0], scope=scope, second_scope=second, more=tuple(parts[1:]))
    )
    if key and entered.state == "duplicate":
        return _before(gateway, key, entered.message_id, len(parts))
    if entered.state == "mailbox_full":
        raise Refused(refusal.TOO_MANY, "Too many messages to this recipient are waiting", 429)
    if entered.state == "lane_full":
        raise Refused(refusal.UNAVAILABLE, "Too many messages are waiting; this one was not recorded", 503)
    gateway.publisher.publish(entered.wakes)
    return Record(parts[-1].message, "queued")


def _customer(form: MultiDict[str, str]) -> str:
    """The address that the message goes to. Raises: Refused, also for what nobody can do."""
    for name in UNSUPPORTED:
        if form.get(name):
            raise Refused(refusal.UNKNOWN_PARAMETER, f"{name} is not supported")
    to = form.get("To", "")
    if not to:
        raise Refused(refusal.NO_TO, "A 'To' address is required")
    customer = address_of(to)
    if not is_address(customer):
        raise Refused(refusal.BAD_TO, f"The 'To' address {to[:64]} is not valid")
    return customer


def _messages(sender: Sender, conversation: str, customer: str, contents: Sequence[Said]) -> list[Message]:
    """One for each part; the last one speaks for all."""
    ids = _ids(new_id(), len(contents))
    return [
        Message(
            id=message_id,
            direction="outbound",
            channel=split_conversation(conversation)[0],
            customer=customer,
            content=part.content,
            author="bot",
            source=sender.destination,
            at=int(time.time() * 1000),
            metadata=part.speaking_for(ids[:-1]),
        )
        for message_id, part in zip(ids, contents, strict=True)
    ]


def _ids(first: str, count: int) -> list[str]:
    """The ids of a message's parts; those of a repeat are those of the first time."""
    return [first, *(derived_id(first, number) for number in range(1, count))]


def _before(gateway: Gateway, key: Key, first: str, count: int) -> Record:
    """The message of the first time. Raises: Refused, it was another one or is deleted."""
    if gateway.store.mailboxes.known(key.whole) != first:
        raise other_parameters(key)
    record = gateway.store.messages.read(_ids(first, count)[-1])
    if record is None:
        raise forgotten(key)
    return record


def _way(gateway: Gateway, account: Account, form: Mapping[str, str], customer: str) -> tuple[Sender, str]:
    """Who sends, and on which conversation. Raises: Refused."""
    given, service = form.get("From", ""), _service(form)
    given = "" if given == service else given
    if service:
        senders = account.pool(service)
        if not senders:
            raise Refused(refusal.NO_SERVICE, f"The messaging service {service[:64]} does not exist")
    elif given:
        senders = list(account.senders)
    else:
        raise Refused(refusal.NO_FROM, "A 'From' address or a 'MessagingServiceSid' is required")
    if given:
        senders = [sender for sender in senders if sender.address == address_of(given)]
        if not senders:
            raise Refused(refusal.NOT_OURS, f"The 'From' address {given[:64]} is none of the account's")
    for sender in senders:
        if conversation := gateway.meet(sender.destination, customer):
            return sender, conversation
    code = refusal.UNREACHABLE if given else refusal.EMPTY_SERVICE
    raise Refused(code, f"No channel leads from {given[:64] or service[:64]} to {on_the_wire(customer)[:64]}")


def _service(form: Mapping[str, str]) -> str:
    """The messaging service that sends, also where it stands as the sender; '' if none does."""
    given = form.get("From", "")
    return form.get("MessagingServiceSid", "") or (given if SERVICE.match(given) else "")


def _content(form: MultiDict[str, str], gateway: Gateway, conversation: str) -> tuple[str, list[str], dict[str, Any]]:
    """Body, files and metadata. Raises: Refused."""
    body, files, template = form.get("Body", ""), form.getlist("MediaUrl"), form.get("ContentSid", "")
    files = [url for url in files if url]
    if len(body) > BODY_LIMIT:
        raise Refused(refusal.TOO_LONG, f"The message body exceeds the {BODY_LIMIT} character limit")
    if len(files) > MAX_MEDIA:
        raise Refused(refusal.TOO_MANY_MEDIA, f"At most {MAX_MEDIA} media files are allowed")
    if not all(len(url) <= URL_LIMIT and is_web_url(url) for url in files):
        raise Refused(refusal.BAD_MEDIA, "Invalid media URL(s)")
    callback = form.get("StatusCallback", "")
    if callback and not is_callback_url(callback):
        raise Refused(refusal.BAD_CALLBACK, f"The 'StatusCallback' URL {callback[:200]} is not a valid URL")
    metadata: dict[str, Any] = {"twilio": {"direction": "outbound-api"}}
    if service := _service(form):
        metadata["twilio"]["messaging_service_sid"] = service
    if callback:
        metadata["status_callbacks"] = [{"url": callback, "method": "POST"}]
    if template and files:
        raise Refused(
            refusal.UNKNOWN_PARAMETER, "MediaUrl is not supported beside a ContentSid, which has files of its own"
        )
    if template:
        metadata |= _template(template, form.get("ContentVariables", ""), gateway, conversation)
        body = body or template
    elif form.get("ContentVariables"):
        raise Refused(refusal.BAD_VARIABLES, "ContentVariables belong to a ContentSid")
    if not body and not files:
        raise Refused(refusal.NO_BODY, "Message body, media or a content sid is required")
    return body, files, metadata


def _template(template: str, variables: str, gateway: Gateway, conversation: str) -> dict[str, Any]:
    """A template is only known to its platform. Raises: Refused."""
    channel = split_conversation(conversation)[0]
    if not gateway.channels[channel].capabilities.templates or not template.startswith(TEMPLATE):
        raise Refused(refusal.BAD_CONTENT, f"The 'ContentSid' {template[:64]} is not known on this channel")
    if not variables:
        return {"content_sid": template}
    try:
        values = parsed(variables)
        keepable({"": values})
    except (Unreadable, ValidationError):
        values = None
    if not isinstance(values, dict):
        raise Refused(refusal.BAD_VARIABLES, f"ContentVariables must be a JSON object of at most {OBJECT_LIMIT} bytes")
    return {"content_sid": template, "content_variables": values}


def _is_bulk(form: Mapping[str, str]) -> bool:
    """Whether replies go before it: our own parameter. Raises: Refused."""
    priority = form.get("Priority", "")
    if priority not in PRIORITIES:
        raise Refused(refusal.UNKNOWN_PARAMETER, "Priority must be normal or bulk")
    return priority == "bulk"


def _entry(gateway: Gateway, sender: Sender, message: Message, *, bulk: bool) -> Append:
    return Append(
        message,
        lane=f"outbound:{message.channel}",
        report_to=sender.destination,
        live=gateway.channels[message.channel].capabilities.live,
        bulk=bulk,
    )
