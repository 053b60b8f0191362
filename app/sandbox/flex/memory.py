"""All that the Flex stand-in remembers, behind one lock.

`lock` is held for the whole of a REST call or an agent's action; nothing waits for the outside while it is held.
`version` grows with every change, so that the desk, which polls, knows when to look again.
"""

import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from app.sandbox.checks import Json
from app.sandbox.flex.records import (
    Address,
    Dated,
    FlexChannel,
    Flow,
    Form,
    Hook,
    Interaction,
    Media,
    Member,
    Message,
    Room,
    Task,
    iso,
    now,
)
from app.sandbox.settings import SandboxSettings

Record = TypeVar("Record", bound=Dated)


class Memory:
    def __init__(self, settings: SandboxSettings) -> None:
        self.lock = threading.RLock()
        self.secret = secrets.token_bytes(32)
        self.version = 0
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.flows: dict[str, Flow] = {}
            self.channels: dict[str, FlexChannel] = {}
            self.rooms: dict[str, Room] = {}
            self.members: dict[str, Member] = {}
            self.messages: dict[str, Message] = {}
            self.hooks: dict[str, Hook] = {}
            self.tasks: dict[str, Task] = {}
            self.interactions: dict[str, Interaction] = {}
            self.media: dict[str, Media] = {}
            self.addresses: dict[str, Address] = {}
            self.configuration: dict[str, Form] = {"account": {}, "service": {}}
            self.attempts: list[Json] = []
            self.records: dict[str, list[Json]] = {"refused": [], "typing": []}
            self.deliveries: dict[str, Json] = {}
            self.version += 1
            if self._settings.flex_flow_sid:
                self._add_ready_flow(self._settings)

    def put(self, shelf: dict[str, Record], record: Record) -> Record:
        with self.lock:
            shelf[record.sid] = record
            self.version += 1
            return record

    def change(self, shelf: dict[str, Record], record: Record, **changes: Any) -> Record:
        return self.put(shelf, replace(record, updated=now(), **changes))

    def remove(self, shelf: dict[str, Record], sid: str) -> None:
        with self.lock:
            del shelf[sid]
            self.version += 1

    def remove_room(self, room: Room) -> None:
        """With all that is in it; its task stays."""
        with self.lock:
            self.remove(self.rooms, room.sid)
            self.channels.pop(room.sid, None)
            for shelf in (self.members, self.messages, self.hooks):
                for record in self._of(room.sid, shelf.values()):
                    del shelf[record.sid]

    def keep(self, name: str, entry: Json) -> None:
        with self.lock:
            self.records[name].append(entry)

    def note_attempt(self, attempt: Json) -> None:
        with self.lock:
            self.attempts.append(attempt)

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
        with self.lock:
            found = (one for one in self.members_of(room_sid) if sid_or_identity in (one.sid, one.identity))
            return next(found, None)

    def task_of(self, room_sid: str) -> Task | None:
        """The newest of a room."""
        with self.lock:
            return next((task for task in reversed(self.tasks.values()) if task.room_sid == room_sid), None)

    def inspect(self) -> Json:
        with self.lock:
            shown: dict[str, Mapping[str, Dated]] = {
                "flows": self.flows,
                "tasks": self.tasks,
                "interactions": self.interactions,
                "media": self.media,
                "addresses": self.addresses,
            }
            return {
                **{name: [_show(record) for record in shelf.values()] for name, shelf in shown.items()},
                "channels": [self._show_room(room) for room in self.rooms.values() if room.generation == "chat"],
                "conversations": [self._show_room(room) for room in self.rooms.values() if room.generation != "chat"],
                "configuration": self.configuration,
                "attempts": list(self.attempts),
                **{name: list(entries) for name, entries in self.records.items()},
            }

    def _show_room(self, room: Room) -> Json:
        return {
            **_show(room),
            "flex": _show(self.channels[room.sid]) if room.sid in self.channels else None,
            "members": [_show(member) for member in self.members_of(room.sid)],
            "messages": [_show(message) for message in self.messages_of(room.sid)],
            "webhooks": [_show(hook) for hook in self.hooks_of(room.sid)],
        }

    def _of(self, room_sid: str, records: Iterable[Any]) -> list[Any]:
        with self.lock:
            return [record for record in records if record.room_sid == room_sid]

    def _add_ready_flow(self, settings: SandboxSettings) -> None:
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
        self.put(self.flows, Flow(sid=settings.flex_flow_sid, form=form))


def _show(record: Dated) -> Json:
    """Fields as they are kept, dates as text, bytes as their number."""
    shown = {name: value for name, value in vars(record).items() if name not in ("data", "started")}
    if isinstance(record, Media):
        shown["size"] = len(record.data)
    return shown | {"created": iso(record.created), "updated": iso(record.updated)}
