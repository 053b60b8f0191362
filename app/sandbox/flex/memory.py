"""All that the Flex stand-in remembers."""

from collections.abc import Iterable
from typing import Any, TypeVar

from app.sandbox.checks import Json
from app.sandbox.flex.records import (
    CHAT,
    CONVERSATIONS,
    Address,
    FlexChannel,
    Flow,
    Hook,
    Interaction,
    Member,
    Message,
    Room,
    Task,
)
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.memory import Memory, inspected
from app.sandbox.twilio.records import File, Form

InRoom = TypeVar("InRoom", Member, Message, Hook, Task, Interaction)


class FlexMemory(Memory):
    LINKS = "media"
    SHOWN = ("flows", "tasks", "interactions", "media", "addresses")
    NOTED = ("attempts", "refused", "typing")

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        super().__init__()

    def clear_shelves(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.channels: dict[str, FlexChannel] = {}
        self.rooms: dict[str, Room] = {}
        self.members: dict[str, Member] = {}
        self.messages: dict[str, Message] = {}
        self.hooks: dict[str, Hook] = {}
        self.tasks: dict[str, Task] = {}
        self.interactions: dict[str, Interaction] = {}
        self.media: dict[str, File] = {}
        self.addresses: dict[str, Address] = {}
        self.configuration: dict[str, Form] = {"account": {}, "service": {}}
        self.deliveries: dict[str, Json] = {}
        if self._settings.flex_flow_sid:
            self.put(self.flows, _ready_flow(self._settings))

    def remove_room(self, room: Room) -> None:
        """With all that is in it; its task stays."""
        with self.lock:
            self.remove(self.rooms, room)
            self.channels.pop(room.sid, None)
            shelves: tuple[dict[str, Any], ...] = (self.members, self.messages, self.hooks)
            for shelf in shelves:
                for record in self._of(room.sid, shelf.values()):
                    del shelf[record.sid]

    def note_delivery(self, message_sid: str, status: str, error: str | None = None) -> None:
        """What became of a message's webhooks, for the desk; a failure is not outdone by another hook's success."""
        with self.lock:
            if self.deliveries.get(message_sid, {}).get("status") != "failed":
                self.deliveries[message_sid] = {"status": status, "error": error}
                self.version += 1

    def members_of(self, room_sid: str) -> list[Member]:
        return self._of(room_sid, self.members.values())

    def messages_of(self, room_sid: str) -> list[Message]:
        return self._of(room_sid, self.messages.values())

    def hooks_of(self, room_sid: str) -> list[Hook]:
        return self._of(room_sid, self.hooks.values())

    def member(self, room_sid: str, sid_or_identity: str | None) -> Member | None:
        found = (one for one in self.members_of(room_sid) if sid_or_identity in (one.sid, one.identity))
        return next(found, None)

    def task_of(self, room_sid: str) -> Task | None:
        """The newest of a room."""
        return next(reversed(self._of(room_sid, self.tasks.values())), None)

    def interaction_of(self, room_sid: str) -> Interaction | None:
        return next(iter(self._of(room_sid, self.interactions.values())), None)

    def inspect_more(self) -> Json:
        rooms = {"channels": self._inspect_rooms(CHAT), "conversations": self._inspect_rooms(CONVERSATIONS)}
        return {**rooms, "configuration": self.configuration}

    def _inspect_rooms(self, generation: str) -> list[Json]:
        return [self._inspect_room(room) for room in self.rooms.values() if room.generation == generation]

    def _inspect_room(self, room: Room) -> Json:
        return {
            **inspected(room),
            "flex": inspected(self.channels[room.sid]) if room.sid in self.channels else None,
            "members": [inspected(member) for member in self.members_of(room.sid)],
            "messages": [inspected(message) for message in self.messages_of(room.sid)],
            "webhooks": [inspected(hook) for hook in self.hooks_of(room.sid)],
        }

    def _of(self, room_sid: str, records: Iterable[InRoom]) -> list[InRoom]:
        with self.lock:
            return [record for record in records if record.room_sid == room_sid]


def _ready_flow(settings: SandboxSettings) -> Flow:
    form: Form = {
        "FriendlyName": "Sandbox",
        "ChatServiceSid": settings.flex_chat_service_sid,
        "ChannelType": "custom",
        "Enabled": True,
        "IntegrationType": "task",
        "Integration.WorkspaceSid": settings.flex_workspace_sid,
        "Integration.WorkflowSid": settings.flex_workflow_sid,
        "Integration.Channel": "chat",
    }
    return Flow(sid=settings.flex_flow_sid, form=form)
