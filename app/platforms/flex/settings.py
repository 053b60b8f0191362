"""The configuration keys of both generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.core.schema import LABEL_LIMIT, keepable, url_field
from app.core.settings import sid_field
from app.core.text import Unit
from app.platforms.destination import DestinationSchema
from app.platforms.twilio.settings import TwilioSchema

BODY_LIMIT = 1_600
UNIT: Unit = "utf16"  # of every limit of Flex in characters; Twilio does not say, and these are never fewer
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
    for which links to agents' files work. `check_every`: seconds between two polls of an open chat (300; where a
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


class KindSchema(Schema):
    """A table of several kinds by its `type`: what each of them cannot do without is `NEEDED`."""

    NEEDED: ClassVar[Mapping[str, Sequence[str]]]

    @validates_schema
    def _whole(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        for name in self.NEEDED[data["type"]]:
            if data.get(name) is None:
                raise ValidationError(f"Required for type = {data['type']!r}.", name)


class IntegrationSchema(KindSchema):
    """What happens when a chat begins; all keys but `type` are the Flex Flow's own. `timeout` in seconds."""

    NEEDED = {"studio": ("flow_sid",), "external": ("url",), "task": ("workspace_sid", "workflow_sid", "channel")}

    type = fields.String(required=True, validate=validate.OneOf(list(NEEDED)))
    flow_sid = sid_field("FW", required=False)
    url = url_field(required=False)
    workspace_sid = sid_field("WS", required=False)
    workflow_sid = sid_field("WW", required=False)
    channel = fields.String(load_default=None, validate=validate.Length(1, LABEL_LIMIT))
    timeout = fields.Integer(load_default=None, validate=validate.Range(1))
    priority = fields.Integer(load_default=None, validate=validate.Range(0))
    creation_on_message = fields.Boolean(load_default=None)
    retry_count = fields.Integer(load_default=None, validate=validate.Range(0, 3))


class ChatSchema(FlexSchema):
    """`flex_flow_sid` is what `patchbay provision` prints; `friendly_name`, `long_lived` and `janitor_enabled` are
    the Flex Flow's. `message_events` and `update_events` are what a chat's two webhooks are for: `onMediaMessageSent`
    and `onMemberUpdated` may be added where a project sends them."""

    chat_service_sid = sid_field("IS")
    flex_flow_sid = sid_field("FO")
    chat_url = url_field(required=False)
    friendly_name = fields.String(load_default="Patchbay", validate=validate.Length(1, LABEL_LIMIT))
    integration = fields.Nested(IntegrationSchema, required=True)
    message_events = events_field("onMessageSent")
    update_events = events_field("onChannelUpdated")
    long_lived = fields.Boolean(load_default=False)
    janitor_enabled = fields.Boolean(load_default=False)


class RoutingSchema(KindSchema):
    """How an agent gets to know of a chat: by an Interaction that we make, or by a Studio flow."""

    NEEDED = {"interaction": ("workspace_sid", "workflow_sid"), "studio": ("flow_sid",)}

    type = fields.String(load_default="interaction", validate=validate.OneOf(list(NEEDED)))
    workspace_sid = sid_field("WS", required=False)
    workflow_sid = sid_field("WW", required=False)
    task_channel = fields.String(load_default="chat", validate=validate.Length(1, LABEL_LIMIT))
    flow_sid = sid_field("FW", required=False)


class ConversationsSchema(FlexSchema):
    """`webhook_filters` are the events that a conversation's webhook is for; with `onParticipantUpdated` among them it
    is seen at once what agents have read. `address` names the chat address that `patchbay provision` makes."""

    chat_service_sid = sid_field("IS", required=False)
    conversations_url = url_field(required=False)
    routing = fields.Nested(RoutingSchema, required=True)
    webhook_filters = events_field("onMessageAdded", "onConversationStateUpdated")
    address = fields.String(load_default="patchbay", validate=validate.Length(1, LABEL_LIMIT))


def base_url(settings: Mapping[str, Any], name: str, default: str) -> str:
    return str(settings.get(name) or default).rstrip("/")


def flex_url(settings: Mapping[str, Any]) -> str:
    return base_url(settings, "flex_url", "https://flex-api.twilio.com")
