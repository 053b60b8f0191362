"""Destination `flex_conversations`: people answer in Twilio Flex over Conversations (classic) and Interactions.

Sources: Twilio's OpenAPI specifications `twilio_conversations_v1` and `twilio_flex_v1`,
https://www.twilio.com/docs/conversations/conversations-webhooks and
https://www.twilio.com/docs/flex/developer/conversations/interactions-api/interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from app.core.reading import Unreadable, parsed
from app.platforms.flex.attributes import filled, pre_engagement, task_attributes
from app.platforms.flex.destination import POLL_EVERY, FlexDestination, Parts
from app.platforms.flex.interactions import CONFLICT, Interactions
from app.platforms.flex.media import MediaFile
from app.platforms.flex.provision import Project
from app.platforms.flex.settings import ConversationsSchema, base_url
from app.platforms.flex.steps import Opening, Step, hooks
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import WAKE, Generation, Threads
from app.platforms.flex.words import as_json
from app.platforms.provision import Run
from app.platforms.twilio.account import Account, Resource, TwilioFailure, path_part

CLOSED = "closed"
POLL_STUDIO_EVERY = 15.0  # seconds: what a flow says fires no webhook of the conversation


def _files(message: Mapping[str, Any]) -> list[MediaFile]:
    """A webhook has them as a JSON string with capital letters, the API as a list."""
    media = message.get("media")
    if "Media" in message:
        try:
            media = parsed(message["Media"] or "[]")
        except Unreadable:
            media = None
    found = [one for one in media if isinstance(one, dict)] if isinstance(media, list) else []
    names = (("Sid", "sid"), ("ContentType", "content_type"), ("Filename", "filename"))
    files = [MediaFile(*(str(one.get(theirs) or one.get(ours) or "") for theirs, ours in names)) for one in found]
    return [file for file in files if file.sid]


GENERATION = Generation(
    thread_field="ConversationSid",
    author_field="Author",
    message_events=frozenset({"onMessageAdded"}),
    read_event="onParticipantUpdated",
    state_event="onConversationStateUpdated",
    state_field="StateTo",
    state="state",
    state_in=lambda state: state,
    stateless="state_without_name",
    ended=CLOSED,
    closing=lambda conversation: {"State": CLOSED},
    ends_silently=False,
    people="Participants",
    person="sid",
    ours="participant",
    horizon="last_read_message_index",
    horizon_field="LastReadMessageIndex",
    files=_files,
    # the only one that tells of what a Studio flow says; its author is not to be trusted
    service_event="onMessageSent",
    service_field="ChannelSid",
)


class Conversations:
    """Conversations of an account, or of one of its chat services."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self._name = name
        self._settings = settings
        self._account = Account(settings)
        self._service: str | None = settings["chat_service_sid"]
        self._base = base_url(settings, "conversations_url", "https://conversations.twilio.com") + "/v1"
        self._scope = f"{self._base}/Services/{self._service}" if self._service else self._base
        self._home = f"{self._scope}/Conversations"
        self.threads = Threads(GENERATION, self._account, self._home, made_at=self._home)

    def create(self, opening: Opening) -> None:
        """Step `chat`: the customer's open conversation, or a new one."""
        found = self._open_one(opening)
        if found is None:
            made = self._make(opening)
            opening.stands(chat=made["sid"], service=made["chat_service_sid"], seen=-1)
            return
        handles = {"chat": found["conversation_sid"], "service": found["chat_service_sid"]}
        newest = self.threads.newest(handles, opening.http, None, 1)
        opening.stands(**handles, seen=newest[0]["index"] if newest else -1)

    def join(self, opening: Opening) -> None:
        """Step `participant`."""
        url = f"{self.threads.url(opening.handles)}/Participants"
        attributes = as_json(pre_engagement(opening.customer, self._settings))
        try:
            made = self._account.call(
                "POST", url, opening.http, {"Identity": opening.identity, "Attributes": attributes}
            )
        except TwilioFailure as failure:
            there = self._account.listed(url, "participants", opening.http) if failure.status == CONFLICT else ()
            found = next((one for one in there if one.get("identity") == opening.identity), None)
            if found is None:
                raise
            made = found
        opening.stands(participant=made["sid"])

    def hook_forms(self) -> dict[str, list[tuple[str, str]]]:
        """The forms of a conversation's webhooks: ours, and a Studio flow's."""
        routing = self._settings["routing"]
        found = {
            "hook_events": [
                ("Target", "webhook"),
                ("Configuration.Url", f"{self._settings['callback']}/events"),
                ("Configuration.Method", "post"),
                *(("Configuration.Filters", event) for event in self._settings["webhook_filters"]),
            ]
        }
        if routing["type"] == "studio":
            found["hook_studio"] = [
                ("Target", "studio"),
                ("Configuration.FlowSid", routing["flow_sid"]),
                ("Configuration.Filters", "onMessageAdded"),
            ]
        return found

    def _open_one(self, opening: Opening) -> Resource | None:
        url = f"{self._base}/ParticipantConversations?Identity={path_part(opening.identity)}"
        for found in self._account.listed(url, "conversations", opening.http):
            ours = self._service in (None, found.get("chat_service_sid"))
            if ours and found.get("conversation_state") != CLOSED:
                return found
        return None

    def _make(self, opening: Opening) -> Resource:
        """A conversation whose unique name makes a repeated call find the first; the names of those that were opened
        and are over are spent."""
        customer, settings = opening.customer, self._settings
        attributes = {
            **task_attributes(customer, settings),  # for a Studio flow
            "from": opening.identity,
            "pre_engagement_data": pre_engagement(customer, settings),
        }
        form = {"FriendlyName": filled(settings["chat_name"], customer), "Attributes": as_json(attributes)}
        first = name = f"patchbay-{opening.key}"
        numbers = count(2)
        while True:
            try:
                return self._account.call(
                    "POST", self._home, opening.http, {**form, "UniqueName": name}, {WAKE: "true"}
                )
            except TwilioFailure as failure:
                if failure.status != CONFLICT:
                    raise
            there = self._account.call("GET", f"{self._home}/{name}", opening.http)
            if not self.threads.is_over(there):
                return there
            name = f"{first}-{next(numbers)}"

    def provision(self, run: Run) -> dict[str, str]:
        """The webhook for what no conversation's own webhook tells (messages of Studio), and the chat address."""
        settings, project = self._settings, Project(self._account, run)
        self._provision_webhook(run, project)
        routing = settings["routing"]
        studio = routing["type"] == "studio"
        flow = {"AutoCreation.Type": "studio", "AutoCreation.StudioFlowSid": routing["flow_sid"]} if studio else {}
        address = {
            "Type": "chat",
            "Address": settings["address"],
            "FriendlyName": f"Patchbay {self._name}",
            "AutoCreation.Enabled": studio,
            **flow,
        }
        url = f"{self._base}/Configuration/Addresses"
        found = self._account.listed(f"{url}?Type=chat", "address_configurations", run.http)
        same = next((one for one in found if one.get("address") == settings["address"]), None)
        run.notes.append(f"The chat address is {project.resource(url, same, address) or 'not made yet'}.")
        return {}

    def _provision_webhook(self, run: Run, project: Project) -> None:
        hook = {
            "PostWebhookUrl": f"{self._settings['callback']}/events",
            "Method": "POST",
            "Filters": self._settings["webhook_filters"],
        }
        url = f"{self._scope}/Configuration/Webhooks"
        there = self._account.find(url, run.http)
        others = there.get("post_webhook_url") if there else None
        if others in (None, "", hook["PostWebhookUrl"]):
            project.resource(url, there, hook, single=True)
        else:
            run.notes.append(
                f"The service's webhooks go to {others} and are left alone. Chats work all the same; what a Studio "
                "flow says is found with the next poll."
            )


class FlexConversationsDestination(FlexDestination):
    """Flex over conversations that an interaction, or a Studio flow, routes."""

    Settings = ConversationsSchema

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        routing, conversations = settings["routing"], Conversations(name, settings)
        threads = conversations.threads
        tasks = Tasks(settings, threads.account, routing.get("workspace_sid"), "conversationSid")  # Flex sets it, too
        interactions = Interactions(settings, threads.account, tasks)
        by_flow = routing["type"] == "studio"
        route: list[Step] = [] if by_flow else [("interaction", interactions.begin)]
        parts = Parts(
            threads=threads,
            steps=[
                ("chat", conversations.create),
                ("participant", conversations.join),
                *hooks(threads, conversations.hook_forms()),
                *route,
            ],
            tasks=tasks,
            provision=conversations.provision,
            interactions=interactions,
            poll_every=POLL_STUDIO_EVERY if by_flow else POLL_EVERY,
        )
        super().__init__(name, settings, parts)
