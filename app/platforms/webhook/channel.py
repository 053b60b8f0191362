"""Channel `webhook`: any system that can POST signed JSON.

Signatures are those of Standard Webhooks, checked and made by the `standardwebhooks` library
(https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import ValidationError, fields, validate, validates_schema
from standardwebhooks.webhooks import WebhookVerificationError

from app.core import errors
from app.core.errors import Failure, Unverified
from app.core.events import (
    Accepted,
    Ended,
    Event,
    Ignored,
    Receipt,
    Reply,
    Reported,
    StatusReport,
    Typing,
    Webhook,
    Written,
)
from app.core.message import Profile, Text, new_id, outward
from app.core.reading import Unreadable, encoded, parsed
from app.core.render import EVERYTHING, Capabilities
from app.core.schema import (
    ID_LIMIT,
    TEXT_LIMIT,
    ContentField,
    Detail,
    Lenient,
    Moment,
    ProfileSchema,
    id_field,
    label_field,
    load,
    metadata_field,
    parse_json,
    text_field,
    url_field,
)
from app.core.settings import secret_field
from app.core.status import STATUSES
from app.http import Http, Response
from app.platforms.channel import Channel, ChannelSchema, Outgoing
from app.platforms.proofs import NOTHING_SAID
from app.platforms.webhook.signatures import HEADERS, Signer, is_secret, signature_headers, signed_bodies

MAX_SIGNATURES = 10
NO_MORE = (400, 410, 413, 422)  # answers after which the standard wants no other try
THEIR_OWN = (401, 408, 429)  # answers that have a kind of their own, which is tried again
REPORTED = [status for status in STATUSES if status != "queued"]


class Settings(ChannelSchema):
    """`secrets` sign and verify, the first one signs. `verification = "none"` is only for loopback. `statuses = false`
    keeps the customers' own statuses to ourselves."""

    secrets = fields.List(secret_field(), load_default=list)
    verification = fields.String(load_default="required", validate=validate.OneOf(["required", "none"]))
    send_url = url_field()
    provider = fields.String(load_default="webhook", validate=validate.Regexp(r"^[a-z][a-z0-9_]{0,31}\Z"))
    statuses = fields.Boolean(load_default=True)
    typing = fields.Boolean(load_default=False)

    @validates_schema
    def _secrets_work(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if data["verification"] == "required" and not data["secrets"]:
            raise ValidationError('At least one is required, or verification = "none".', "secrets")
        for number, secret in enumerate(data["secrets"]):
            if not is_secret(secret):
                raise ValidationError({str(number): ["Must be whsec_ and 24 to 64 bytes in base64."]}, "secrets")


class _CustomerSchema(ProfileSchema):
    id = id_field()


class _MessageSchema(Lenient):
    id = id_field()
    customer = fields.Nested(_CustomerSchema, required=True, data_key="from")
    content = ContentField(required=True)
    metadata = metadata_field()


class _StatusSchema(Lenient):
    message_id = id_field()
    status = fields.String(required=True, validate=validate.OneOf(REPORTED))
    error = label_field(1000)


class _FromSchema(Lenient):
    customer = fields.Nested(_CustomerSchema, required=True, data_key="from")


class _TypeSchema(Lenient):
    type = text_field(64)


class _EnvelopeSchema(_TypeSchema):
    timestamp = Detail(Moment())
    data = fields.Dict(required=True)


_moment, _id = Moment(), id_field()
_type, _envelope, _from = _TypeSchema(), _EnvelopeSchema(), _FromSchema()
_message, _status = _MessageSchema(), _StatusSchema()


class WebhookChannel(Channel):
    """See `app.platforms.channel.Channel` for the verbs."""

    Settings = Settings
    # The sample schedule of Standard Webhooks ends after 76 hours; whoever passes on what Meta repeats takes a week.
    repeats_for = 7 * 86_400.0

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.provider: str = settings["provider"]
        self.capabilities = Capabilities(
            contents=EVERYTHING, typing=settings["typing"], statuses=settings["statuses"], resend_safe=True
        )
        self._url: str = settings["send_url"]
        self._timeout: float = settings["timeout"]
        self._signers = [Signer(secret) for secret in settings["secrets"]]

    def sample(self, callback: str) -> Webhook:
        now = _now()
        body = _body(NOTHING_SAID, now, {})
        return Webhook("POST", callback, urlsplit(callback).path, self._signed(new_id(), now, body), body)

    def verify(self, webhook: Webhook) -> None:
        if not self._signers:
            return
        signed = signature_headers(webhook.headers)
        missing = [name for name in HEADERS if not signed.get(name)]
        if missing:
            raise Unverified(f"the header {missing[0]} is missing")
        reason = "the signature does not match"
        entries = signed["webhook-signature"].split()[:MAX_SIGNATURES]
        for signer, entry, body in product(self._signers, entries, signed_bodies(webhook)):
            try:
                signer.verify(body, {**signed, "webhook-signature": entry}, json_parse=False)
            except WebhookVerificationError as error:
                if "timestamp" in str(error) or "Headers" in str(error):
                    reason = "the timestamp is no number or more than five minutes off"
            except ValueError:
                continue  # an entry that is no `version,base64`
            else:
                return
        raise Unverified(reason)

    def parse(self, webhook: Webhook) -> list[Event]:
        body = parse_json(webhook.body, webhook.headers.get("content-type", ""))
        if plain := plain_text(body):
            external_id, customer, text = plain
            return [Written(Text(text), external_id=external_id, customer=f"{self.provider}:{customer}")]
        kind = load(_type, body)["type"]
        read = READERS.get(kind)
        # what an event holds that we do not know may be anything
        return [read(self, load(_envelope, body)["data"], webhook) if read else Ignored(kind)]

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(202, {"accepted": [entry.as_dict() for entry in accepted]})

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        message = outgoing.message
        data = {
            "id": outgoing.id,
            "to": self._to(message.customer),
            "author": message.author,
            "content": outward(outgoing.content),
        }
        answer = self._post("message.created", outgoing.id, message.at, data, http)
        return Receipt(external_id=_external_id(answer))

    def report(self, report: StatusReport, http: Http) -> None:
        message = report.message
        data = {
            "id": message.external_id,
            "message_id": message.id,
            "to": self._to(message.customer),
            "status": report.status,
        }
        if report.error:
            data["error"] = report.error
        self._post("message.status", f"{message.id}_{report.status}", report.at, data, http)

    def typing(self, customer: str, http: Http) -> None:
        self._post("conversation.typing", None, None, {"to": self._to(customer)}, http)

    def ended(self, customer: str, event_id: str, http: Http) -> None:
        self._post("conversation.ended", event_id, None, {"to": self._to(customer)}, http)

    def _written(self, data: Mapping[str, Any], webhook: Webhook) -> Event:
        data = load(_message, data, "data")
        customer = data["customer"]
        return Written(
            content=data["content"],
            external_id=data["id"],
            customer=f"{self.provider}:{customer['id']}",
            profile=_profile(customer),
            metadata=data["metadata"],
        )

    def _reported(self, data: Mapping[str, Any], webhook: Webhook) -> Event:
        data = load(_status, data, "data")
        return Reported(data["message_id"], data["status"], data.get("error"))

    def _typing(self, data: Mapping[str, Any], webhook: Webhook) -> Event:
        return Typing(customer=self._customer(data))

    def _ended(self, data: Mapping[str, Any], webhook: Webhook) -> Event:
        return Ended(signature_headers(webhook.headers).get("webhook-id"), customer=self._customer(data))

    def _customer(self, data: Mapping[str, Any]) -> str:
        return f"{self.provider}:{load(_from, data, 'data')['customer']['id']}"

    def _to(self, customer: str) -> dict[str, str]:
        return {"id": customer.removeprefix(f"{self.provider}:")}

    def _post(self, kind: str, event_id: str | None, at: int | None, data: Mapping[str, Any], http: Http) -> Response:
        """POST one envelope. `event_id` stays the same over retries, so the receiver can tell a repeat."""
        now = _now()
        body = _body(kind, datetime.fromtimestamp(at / 1000, UTC) if at else now, data)
        headers = self._signed(event_id or new_id(), now, body)
        return _checked(http.post(self._url, body=body, headers=headers, timeout=self._timeout))

    def _signed(self, event_id: str, now: datetime, body: bytes) -> dict[str, str]:
        """The headers of a webhook."""
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._signers:
            headers["webhook-signature"] = self._signers[0].sign(event_id, now, body.decode())
        return headers


READERS: Mapping[str, Callable[[WebhookChannel, Mapping[str, Any], Webhook], Event]] = {
    "message.created": WebhookChannel._written,
    "message.status": WebhookChannel._reported,
    "conversation.typing": WebhookChannel._typing,
    "conversation.ended": WebhookChannel._ended,
}


def _now() -> datetime:
    return datetime.fromtimestamp(int(time.time()), UTC)


def _body(kind: str, happened: datetime, data: Mapping[str, Any]) -> bytes:
    return encoded({"type": kind, "timestamp": happened, "data": data}, orjson.OPT_UTC_Z)


def _checked(answer: Response) -> Response:
    """This answer if it is a success. The standard wants another try after whatever may pass. Raises: Failure."""
    try:
        return answer.check()
    except Failure as failure:
        if answer.status in NO_MORE or answer.status in THEIR_OWN:
            raise
        raise failure.restated(errors.UNAVAILABLE) from None


def plain_text(body: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(external id, customer's id, text) of a message that is nothing but a valid text; None leaves it to the schemas.

    Nearly every webhook is one, and the schemas are a fifth of what taking it costs. They alone refuse: whatever is odd
    here in the least goes to them, and a test holds the two to the same answer.
    """
    match body:
        case {
            "type": "message.created",
            "data": {
                "id": str(external_id),
                "from": {"id": str(customer)} as sender,
                "content": {"type": "text", "text": str(text)},
            } as data,
        }:
            short = 0 < len(external_id) <= ID_LIMIT and 0 < len(customer) <= ID_LIMIT and 0 < len(text) <= TEXT_LIMIT
            alone = len(sender) == 1 and "metadata" not in data
            if short and alone and _is_time(body.get("timestamp")):
                return external_id, customer, text
    return None


def _is_time(value: Any) -> bool:
    if value is None:
        return True
    try:
        _moment.deserialize(value)
    except ValidationError:
        return False
    return True


def _profile(customer: Mapping[str, Any]) -> Profile | None:
    values = {name: value for name, value in customer.items() if name != "id"}
    return Profile(**values) if values else None


def _external_id(answer: Response) -> str | None:
    """The id in a 2xx answer, if it carries one; the body is the receiver's own business otherwise."""
    try:
        value: str = _id.deserialize(parsed(answer.body, answer.headers.get("content-type", ""))["id"])
    except (Failure, Unreadable, ValidationError, KeyError, TypeError):
        return None
    return value
