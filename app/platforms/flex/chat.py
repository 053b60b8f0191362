"""Destination `flex_chat`: people answer in Twilio Flex over its legacy chat, Programmable Chat.

Twilio ended this generation in June 2026; the resources live on in its published specifications and in self-hosted
systems. Sources: Twilio's OpenAPI specifications `twilio_flex_v1` and `twilio_chat_v2`, and
https://www.twilio.com/docs/chat/webhook-events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.core.events import Changed, Ended, Event, Ignored
from app.core.schema import LABEL_LIMIT, url_field
from app.core.settings import sid_field
from app.http import Http
from app.platforms.flex.destination import LOOK_BACK, WAKE, FlexDestination
from app.platforms.flex.opening import Opening, Step, filled, pre_engagement, task_attributes
from app.platforms.flex.provision import Provisioning
from app.platforms.flex.settings import FlexSchema, base_url, events_field
from app.platforms.flex.words import as_json, json_object, mark_of, plain
from app.platforms.twilio.account import path_part

OVER = "INACTIVE"
# Each of the channel's two webhooks: the setting that names its events, and where it reaches us.
HOOKS = {"hook_messages": ("message_events", "new-message"), "hook_updates": ("update_events", "channel-update")}
RETRIES = "3"

# What a kind of integration cannot do without.
NEEDED = {"studio": ("flow_sid",), "external": ("url",), "task": ("workspace_sid", "workflow_sid", "channel")}
# The Flex Flow's names of the integration's keys; the API answers with ours.
INTEGRATION = {
    "flow_sid": "FlowSid",
    "url": "Url",
    "workspace_sid": "WorkspaceSid",
    "workflow_sid": "WorkflowSid",
    "channel": "Channel",
    "timeout": "Timeout",
    "priority": "Priority",
    "creation_on_message": "CreationOnMessage",
    "retry_count": "RetryCount",
}


class IntegrationSchema(Schema):
    """What happens when a chat begins; all keys but `type` are the Flex Flow's own. `timeout` in seconds."""

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

    @validates_schema
    def _whole(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        for name in NEEDED[data["type"]]:
            if data.get(name) is None:
                raise ValidationError(f"Required for type = {data['type']!r}.", name)


class Settings(FlexSchema):
    """`flex_flow_sid` is what `patchbay flex provision` prints; `friendly_name`, `long_lived` and `janitor_enabled` are
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


class FlexChatDestination(FlexDestination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    CHAT_FIELD = "ChannelSid"
    AUTHOR_FIELD = "From"
    MESSAGE_EVENTS = frozenset({"onMessageSent", "onMediaMessageSent"})
    READ_EVENTS = frozenset({"onMemberUpdated"})
    TASK_FIELD = "channelSid"
    ENDS_SILENTLY = True

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings, settings["integration"].get("workspace_sid"))
        self._service: str = settings["chat_service_sid"]
        chat = base_url(settings, "chat_url", "https://chat.twilio.com")
        self._channels = f"{chat}/v2/Services/{self._service}/Channels"

    def provision(self, run: Provisioning) -> dict[str, str]:
        """Create or update the Flex Flow, found by its friendly name."""
        values, integration = self._settings, self._settings["integration"]
        wanted = {
            "FriendlyName": values["friendly_name"],
            "ChatServiceSid": self._service,
            "ChannelType": "custom",
            "Enabled": True,
            "IntegrationType": integration["type"],
            "LongLived": values["long_lived"],
            "JanitorEnabled": values["janitor_enabled"],
            **{
                f"Integration.{theirs}": integration[ours]
                for ours, theirs in INTEGRATION.items()
                if integration.get(ours) is not None
            },
        }
        url = f"{self._flex}/v1/FlexFlows"
        found = self.account.listed(f"{url}?FriendlyName={path_part(values['friendly_name'])}", "flex_flows", run.http)
        flow = next((one for one in found if one.get("channel_type") == "custom"), None)
        return {"flex_flow_sid": run.resource(url, flow, wanted)}

    def _steps(self) -> Sequence[Step]:
        return (("chat", self._create), *((name, partial(self._add_hook, name)) for name in HOOKS))

    def _create(self, opening: Opening) -> None:
        """Flex gives back the open channel of the same target, if there is one: so a repeated call does no harm. What
        was said before is not news where the customer, or we for them, spoke in it; a flow's greeting is."""
        known = pre_engagement(opening, self._settings)
        form = {
            "FlexFlowSid": self._settings["flex_flow_sid"],
            "Identity": opening.identity,
            "ChatUserFriendlyName": filled(self._settings["customer_name"], opening),
            "ChatFriendlyName": filled(self._settings["chat_name"], opening),
            "Target": opening.identity,
            "PreEngagementData": as_json({**known, "memory": opening.memory} if opening.memory else known),
            "TaskAttributes": as_json(task_attributes(opening, self._settings)),
            "LongLived": "true" if self._settings["long_lived"] else "false",
        }
        made = self.account.call("POST", f"{self._flex}/v1/Channels", opening.http, form)
        handles = {"chat": made["sid"], "service": self._service}
        newest = self._newest(handles, opening.http, None, LOOK_BACK)
        used = any(
            mark_of(said.get("attributes")) or plain(said.get("from", "")) == opening.identity for said in newest
        )
        is_old = used or len(newest) == LOOK_BACK  # no flow greets so often
        seen = newest[0]["index"] if is_old else -1
        opening.stands(**handles, task=made.get("task_sid"), seen=seen)

    def _add_hook(self, name: str, opening: Opening) -> None:
        setting, path = HOOKS[name]
        form = [
            ("Type", "webhook"),
            ("Configuration.Url", f"{self._callback}/{path}"),
            ("Configuration.Method", "POST"),
            *(("Configuration.Filters", event) for event in self._settings[setting]),
            ("Configuration.RetryCount", RETRIES),
        ]
        self._hook(opening, name, form)

    def _url(self, handles: Mapping[str, Any]) -> str:
        return f"{self._channels}/{handles['chat']}"

    def _update(self, chat: str, event: str, values: Mapping[str, str]) -> list[Event]:
        if event != "onChannelUpdated":
            return [Ignored(event)]
        attributes = json_object(values.get("Attributes"))
        if attributes is None:
            return [Ignored("unreadable_attributes"), Changed(chat)]  # the channel itself knows
        return [Ended(chat, alias=chat)] if attributes.get("status") == OVER else [Ignored(event)]

    def _is_over(self, chat: Mapping[str, Any]) -> bool:
        return (json_object(chat.get("attributes")) or {}).get("status") == OVER

    def _media_of(self, message: Mapping[str, Any]) -> list[Mapping[str, str]]:
        """A webhook has fields of its own for it, the API an object."""
        media = message.get("media")
        if not isinstance(media, Mapping):
            media = {
                "sid": message.get("MediaSid"),
                "content_type": message.get("MediaContentType"),
                "filename": message.get("MediaFilename"),
            }
        if not media.get("sid"):
            return []
        known = {name: str(media.get(name) or "") for name in ("sid", "content_type", "filename")}
        return [{"service": self._service, **known}]

    def _horizon(self, handles: Mapping[str, Any], http: Http) -> int:
        members = self.account.listed(f"{self._url(handles)}/Members", "members", http)
        others = [one for one in members if plain(one["identity"]) != handles["identity"]]
        read = [one.get("last_consumed_message_index") for one in others]
        return max((index for index in read if index is not None), default=-1)

    def _move_horizon(self, handles: Mapping[str, Any], index: int, http: Http) -> None:
        url = f"{self._url(handles)}/Members/{path_part(handles['identity'])}"
        member = self.account.find(url, http)
        if member and (member.get("last_consumed_message_index") or -1) < index:
            self.account.call("POST", url, http, {"LastConsumedMessageIndex": str(index)})

    def _end(self, handles: Mapping[str, Any], http: Http) -> None:
        channel = self.account.find(self._url(handles), http)
        if channel is not None and not self._is_over(channel):
            attributes = {**(json_object(channel.get("attributes")) or {}), "status": OVER}
            self.account.call("POST", self._url(handles), http, {"Attributes": as_json(attributes)}, {WAKE: "true"})

    def _delete(self, handles: Mapping[str, Any], http: Http) -> None:
        self.account.remove(f"{self._flex}/v1/Channels/{handles['chat']}", http)
