"""The configuration keys of both generations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from app.core.schema import keepable, url_field
from app.twilio import TwilioSchema

BODY_LIMIT = 1_600
ONE_DAY = 86_400.0


def is_template(text: str) -> None:
    try:
        text.format_map({"name": "", "address": "", "channel": ""})
    except (KeyError, IndexError, ValueError, AttributeError):
        raise ValidationError("May hold {name}, {address} and {channel}.") from None


class FlexSchema(TwilioSchema):
    """`target` is what names the customer in Flex: his address, or the whole conversation (needed where several
    channels of one provider use this destination). `customer_name` and `chat_name` may hold {name}, {address} and
    {channel}. `media`: `upload` brings a customer's files into Flex, `link` gives their address. `media_keep`: seconds
    for which links to agents' files work. `check_every`: seconds between two looks at an open chat."""

    flex_url = url_field(required=False)
    media_url = url_field(required=False)
    taskrouter_url = url_field(required=False)
    target = fields.String(load_default="address", validate=validate.OneOf(["address", "conversation"]))
    customer_name = fields.String(load_default="{name}", validate=is_template)
    chat_name = fields.String(load_default="{channel} {name}", validate=is_template)
    task_attributes = fields.Dict(keys=fields.String(), load_default=dict, validate=keepable)
    pre_engagement = fields.Dict(keys=fields.String(), load_default=dict, validate=keepable)
    ended_text = fields.String(load_default=None, validate=validate.Length(1, BODY_LIMIT))
    media = fields.String(load_default="upload", validate=validate.OneOf(["upload", "link"]))
    media_keep = fields.Integer(load_default=7 * 86_400, validate=validate.Range(60))
    check_every = fields.Float(load_default=300.0, validate=validate.Range(1))
    session_timeout = fields.Float(load_default=ONE_DAY, validate=validate.Range(1))


def base_url(settings: Mapping[str, Any], name: str, default: str) -> str:
    return str(settings.get(name) or default).rstrip("/")
