"""The configuration keys of a TwiML application."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from app.core.address import address_of
from app.core.settings import sid_field
from app.platforms.destination import DestinationSchema
from app.platforms.twilio.addresses import is_address
from app.platforms.twilio.message import CALLBACK_RULE, is_callback_url
from app.platforms.twilio.settings import TwilioSchema
from app.platforms.twiml.document import METHODS


def _address(value: str) -> None:
    if not is_address(address_of(value)) or " " in value:
        raise ValidationError("Must be provider:identifier, or a number: webchat:shop, +1555...")


def _callback(value: str) -> None:
    if not is_callback_url(value):
        raise ValidationError(CALLBACK_RULE)


def _callback_field() -> fields.String:
    return fields.String(load_default=None, allow_none=True, validate=_callback)


def _method_field() -> fields.String:
    return fields.String(load_default=METHODS[0], validate=validate.OneOf(METHODS))


class Settings(TwilioSchema, DestinationSchema):
    """`address` is what the application is written to, as Twilio writes it: a number alone is one for SMS.
    `callback_url` is told of each message, `fallback_url` if that fails, `status_callback_url` of what became of the
    application's messages that name no address for that. `messaging_service_sid`: the address is one of this service's.
    `channel` is the one that is meant where several of one provider use this destination. Without
    `resend_after_timeout`, a call whose outcome is unknown is not made again."""

    address = fields.String(
        required=True,
        validate=_address,
    )
    callback_url = fields.String(required=True, validate=_callback)
    callback_method = _method_field()
    fallback_url = _callback_field()
    fallback_method = _method_field()
    status_callback_url = _callback_field()
    status_callback_method = _method_field()
    messaging_service_sid = sid_field("MG", required=False)
    channel = fields.String(load_default=None)
    timeout = fields.Float(load_default=15.0, validate=validate.Range(0.1, 300))
    resend_after_timeout = fields.Boolean(load_default=True)
