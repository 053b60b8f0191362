"""Destination `flex_conversations`: people answer in Twilio Flex over Conversations (classic) and Interactions.

Sources: Twilio's OpenAPI specifications `twilio_conversations_v1` and `twilio_flex_v1`,
https://www.twilio.com/docs/conversations/conversations-webhooks and
https://www.twilio.com/docs/flex/developer/conversations/interactions-api/interactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.core.events import Changed, Checkup, Ended, Event, Ignored, Webhook
from app.core.reading import Unreadable, parsed
from app.core.schema import LABEL_LIMIT, url_field
from app.core.session import Session
from app.core.settings import sid_field
from app.http import Http
from app.platforms.destination import Who
from app.platforms.flex.destination import WAKE, FlexDestination
from app.platforms.flex.opening import Opening, Step, filled, pre_engagement, task_attributes
from app.platforms.flex.provision import Provisioning
from app.platforms.flex.settings import FlexSchema, base_url, events_field
from app.platforms.flex.words import as_json, json_object
from app.platforms.twilio.account import Resource, TwilioFailure, form_of, path_part

CLOSED, FAILED = "closed", "failed"
CONFLICT = 409
STUDIO_CHECK = 15.0  # seconds
CONVERSATION = "conversationSid"  # a task's attribute; Flex sets it, too
NEEDED = {"interaction": ("workspace_sid", "workflow_sid"), "studio": ("flow_sid",)}


class RoutingSchema(Schema):
    """How an agent gets to know of a chat: by an Interaction that we make, or by a Studio flow."""

    type = fields.String(load_default="interaction", validate=validate.OneOf(list(NEEDED)))
    workspace_sid = sid_field("WS", required=False)
    workflow_sid = sid_field("WW", required=False)
    task_channel = fields.String(load_default="chat", validate=validate.Length(1, LABEL_LIMIT))
    flow_sid = sid_field("FW", required=False)

    @validates_schema
    def _whole(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        for name in NEEDED[data["type"]]:
            if data.get(name) is None:
                raise ValidationError(f"Required for type = {data['type']!r}.", name)


class Settings(FlexSchema):
    """`webhook_filters` are the events that a conversation's webhook is for; with `onParticipantUpdated` among them it
    is seen at once what agents have read. `address` names the chat address that `patchbay flex provision` makes."""

    chat_service_sid = sid_field("IS", required=False)
    conversations_url = url_field(required=False)
    routing = fields.Nested(RoutingSchema, required=True)
    webhook_filters = events_field("onMessageAdded", "onConversationStateUpdated")
    address = fields.String(load_default="patchbay", validate=validate.Length(1, LABEL_LIMIT))


class FlexConversationsDestination(FlexDestination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    CHAT_FIELD = "ConversationSid"
    AUTHOR_FIELD = "Author"
    MESSAGE_EVENTS = frozenset({"onMessageAdded"})
    READ_EVENTS = frozenset({"onParticipantUpdated"})
    TASK_FIELD = CONVERSATION
    ENDS_SILENTLY = False

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings, settings["routing"].get("workspace_sid"))
        if settings["check_every"] is None and settings["routing"]["type"] == "studio":
            self.watch = STUDIO_CHECK  # what a flow says fires no webhook of the conversation
        self._routing: Mapping[str, Any] = settings["routing"]
        self._base = base_url(settings, "conversations_url", "https://conversations.twilio.com") + "/v1"
        service = settings["chat_service_sid"]
        self._home = f"{self._base}/Services/{service}" if service else self._base

    def provision(self, run: Provisioning) -> dict[str, str]:
        """The webhook for what no conversation's own webhook tells (messages of Studio), and the chat address."""
        values = self._settings
        hooks = {
            "PostWebhookUrl": f"{self._callback}/events",
            "Method": "POST",
            "Filters": values["webhook_filters"],
        }
        url = f"{self._home}/Configuration/Webhooks"
        there = self.account.find(url, run.http)
        others = there.get("post_webhook_url") if there else None
        if others in (None, "", hooks["PostWebhookUrl"]):
            run.resource(url, there, hooks, single=True)
        else:
            run.notes.append(
                f"The service's webhooks go to {others} and are left alone. Chats work all the same; what a Studio "
                "flow says is found with the next look."
            )
        studio = self._routing["type"] == "studio"
        address = {
            "Type": "chat",
            "Address": values["address"],
            "FriendlyName": f"Patchbay {self.name}",
            "AutoCreation.Enabled": studio,
            **(
                {"AutoCreation.Type": "studio", "AutoCreation.StudioFlowSid": self._routing["flow_sid"]}
                if studio
                else {}
            ),
        }
        url = f"{self._base}/Configuration/Addresses"
        found = self.account.listed(f"{url}?Type=chat", "address_configurations", run.http)
        same = next((one for one in found if one.get("address") == values["address"]), None)
        run.notes.append(f"The chat address is {run.resource(url, same, address) or 'not made yet'}.")
        return {}

    def parse(self, webhook: Webhook) -> list[Event]:
        """Besides a conversation's own events: the chat service's `onMessageSent`, the only one that tells of what a
        Studio flow says. Its author is not to be trusted, so the conversation is asked."""
        form = form_of(webhook)
        if form.get("EventType") == "onMessageSent" and form.get("ChannelSid"):
            return [Changed(form["ChannelSid"])]
        return super().parse(webhook)

    def check(self, session: Session, seen: int | None, http: Http) -> Checkup:
        """Besides the chat: Flex sets an interaction up after it answered, and that may fail."""
        checkup = super().check(session, seen, http)
        channel = self._interaction_channel(session.handles)
        if checkup.over or channel is None:
            return checkup
        state = self.account.find(channel, http)
        failed = state is not None and state.get("status") == FAILED
        return Checkup(checkup.written, checkup.seen, checkup.read, over=failed)

    def close(self, session: Session, who: Who, http: Http) -> None:
        """A conversation whose interaction failed is still open, and the customer's next words would go there."""
        super().close(session, who, http)
        if who == "platform" and session.handles.get("ready"):
            self._end_conversation(session.handles, http)

    def _steps(self) -> Sequence[Step]:
        by_flow = self._routing["type"] == "studio"
        route: Step = ("hook_studio", self._add_studio) if by_flow else ("interaction", self._interact)
        return (
            ("chat", self._create),
            ("participant", self._join),
            ("hook_events", self._add_hook),
            route,
        )

    def _create(self, opening: Opening) -> None:
        """The customer's open conversation, or a new one, whose unique name makes a repeated call find the first."""
        found = self._open_one(opening)
        if found is not None:
            handles = {"chat": found["conversation_sid"], "service": found["chat_service_sid"]}
            newest = self._newest(handles, opening.http, None, 1)
            opening.stands(**handles, seen=newest[0]["index"] if newest else -1)
            return
        form = {
            "FriendlyName": filled(self._settings["chat_name"], opening),
            "Attributes": as_json(
                {
                    **task_attributes(opening, self._settings),  # for a Studio flow
                    "from": opening.identity,
                    "pre_engagement_data": pre_engagement(opening, self._settings),
                }
            ),
        }
        for number in count(1):
            name = f"patchbay-{opening.key}" if number == 1 else f"patchbay-{opening.key}-{number}"
            try:
                made = self.account.call(
                    "POST", f"{self._home}/Conversations", opening.http, {**form, "UniqueName": name}, {WAKE: "true"}
                )
            except TwilioFailure as failure:
                if failure.status != CONFLICT:
                    raise
                made = self.account.call("GET", f"{self._home}/Conversations/{name}", opening.http)
                if self._is_over(made):
                    continue  # it was opened, and is over: the name is spent
            opening.stands(chat=made["sid"], service=made["chat_service_sid"], seen=-1)
            return

    def _open_one(self, opening: Opening) -> Resource | None:
        url = f"{self._base}/ParticipantConversations?Identity={path_part(opening.identity)}"
        service = self._settings["chat_service_sid"]
        for found in self.account.listed(url, "conversations", opening.http):
            ours = service in (None, found.get("chat_service_sid"))
            if ours and found.get("conversation_state") != CLOSED:
                return found
        return None

    def _join(self, opening: Opening) -> None:
        url = f"{self._url(opening.handles)}/Participants"
        attributes = as_json(pre_engagement(opening, self._settings))
        try:
            made = self.account.call(
                "POST", url, opening.http, {"Identity": opening.identity, "Attributes": attributes}
            )
        except TwilioFailure as failure:
            there = self.account.listed(url, "participants", opening.http) if failure.status == CONFLICT else ()
            found = next((one for one in there if one.get("identity") == opening.identity), None)
            if found is None:
                raise
            made = found
        opening.stands(participant=made["sid"])

    def _add_hook(self, opening: Opening) -> None:
        form = [
            ("Target", "webhook"),
            ("Configuration.Url", f"{self._callback}/events"),
            ("Configuration.Method", "post"),
            *(("Configuration.Filters", event) for event in self._settings["webhook_filters"]),
        ]
        self._hook(opening, "hook_events", form)

    def _add_studio(self, opening: Opening) -> None:
        form = [
            ("Target", "studio"),
            ("Configuration.FlowSid", self._routing["flow_sid"]),
            ("Configuration.Filters", "onMessageAdded"),
        ]
        self._hook(opening, "hook_studio", form)

    def _interact(self, opening: Opening) -> None:
        """A conversation has one interaction. That has no name of ours, but its task names the conversation: so it is
        found where an earlier try made it, or our books have lost it."""
        found = self._interaction_of(opening.handles, opening.http) if opening.uncertain else None
        if found is None:
            try:
                found = self._new_interaction(opening)
            except TwilioFailure as failure:
                if failure.status != CONFLICT:
                    raise
                found = self._interaction_of(opening.handles, opening.http) or {}
        opening.stands(
            interaction=found.get("interaction", ""), interaction_channel=found.get("interaction_channel", "")
        )

    def _interaction_of(self, handles: Mapping[str, Any], http: Http) -> dict[str, str] | None:
        """The handles of the conversation's interaction, as its task has them."""
        task = self._tasks.find(CONVERSATION, handles["chat"], http)
        if task is None:
            return None
        known = json_object(task.get("attributes")) or {}
        return {
            "interaction": str(known.get("flexInteractionSid") or ""),
            "interaction_channel": str(known.get("flexInteractionChannelSid") or ""),
        }

    def _new_interaction(self, opening: Opening) -> dict[str, str]:
        form = {
            "Channel": as_json(
                {
                    "type": "web",
                    "initiated_by": "customer",
                    "properties": {"media_channel_sid": opening.handles["chat"]},
                }
            ),
            "Routing": as_json(
                {
                    "properties": {
                        "workspace_sid": self._routing["workspace_sid"],
                        "workflow_sid": self._routing["workflow_sid"],
                        "task_channel_unique_name": self._routing["task_channel"],
                        "attributes": task_attributes(
                            opening, self._settings, channelType="web", **{CONVERSATION: opening.handles["chat"]}
                        ),
                    }
                }
            ),
        }
        made = self.account.call("POST", f"{self._flex}/v1/Interactions", opening.http, form)
        return {"interaction": made["sid"], "interaction_channel": (made.get("channel") or {}).get("sid", "")}

    def _interaction_channel(self, handles: Mapping[str, Any]) -> str | None:
        if not handles.get("interaction") or not handles.get("interaction_channel"):
            return None
        return f"{self._flex}/v1/Interactions/{handles['interaction']}/Channels/{handles['interaction_channel']}"

    def _url(self, handles: Mapping[str, Any]) -> str:
        return f"{self._home}/Conversations/{handles['chat']}"

    def _update(self, chat: str, event: str, values: Mapping[str, str]) -> list[Event]:
        if event != "onConversationStateUpdated":
            return [Ignored(event)]
        state = values.get("StateTo")
        if state is None:
            return [Ignored("state_without_name"), Changed(chat)]
        return [Ended(chat, alias=chat)] if state == CLOSED else [Ignored(event)]

    def _is_over(self, chat: Mapping[str, Any]) -> bool:
        return chat.get("state") == CLOSED

    def _media_of(self, message: Mapping[str, Any]) -> list[Mapping[str, str]]:
        """A webhook has it as a JSON string with capital letters, the API as a list."""
        if "Media" in message:
            try:
                media = parsed(message["Media"] or "[]")
            except Unreadable:
                media = []
            service = str(message.get("ChatServiceSid") or self._settings["chat_service_sid"] or "")
        else:
            media, service = message.get("media") or [], str(message.get("service", ""))
        return [
            {
                "service": service,
                "sid": str(one.get("Sid") or one.get("sid")),
                "content_type": str(one.get("ContentType") or one.get("content_type") or ""),
                "filename": str(one.get("Filename") or one.get("filename") or ""),
            }
            for one in (media if isinstance(media, list) else [])
            if isinstance(one, dict) and (one.get("Sid") or one.get("sid"))
        ]

    def _horizon(self, handles: Mapping[str, Any], http: Http) -> int:
        people = self.account.listed(f"{self._url(handles)}/Participants", "participants", http)
        read = [one.get("last_read_message_index") for one in people if one["sid"] != handles["participant"]]
        return max((index for index in read if index is not None), default=-1)

    def _move_horizon(self, handles: Mapping[str, Any], index: int, http: Http) -> None:
        url = f"{self._url(handles)}/Participants/{handles['participant']}"
        participant = self.account.find(url, http)
        if participant and (participant.get("last_read_message_index") or -1) < index:
            self.account.call("POST", url, http, {"LastReadMessageIndex": str(index)})

    def _end(self, handles: Mapping[str, Any], http: Http) -> None:
        self._end_interaction(handles, http)
        self._end_conversation(handles, http)

    def _end_interaction(self, handles: Mapping[str, Any], http: Http) -> None:
        channel = self._interaction_channel(handles)
        state = self.account.find(channel, http) if channel else None
        if channel and state and state.get("status") not in (CLOSED, FAILED):
            form = {"Status": CLOSED, "Routing": as_json({"status": CLOSED})}
            self.account.call("POST", channel, http, form)

    def _end_conversation(self, handles: Mapping[str, Any], http: Http) -> None:
        conversation = self.account.find(self._url(handles), http)
        if conversation is not None and not self._is_over(conversation):
            self.account.call("POST", self._url(handles), http, {"State": CLOSED}, {WAKE: "true"})

    def _delete(self, handles: Mapping[str, Any], http: Http) -> None:
        """With its interaction, or the task would wait for an agent who then finds no chat."""
        self._end_interaction({**handles, **(self._interaction_of(handles, http) or {})}, http)
        self.account.remove(self._url(handles), http)
