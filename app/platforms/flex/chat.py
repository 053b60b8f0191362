"""Destination `flex_chat`: people answer in Twilio Flex over its legacy chat, Programmable Chat.

Twilio ended this generation in June 2026; the resources live on in its published specifications and in self-hosted
systems. Sources: Twilio's OpenAPI specifications `twilio_flex_v1` and `twilio_chat_v2`, and
https://www.twilio.com/docs/chat/webhook-events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.platforms.flex.attributes import filled, pre_engagement, task_attributes
from app.platforms.flex.destination import FlexDestination, Parts
from app.platforms.flex.media import MediaFile
from app.platforms.flex.provision import Project
from app.platforms.flex.settings import ChatSchema, base_url, flex_url
from app.platforms.flex.steps import Opening, hooks
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import LOOK_BACK, Generation, Threads
from app.platforms.flex.words import as_json, json_object, mark_of, plain
from app.platforms.provision import Run
from app.platforms.twilio.account import Account, path_part

ENDED = "INACTIVE"
# Each of the channel's two webhooks: the setting that names its events, and where it reaches us.
HOOKS = {"hook_messages": ("message_events", "new-message"), "hook_updates": ("update_events", "channel-update")}
RETRIES = "3"

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


def _status_in(attributes: Any) -> Any:
    found = json_object(attributes)
    return None if found is None else found.get("status") or ""


def _closing(channel: Mapping[str, Any]) -> dict[str, str]:
    """What else the channel knows stays."""
    return {"Attributes": as_json({**(json_object(channel.get("attributes")) or {}), "status": ENDED})}


def _files(message: Mapping[str, Any]) -> list[MediaFile]:
    """A webhook has fields of its own for it, the API an object."""
    media = message.get("media")
    if not isinstance(media, Mapping):
        names = {"sid": "MediaSid", "content_type": "MediaContentType", "filename": "MediaFilename"}
        media = {ours: message.get(theirs) for ours, theirs in names.items()}
    if not media.get("sid"):
        return []
    return [MediaFile(*(str(media.get(name) or "") for name in ("sid", "content_type", "filename")))]


GENERATION = Generation(
    thread_field="ChannelSid",
    author_field="From",
    message_events=frozenset({"onMessageSent", "onMediaMessageSent"}),
    read_event="onMemberUpdated",
    state_event="onChannelUpdated",
    state_field="Attributes",
    state="attributes",
    state_in=_status_in,
    stateless="unreadable_attributes",
    ended=ENDED,
    closing=_closing,
    ends_silently=True,
    people="Members",
    person="identity",
    ours="identity",
    horizon="last_consumed_message_index",
    horizon_field="LastConsumedMessageIndex",
    files=_files,
)


class Channels:
    """Chat channels as Flex makes them."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._flex = flex_url(settings)
        self._service: str = settings["chat_service_sid"]
        chat = base_url(settings, "chat_url", "https://chat.twilio.com")
        home = f"{chat}/v2/Services/{self._service}/Channels"
        self.threads = Threads(GENERATION, Account(settings), home, made_at=f"{self._flex}/v1/Channels")

    def create(self, opening: Opening) -> None:
        """Step `chat`. Flex gives back the open channel of the same target, if there is one: so a repeated call does
        no harm. What was said before is not news where the customer, or we for them, spoke in it; a flow's greeting
        is."""
        customer, settings, threads = opening.customer, self._settings, self.threads
        known = pre_engagement(customer, settings)
        form = {
            "FlexFlowSid": settings["flex_flow_sid"],
            "Identity": opening.identity,
            "ChatUserFriendlyName": filled(settings["customer_name"], customer),
            "ChatFriendlyName": filled(settings["chat_name"], customer),
            "Target": opening.identity,
            "PreEngagementData": as_json({**known, "memory": customer.memory} if customer.memory else known),
            "TaskAttributes": as_json(task_attributes(customer, settings)),
            "LongLived": "true" if settings["long_lived"] else "false",
        }
        made = threads.account.call("POST", threads.made_at, opening.http, form)
        handles = {"chat": made["sid"], "service": self._service}
        newest = threads.newest(handles, opening.http, None, LOOK_BACK)
        used = any(
            mark_of(said.get("attributes")) or plain(said.get("from", "")) == opening.identity for said in newest
        )
        is_old = used or len(newest) == LOOK_BACK  # no flow greets so often
        opening.stands(**handles, task=made.get("task_sid"), seen=newest[0]["index"] if is_old else -1)

    def hook_forms(self) -> dict[str, list[tuple[str, str]]]:
        """The forms of a channel's two webhooks."""
        return {
            name: [
                ("Type", "webhook"),
                ("Configuration.Url", f"{self._settings['callback']}/{path}"),
                ("Configuration.Method", "POST"),
                *(("Configuration.Filters", event) for event in self._settings[events]),
                ("Configuration.RetryCount", RETRIES),
            ]
            for name, (events, path) in HOOKS.items()
        }

    def provision(self, run: Run) -> dict[str, str]:
        """Create or update the Flex Flow, found by its friendly name."""
        settings, integration = self._settings, self._settings["integration"]
        wanted = {
            "FriendlyName": settings["friendly_name"],
            "ChatServiceSid": settings["chat_service_sid"],
            "ChannelType": "custom",
            "Enabled": True,
            "IntegrationType": integration["type"],
            "LongLived": settings["long_lived"],
            "JanitorEnabled": settings["janitor_enabled"],
            **{
                f"Integration.{theirs}": integration[ours]
                for ours, theirs in INTEGRATION.items()
                if integration.get(ours) is not None
            },
        }
        url = f"{self._flex}/v1/FlexFlows"
        named = f"{url}?FriendlyName={path_part(settings['friendly_name'])}"
        found = self.threads.account.listed(named, "flex_flows", run.http)
        flow = next((one for one in found if one.get("channel_type") == "custom"), None)
        return {"flex_flow_sid": Project(self.threads.account, run).resource(url, flow, wanted)}


class FlexChatDestination(FlexDestination):
    """Flex over chat channels that a Flex Flow routes."""

    Settings = ChatSchema
    made = {"flex_flow_sid": "FO" + "0" * 32}

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        channels = Channels(settings)
        threads, workspace = channels.threads, settings["integration"].get("workspace_sid")
        parts = Parts(
            threads=threads,
            steps=[("chat", channels.create), *hooks(threads, channels.hook_forms())],
            tasks=Tasks(settings, threads.account, workspace, "channelSid"),
            provision=channels.provision,
        )
        super().__init__(name, settings, parts)
