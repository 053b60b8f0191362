"""flex-api: interactions around conversations, and their channels."""

from flask import jsonify

from app.sandbox.answers import Answer, Problem
from app.sandbox.checks import Field, Json, Refused, as_object, one_of, optional, record, text
from app.sandbox.flex.api import Api
from app.sandbox.flex.events import Actor
from app.sandbox.flex.records import CONVERSATIONS, Interaction, Room
from app.sandbox.flex.tasks import channel_status
from app.sandbox.twilio.form import json_object, params, sid, word, words
from app.sandbox.twilio.records import Form
from app.sandbox.twilio.rest import OfAccount, Routes, found, own_url, read_form

INTERACTIONS = "/flex-api/v1/Interactions"
TYPES = ("voice", "sms", "email", "web", "whatsapp", "chat", "messenger", "gbm")
CREATE = (
    params(json_object, "Channel", required=True)
    | params(json_object, "Routing")
    | params(words(), "InteractionContextSid WebhookTtid")
)
UPDATE = params(word("closed", "inactive"), "Status", required=True) | params(json_object, "Routing")
ROUTING_STATUS = {"closed": "completed", "wrapping": "wrapping", "wrapup": "wrapping"}


def _any_object(value: object, path: str) -> None:
    as_object(value, path)


def _sid(prefix: str) -> Field:
    return Field(text(pattern=f"{prefix}[0-9a-f]{{32}}", shape=f"{prefix} and 32 hex digits"))


# Only chats that a customer begins are played, and those need their conversation.
CHANNEL = record(
    {
        "type": Field(one_of(TYPES)),
        "initiated_by": Field(one_of(("customer", "api", "agent"))),
        "properties": Field(record({"media_channel_sid": _sid("CH")})),
    }
)
# Which keys are required is unverified; a task without a workspace and a workflow would go nowhere.
ROUTING = record(
    {
        "properties": Field(
            record(
                {
                    "workspace_sid": _sid("WS"),
                    "workflow_sid": _sid("WW"),
                    "task_channel_unique_name": optional(text(minimum=1)),
                    "attributes": optional(_any_object),
                }
            )
        )
    }
)


class Interactions(Api, OfAccount):
    paths = (INTERACTIONS,)

    def add_others(self, routes: Routes) -> None:
        routes.add("POST", INTERACTIONS, self._create)

    def find(self, _: None, name: str) -> Interaction | None:
        return self.memory.interactions.get(name)

    def _create(self) -> Answer:
        """Accepted at once, with 200; the channel is `setup` for a moment. One conversation has one interaction."""
        form = read_form(CREATE)
        CHANNEL(form["Channel"], "Channel")
        routing = form.get("Routing", {})
        if routing:
            ROUTING(routing, "Routing")
            given = routing["properties"]["workspace_sid"]
            sid("WS", self.settings.flex_workspace_sid)(given, "Routing.properties.workspace_sid")
        room = self._conversation(form["Channel"]["properties"]["media_channel_sid"])
        if self.memory.interaction_of(room.sid):
            raise Problem(409, f"Conversation {room.sid} has an interaction already")
        more = {"context_sid": form.get("InteractionContextSid"), "webhook_ttid": form.get("WebhookTtid")}
        return jsonify(self.show(self.tasks.interact(room, form["Channel"]["type"], routing, **more)))

    def _conversation(self, room_sid: str) -> Room:
        room = self.memory.rooms.get(room_sid)
        if room is None or room.generation != CONVERSATIONS:
            raise Refused("Channel.properties.media_channel_sid", f"{room_sid} is not a conversation")
        if room.state == "closed":
            raise Refused("Channel.properties.media_channel_sid", f"{room_sid} is closed")
        return room

    def show(self, interaction: Interaction) -> Json:
        url = own_url(f"{INTERACTIONS}/{interaction.sid}")
        return {
            "sid": interaction.sid,
            "channel": {
                "sid": interaction.channel_sid,
                "type": interaction.kind,
                "status": channel_status(interaction),
                "url": f"{url}/Channels/{interaction.channel_sid}",
            },
            "routing": interaction.routing or None,
            "interaction_context_sid": interaction.context_sid,
            "webhook_ttid": interaction.webhook_ttid,
            "url": url,
            "links": {"channels": f"{url}/Channels"},
        }


class InteractionChannels(Api):
    """One of each interaction."""

    paths = (f"{INTERACTIONS}/<interaction_sid>/Channels",)
    key = "channels"

    def owner(self, interaction_sid: str) -> Interaction:
        return found(self.memory.interactions.get(interaction_sid))

    def find(self, interaction: Interaction, name: str) -> Interaction | None:
        return interaction if name == interaction.channel_sid else None

    def all(self, interaction: Interaction, _: Form) -> list[Interaction]:
        return [interaction]

    def update(self, interaction: Interaction) -> Interaction:
        form = read_form(UPDATE)
        status, routing = form["Status"], _routing_status(form)
        if status == "inactive" and not routing:
            raise Refused("Routing", "is missing, status inactive needs a routing status")
        changed = self.memory.change(self.memory.interactions, interaction, status=status)
        task = self.memory.tasks.get(interaction.task_sid)
        if task:
            self.tasks.leave(task, routing or "wrapping")
        room = self.memory.rooms.get(interaction.room_sid)
        if room and status == "closed":
            # Flex closes the conversation itself, so webhooks fire whatever the header says (unverified).
            self.rooms.move(room, "closed", Actor("API"))
        return changed

    def show(self, interaction: Interaction) -> Json:
        url = own_url(f"{INTERACTIONS}/{interaction.sid}/Channels/{interaction.channel_sid}")
        return {
            "sid": interaction.channel_sid,
            "interaction_sid": interaction.sid,
            "type": interaction.kind,
            "status": channel_status(interaction),
            "error_code": None,
            "error_message": None,
            "url": url,
            "links": {"participants": f"{url}/Participants", "invites": f"{url}/Invites"},
        }


RESOURCES = (Interactions, InteractionChannels)


def _routing_status(form: Form) -> str | None:
    routing = form.get("Routing", {})
    if not routing:
        return None
    record({"status": Field(one_of(ROUTING_STATUS))})(routing, "Routing")
    return ROUTING_STATUS[routing["status"]]
