"""flex-api: interactions around conversations, and their channels."""

from typing import Any

from flask import jsonify

from app.sandbox.checks import Field, Json, Refused, as_object, one_of, optional, record, text
from app.sandbox.flex.events import Actor
from app.sandbox.flex.form import Param, json_object, sid, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CONVERSATIONS, Interaction, Room
from app.sandbox.flex.rest import Answer, Problem, Routes, not_found, own_url, page, read_form, read_query
from app.sandbox.flex.rooms import Rooms
from app.sandbox.flex.tasks import Tasks, channel_status
from app.sandbox.settings import SandboxSettings

INTERACTIONS = "/flex-api/v1/Interactions"
TYPES = ("voice", "sms", "email", "web", "whatsapp", "chat", "messenger", "gbm")
CREATE = {
    "Channel": Param(json_object, required=True),
    "Routing": Param(json_object),
    "InteractionContextSid": Param(words()),
    "WebhookTtid": Param(words()),
}
UPDATE = {"Status": Param(word("closed", "inactive"), required=True), "Routing": Param(json_object)}
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


class InteractionsApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms, tasks: Tasks) -> None:
        self._settings = settings
        self._memory = memory
        self._rooms = rooms
        self._tasks = tasks

    def register(self, routes: Routes) -> None:
        channels = f"{INTERACTIONS}/<interaction_sid>/Channels"
        routes.add("POST", INTERACTIONS, self.create)
        routes.add("GET", f"{INTERACTIONS}/<interaction_sid>", self.fetch)
        routes.add("GET", channels, self.list_channels)
        routes.add("GET", f"{channels}/<channel_sid>", self.fetch_channel)
        routes.add("POST", f"{channels}/<channel_sid>", self.update_channel)

    def create(self) -> Answer:
        """Accepted at once; the channel is `setup` for a moment. One conversation has one interaction."""
        form = read_form(CREATE)
        CHANNEL(form["Channel"], "Channel")
        routing = form.get("Routing", {})
        if routing:
            ROUTING(routing, "Routing")
            self._check_workspace(routing)
        room = self._conversation(form["Channel"]["properties"]["media_channel_sid"])
        if self._tasks.interaction_of(room.sid):
            raise Problem(409, f"Conversation {room.sid} has an interaction already")
        interaction = self._tasks.interact(
            room,
            form["Channel"]["type"],
            routing,
            context_sid=form.get("InteractionContextSid"),
            webhook_ttid=form.get("WebhookTtid"),
        )
        return jsonify(self._show(interaction))

    def fetch(self, interaction_sid: str) -> Answer:
        return jsonify(self._show(self._interaction(interaction_sid)))

    def list_channels(self, interaction_sid: str) -> Answer:
        interaction = self._interaction(interaction_sid)
        return page("channels", [interaction], self._show_channel, read_query({}))

    def fetch_channel(self, interaction_sid: str, channel_sid: str) -> Answer:
        return jsonify(self._show_channel(self._channel(interaction_sid, channel_sid)))

    def update_channel(self, interaction_sid: str, channel_sid: str) -> Answer:
        interaction = self._channel(interaction_sid, channel_sid)
        form = read_form(UPDATE)
        status, routing = form["Status"], self._routing_status(form)
        if status == "inactive" and not routing:
            raise Refused("Routing", "is missing, status inactive needs a routing status")
        changed = self._memory.change(self._memory.interactions, interaction, status=status)
        task = self._memory.tasks.get(interaction.task_sid)
        if task:
            self._tasks.leave(task, routing or "wrapping")
        room = self._memory.rooms.get(interaction.room_sid)
        if room and status == "closed":
            # Flex closes the conversation itself, so webhooks fire whatever the header says (unverified).
            self._rooms.move(room, "closed", Actor("API"))
        return jsonify(self._show_channel(changed))

    def _routing_status(self, form: dict[str, Any]) -> str | None:
        routing = form.get("Routing", {})
        if not routing:
            return None
        record({"status": Field(one_of(ROUTING_STATUS))})(routing, "Routing")
        return ROUTING_STATUS[routing["status"]]

    def _check_workspace(self, routing: dict[str, Any]) -> None:
        given = routing["properties"]["workspace_sid"]
        sid("WS", self._settings.flex_workspace_sid)(given, "Routing.properties.workspace_sid")

    def _conversation(self, room_sid: str) -> Room:
        room = self._memory.rooms.get(room_sid)
        if room is None or room.generation != CONVERSATIONS:
            raise Refused("Channel.properties.media_channel_sid", f"{room_sid} is not a conversation")
        if room.state == "closed":
            raise Refused("Channel.properties.media_channel_sid", f"{room_sid} is closed")
        return room

    def _interaction(self, interaction_sid: str) -> Interaction:
        if interaction_sid not in self._memory.interactions:
            raise not_found()
        return self._memory.interactions[interaction_sid]

    def _channel(self, interaction_sid: str, channel_sid: str) -> Interaction:
        interaction = self._interaction(interaction_sid)
        if interaction.channel_sid != channel_sid:
            raise not_found()
        return interaction

    def _show(self, interaction: Interaction) -> Json:
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

    def _show_channel(self, interaction: Interaction) -> Json:
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
