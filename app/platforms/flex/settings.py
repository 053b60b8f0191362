"""The configuration keys of both generations."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from marshmallow import ValidationError, fields, validate

from app.core.schema import keepable, url_field
from app.core.text import Unit
from app.platforms.destination import DestinationSchema
from app.platforms.twilio.account import TwilioSchema

BODY_LIMIT = 1_600
UNIT: Unit = "utf16"  # of every limit of Flex in characters; Twilio does not say, and these are never fewer
ONE_DAY = 86_400.0


WORDS = ("name", "address", "channel")


def is_template(text: str) -> None:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        parts = [("", "?", "", None)]
    if any(field is not None and (field not in WORDS or spec or how) for _, field, spec, how in parts):
        raise ValidationError("May hold {name}, {address} and {channel}.")


def events_field(*always: str) -> fields.List[str]:
    """The events that a webhook is for; those that nothing works without must be among them."""

    def complete(events: list[str]) -> None:
        if not set(always) <= set(events):
            raise ValidationError(f"Must hold {' and '.join(always)}.")

    event = fields.String(validate=validate.Regexp(r"on[A-Za-z]+\Z", error="Must be the name of an event."))
    return fields.List(event, load_default=list(always), validate=complete)


class FlexSchema(TwilioSchema, DestinationSchema):
    """`target` is what names the customer in Flex: their address, or the whole conversation (needed where several
    channels of one provider use this destination). `customer_name` and `chat_name` may hold {name}, {address} and
    {channel}. `media`: `upload` brings a customer's files into Flex, `link` gives their address. `media_keep`: seconds
    for which links to agents' files work. `check_every`: seconds between two looks at an open chat (300; where a
    Studio flow speaks, 15). `attributes_limit`: bytes of a task's attributes; what does not fit of the transcript, and
    then of the bot's memory, is left out."""

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
    check_every = fields.Float(load_default=None, validate=validate.Range(1))
    attributes_limit = fields.Integer(load_default=4_000, validate=validate.Range(500))
    session_timeout = fields.Float(load_default=ONE_DAY, validate=validate.Range(1))


def base_url(settings: Mapping[str, Any], name: str, default: str) -> str:
    return str(settings.get(name) or default).rstrip("/")
