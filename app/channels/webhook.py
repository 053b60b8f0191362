"""Channel `webhook`: any system that can POST signed JSON.

Signatures are those of Standard Webhooks, checked and made by the `standardwebhooks` library
(https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import orjson
from marshmallow import ValidationError, fields, validate, validates_schema
from standardwebhooks.webhooks import Webhook as Signer
from standardwebhooks.webhooks import WebhookVerificationError

from app.channels.base import ChannelSchema, Outgoing, Usual
from app.core.errors import Unverified
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
from app.core.message import Profile, Text, content_to_dict, new_id
from app.core.render import EVERYTHING, Capabilities
from app.core.schema import (
    ID_LIMIT,
    TEXT_LIMIT,
    ContentField,
    Lenient,
    ProfileSchema,
    keepable,
    load,
    parse_json,
    text_field,
    url_field,
)
from app.core.settings import secret_field
from app.core.status import STATUSES
from app.http import Http, Response

MOST_SIGNATURES = 10
SECRET_BYTES = range(24, 65)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
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
            if not _is_secret(secret):
                raise ValidationError({str(number): ["Must be whsec_ and 24 to 64 bytes in base64."]}, "secrets")


class _CustomerSchema(ProfileSchema):
    id = text_field(ID_LIMIT)


class _MessageSchema(Lenient):
    id = text_field(ID_LIMIT)
    customer = fields.Nested(_CustomerSchema, required=True, data_key="from")
    content = ContentField(required=True)
    metadata = fields.Dict(keys=fields.String(), load_default=dict, validate=keepable)


class _StatusSchema(Lenient):
    message_id = text_field(ID_LIMIT)
    status = fields.String(required=True, validate=validate.OneOf(REPORTED))
    error = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=1000))


class _FromSchema(Lenient):
    customer = fields.Nested(_CustomerSchema, required=True, data_key="from")


class _EnvelopeSchema(Lenient):
    type = text_field(64)
    timestamp = fields.AwareDateTime(format="iso", default_timezone=UTC, load_default=None)
    data = fields.Dict(required=True)


_envelope, _message, _status, _from = _EnvelopeSchema(), _MessageSchema(), _StatusSchema(), _FromSchema()


class WebhookChannel(Usual):
    """See `app.channels.base.Channel` for the verbs."""

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

    def verify(self, webhook: Webhook) -> None:
        if not self._signers:
            return
        missing = [name for name in HEADERS if not webhook.headers.get(name)]
        if missing:
            raise Unverified(f"the header {missing[0]} is missing")
        reason = "the signature does not match"
        entries = webhook.headers["webhook-signature"].split()[:MOST_SIGNATURES]
        for signer, entry in product(self._signers, entries):
            headers = {**{name: webhook.headers[name] for name in HEADERS}, "webhook-signature": entry}
            try:
                signer.verify(webhook.body, headers, json_parse=False)
            except WebhookVerificationError as error:
                if "timestamp" in str(error) or "Headers" in str(error):
                    reason = "the timestamp is no number or more than five minutes off"
            except ValueError:
                continue  # an entry that is no `version,base64`, or a body that is no text
            else:
                return
        raise Unverified(reason)

    def parse(self, webhook: Webhook) -> list[Event]:
        body = parse_json(webhook.body)
        if plain := _plain_text(body):
            external_id, customer, text = plain
            return [Written(Text(text), external_id=external_id, customer=f"{self.provider}:{customer}")]
        envelope = load(_envelope, body)
        match envelope["type"]:
            case "message.created":
                return [self._written(envelope)]
            case "message.status":
                data = load(_status, envelope["data"], "data")
                return [Reported(data["message_id"], data["status"], data["error"])]
            case "conversation.typing":
                return [Typing(customer=self._customer(envelope))]
            case "conversation.ended":
                return [Ended(webhook.headers.get("webhook-id"), customer=self._customer(envelope))]
            case other:
                return [Ignored(other)]

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(202, {"accepted": [entry.as_dict() for entry in accepted]})

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        message = outgoing.message
        data = {
            "id": outgoing.id,
            "to": self._to(message.customer),
            "author": message.author,
            "content": content_to_dict(outgoing.content),
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

    def _written(self, envelope: Mapping[str, Any]) -> Written:
        data = load(_message, envelope["data"], "data")
        customer = data["customer"]
        return Written(
            content=data["content"],
            external_id=data["id"],
            customer=f"{self.provider}:{customer['id']}",
            profile=_profile(customer),
            metadata=data["metadata"],
        )

    def _customer(self, envelope: Mapping[str, Any]) -> str:
        return f"{self.provider}:{load(_from, envelope['data'], 'data')['customer']['id']}"

    def _to(self, customer: str) -> dict[str, str]:
        return {"id": customer.removeprefix(f"{self.provider}:")}

    def _post(self, kind: str, event_id: str | None, at: int | None, data: Mapping[str, Any], http: Http) -> Response:
        """POST one envelope. `event_id` stays the same over retries, so the receiver can tell a repeat."""
        now = datetime.fromtimestamp(int(time.time()), UTC)
        happened = datetime.fromtimestamp(at / 1000, UTC) if at else now
        body = orjson.dumps({"type": kind, "timestamp": happened, "data": data}, option=orjson.OPT_UTC_Z)
        event_id = event_id or new_id()
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._signers:
            headers["webhook-signature"] = self._signers[0].sign(event_id, now, body.decode())
        return http.post(self._url, body=body, headers=headers, timeout=self._timeout).check()


def _plain_text(body: Mapping[str, Any]) -> tuple[str, str, str] | None:
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
    try:
        _envelope.fields["timestamp"].deserialize(value)
    except ValidationError:
        return False
    return True


def _is_secret(secret: str) -> bool:
    """The library takes any base64, even with other characters strewn in."""
    key = secret.removeprefix("whsec_").rstrip("=")
    try:
        size = len(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except ValueError:
        return False
    return secret.startswith("whsec_") and size in SECRET_BYTES


def _profile(customer: Mapping[str, Any]) -> Profile | None:
    values = {name: value for name, value in customer.items() if name != "id"}
    return Profile(**values) if values else None


def _external_id(answer: Response) -> str | None:
    """The id in a 2xx answer, if it carries one; the body is the receiver's own business otherwise."""
    try:
        value = orjson.loads(answer.body)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and 0 < len(value) <= ID_LIMIT else None
