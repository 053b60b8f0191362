"""Channel `twilio`: WhatsApp, Messenger and SMS over Twilio Programmable Messaging.

Sources: https://www.twilio.com/docs/messaging/api/message-resource,
https://www.twilio.com/docs/messaging/guides/webhook-request, https://www.twilio.com/docs/api/errors.

Twilio takes no idempotency key. Where the outcome of a call is unknown, the last messages to that customer are looked
through first. Two equal texts cannot be told apart there, and a template's text is not known here: after a lost answer
an equal text sent since counts as ours, and a template is sent again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import urlencode

from marshmallow import ValidationError, fields, validate, validates_schema

from app.core import errors
from app.core.address import SMS, address_of
from app.core.costs import Price, nanos_of
from app.core.errors import Failure, Unverified
from app.core.events import Accepted, Event, File, Receipt, Reply, Webhook
from app.core.message import Attachment, Content, Location
from app.core.reading import encoded
from app.core.render import as_link, as_text, degrees
from app.core.schema import ID_LIMIT, is_web_url, url_field
from app.core.settings import sid_field
from app.core.text import length
from app.http import Http
from app.platforms.channel import Channel, ChannelSchema, Outgoing
from app.platforms.proofs import NOTHING_SAID
from app.platforms.tables import Table, Tables
from app.platforms.twilio.account import Account, Resource, TwilioFailure, path_part
from app.platforms.twilio.addresses import on_the_wire
from app.platforms.twilio.carried import ANSWERED, CAPABILITIES, UNIT, is_carried
from app.platforms.twilio.inbound import read
from app.platforms.twilio.links import Links
from app.platforms.twilio.message import BODY_LIMIT
from app.platforms.twilio.outcomes import STATUSES, in_our_words, is_message, reported, why_of
from app.platforms.twilio.settings import TwilioSchema
from app.platforms.twilio.webhooks import form_of

API = "https://api.twilio.com"
MAX_FILE = 16 * 1024 * 1024  # bytes; WhatsApp's own limit
LOOK_BACK = 50  # messages to a customer among which one of ours is looked for
SKEW = 2  # seconds by which our clock may be ahead of Twilio's
TOKEN_HEADER = "i-twilio-idempotency-token"  # noqa: S105 - names a webhook, opens nothing
NOTHING = Reply(200, "<Response/>", {"Content-Type": "text/xml"})  # TwiML; what is to be said comes by the API

ADDRESS = re.compile(
    r"(whatsapp:\+[1-9]\d{4,14}|messenger:\d{1,32}|rcs:[A-Za-z0-9_]{1,100}|(sms:)?(\+[1-9]\d{4,14}|\d{3,8}))\Z"
)
MEDIA = re.compile(r"/Messages/((?:MM|SM)[0-9a-fA-F]{32})/Media/(ME[0-9a-fA-F]{32})")


class Settings(TwilioSchema, ChannelSchema):
    """`address` is the sender: `whatsapp:+1...`, `messenger:1...`, `rcs:sender`, `+1...` or `sms:+1...`. With
    `messaging_service_sid` alone, Twilio chooses one of the service's. `media`: customers' files stand behind links of
    ours for `media_keep` seconds (`signed`), or have the address that Twilio gave them (`pass`). `status_callback`:
    hear what became of messages."""

    address = fields.String(
        load_default=None,
        validate=validate.Regexp(
            ADDRESS, error="Must be whatsapp:+1555..., messenger:123, rcs:sender, +1555... or sms:+1555..."
        ),
    )
    messaging_service_sid = sid_field("MG", required=False)
    api_url = url_field(required=False)
    media = fields.String(load_default="signed", validate=validate.OneOf(["signed", "pass"]))
    media_keep = fields.Integer(load_default=7 * 86_400, validate=validate.Range(60))
    status_callback = fields.Boolean(load_default=True)

    @validates_schema
    def _has_a_sender(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if not data["address"] and not data["messaging_service_sid"]:
            raise ValidationError("Required, or messaging_service_sid.", "address")


class TwilioChannel(Channel):
    """See `app.platforms.channel.Channel` for the verbs."""

    Settings = Settings
    methods = ("POST", "GET")  # as the number or service is configured at Twilio
    calls = 2  # is it there already, send
    spools = True
    # repeats_for is 0: at once and only if it was told to (`rc`); WhatsApp's own repeats end at Twilio

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.account = Account(settings)
        self.address = address_of(settings["address"]) if settings["address"] else None
        self.provider = self.address.partition(":")[0] if self.address else SMS
        self.capabilities = CAPABILITIES[self.provider]
        self.answered = ANSWERED if self.provider == SMS else frozenset()
        self._settings = settings
        self._callback: str = settings["callback"]
        self._account_path = f"/2010-04-01/Accounts/{self.account.sid}"
        self._url = (settings.get("api_url") or API).rstrip("/") + self._account_path
        self.links = Links(settings, f"media of channel {name}")

    # Configuration

    @staticmethod
    def provider_of(values: Mapping[str, Any]) -> str:
        address = values.get("address")
        return address_of(address).partition(":")[0] if isinstance(address, str) else SMS

    @staticmethod
    def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
        """One sender has one webhook at Twilio, so it is one channel."""
        address = mine.values.get("address")
        alike = (one for one in tables.channels.values() if one.type == mine.type and _same(one, address))
        if isinstance(address, str) and (first := next(alike, mine)) is not mine:
            yield "address", f"The channel {first.name} has the same one."
        if mine.values.get("status_callback", True) and "_" in tables.host:
            yield "status_callback", "Must be false: Twilio refuses a gateway.public_url with _ in its host."

    def try_credentials(self, http: Http) -> None:
        self.account.call("GET", f"{self._url}/Messages.json?PageSize=1", http)

    def sample(self, callback: str) -> Webhook:
        return self.account.signed(f"{callback}/status", {"MessageSid": "SM" + 32 * "0", "MessageStatus": NOTHING_SAID})

    # Webhooks

    def verify(self, webhook: Webhook) -> None:
        self.account.verify(webhook)

    def parse(self, webhook: Webhook) -> list[Event]:
        """A message (also one that comes to `/fallback`, because the first address did not take it), or at `/status`
        what became of one."""
        form = form_of(webhook)
        below = webhook.path.removeprefix(f"/channels/{self.name}").strip("/")
        if (below == "status" or "MessageStatus" in form) and not is_message(form):
            return [reported(form)]
        token = webhook.headers.get(TOKEN_HEADER, "")
        events = read(form, token if 0 < len(token) < ID_LIMIT else None, self._shown)
        if self.address and address_of(form["To"]) != self.address:
            raise errors.BadWebhook("To", f"Must be {on_the_wire(self.address)}, this channel's address.")
        return events

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return NOTHING

    # Calls

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        content = self._content(outgoing)
        if not content:
            return Receipt()
        form = [("To", on_the_wire(outgoing.message.customer)), *self._sender(), *content]
        if self._settings["status_callback"]:
            form.append(("StatusCallback", f"{self._callback}/status"))
        try:
            sent = self._sent_before(outgoing, dict(form), http) if outgoing.uncertain else None
            return self._receipt(sent or self.account.call("POST", f"{self._url}/Messages.json", http, form))
        except TwilioFailure as failure:
            raise in_our_words(failure) from None

    def check_link(self, token: str) -> str:
        return " ".join(self.links.read(token))

    def media(self, token: str, http: Http, into: BinaryIO) -> File | str:
        """Twilio gives the file, or sends us off to where it lies for some hours."""
        message, media = self.links.read(token)
        try:
            url = f"{self._url}/Messages/{message}/Media/{media}"
            answer = self.account.download(url, http, into, MAX_FILE)
        except TwilioFailure as failure:
            if failure.status == 404:
                raise Unverified("Twilio has the file no more") from None
            raise
        if answer.ok:
            return File(answer.headers.get("content-type", ""))
        where = answer.headers.get("location", "")
        if not is_web_url(where):
            raise Failure(errors.UNPARSEABLE, "the redirect leads nowhere")
        return where

    def price(self, external_id: str, http: Http) -> Price | None:
        """Twilio knows it once the message was sent or received, and some time later; what it charged is negative."""
        sid = external_id.partition("/")[0]  # of the message that was taken apart
        found = self.account.find(f"{self._url}/Messages/{path_part(sid)}.json", http) or Resource({})
        amount, unit = found.get("price"), found.get("price_unit")
        if amount is None:
            return None
        try:
            return Price(nanos_of(str(amount).removeprefix("-")), str(unit).upper())
        except ValueError:
            raise Failure(errors.UNPARSEABLE, "the message's price is no amount") from None

    # Parts

    def _shown(self, url: str) -> str:
        """A file's address for others. Behind a link of ours are only the sids, so that our credentials go to the
        configured host alone, whatever a webhook names."""
        bases = (API + self._account_path, self._url)
        found = MEDIA.fullmatch(next((url.removeprefix(base) for base in bases if url.startswith(base)), ""))
        if self._settings["media"] == "pass" or not found:
            return url
        return self.links.to(*found.groups())

    def _sender(self) -> list[tuple[str, str]]:
        found = [("From", on_the_wire(self.address))] if self.address else []
        service = self._settings["messaging_service_sid"]
        return [*found, ("MessagingServiceSid", service)] if service else found

    def _content(self, outgoing: Outgoing) -> list[tuple[str, str]]:
        """The content's fields; none, if an earlier part has said it all."""
        template = outgoing.message.metadata.get("content_sid")
        if isinstance(template, str) and template:
            return _template(template, outgoing.message.metadata.get("content_variables")) if outgoing.part == 0 else []
        content = outgoing.content
        if isinstance(content, Attachment) and is_carried(content, outgoing.message.customer):
            described = [("Body", content.description)] if content.description else []
            return [("MediaUrl", content.url), *described]
        if isinstance(content, Location) and "location" in self.capabilities.contents:
            place = f"geo:{degrees(content.latitude)},{degrees(content.longitude)}|{content.address or ''}".rstrip("|")
            return [("Body", as_text(content)), ("PersistentAction", place)]
        return [("Body", _body(content))]

    def _sent_before(self, outgoing: Outgoing, form: Mapping[str, str], http: Http) -> Resource | None:
        """The same content among the last messages to that customer, since ours was taken."""
        if "ContentSid" in form:
            return None
        narrow = {name: form[name] for name in ("To", "From") if name in form}
        url = f"{self._url}/Messages.json?{urlencode({**narrow, 'PageSize': LOOK_BACK})}"
        wanted = (form.get("Body", "").strip(), "1" if "MediaUrl" in form else "0")
        since = outgoing.message.at // 1000 - SKEW
        for message in self.account.listed(url, "messages", http, LOOK_BACK):
            same = wanted == ((message.get("body") or "").strip(), str(message.get("num_media") or 0))
            ours = message.get("direction") != "inbound" and STATUSES.get(str(message.get("status"))) != "failed"
            if same and ours and _seconds(message.get("date_created")) >= since:
                return message
        return None

    def _receipt(self, sent: Mapping[str, Any]) -> Receipt:
        sid = sent.get("sid")
        if not isinstance(sid, str) or not sid:
            raise Failure(errors.UNPARSEABLE, "the new message has no sid", maybe_done=True)
        status = STATUSES.get(str(sent.get("status")), "queued")
        if status == "failed":
            kind, why = why_of(str(sent.get("error_code") or ""), str(sent.get("error_message") or ""))
            raise Failure(kind, why)
        if status == "queued" and not self._settings["status_callback"]:
            status = "sent"  # nobody will say more
        return Receipt(sid, status)


def _same(table: Table, address: Any) -> bool:
    other = table.values.get("address")
    return isinstance(other, str) and isinstance(address, str) and address_of(other) == address_of(address)


def _template(sid: str, variables: Any) -> list[tuple[str, str]]:
    if not variables:
        return [("ContentSid", sid)]
    text = variables if isinstance(variables, str) else encoded(variables).decode()
    return [("ContentSid", sid), ("ContentVariables", text)]


def _body(content: Content) -> str:
    """The content in words; a link's description goes where both are too long, the link itself never breaks."""
    text = as_link(content, BODY_LIMIT, UNIT) if isinstance(content, Attachment) else as_text(content)
    if text is None or length(text, UNIT) > BODY_LIMIT:
        raise Failure(errors.UNSUPPORTED, f"longer than Twilio's {BODY_LIMIT} characters")
    return text


def _seconds(date: Any) -> float:
    """Unix seconds of a date as the API writes it (RFC 2822); 0 where there is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0
