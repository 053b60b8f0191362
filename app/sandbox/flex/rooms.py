"""What happens in channels and conversations, whoever does it: REST calls, agents, the simulated Studio flow."""

import json
from dataclasses import dataclass
from typing import Any

from app.sandbox.answers import Problem
from app.sandbox.checks import Json
from app.sandbox.flex.events import MEMBER, MESSAGE, ROOM, STATE, TYPING, Actor, Events, room_fields, state_fields
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import CHAT, CONVERSATIONS, Member, Message, Room, Task
from app.sandbox.flex.tasks import Tasks
from app.sandbox.twilio.records import iso, new_sid, now

# Twilio has a code of its own for this; which one is unverified.
CONVERSATION_CLOSED = 50415
MAX_BODY = 1600  # of conversations
STUDIO = "Studio"
GREETING = "Thank you. A colleague will be with you in a moment."


@dataclass(frozen=True)
class Words:
    """What a message says."""

    body: str | None = None
    attributes: str = "{}"
    media_sid: str | None = None
    content_sid: str | None = None


class Rooms:
    def __init__(self, memory: FlexMemory, events: Events, tasks: Tasks) -> None:
        self._memory = memory
        self._events = events
        self._tasks = tasks

    def say(self, room: Room, author: str, words: Words, actor: Actor) -> Message:
        """Add a message; the first one that fires webhooks may set off the room's Studio flow or task."""
        if room.state == "closed":
            raise Problem(403, "The conversation is closed and takes no more messages", CONVERSATION_CLOSED)
        message = self._add(room, author, words, actor)
        self._events.fire(room, MESSAGE, self._events.message_fields(room, message), actor)
        if actor.fires and room.starts:
            self.start(room)
        return message

    def start(self, room: Room) -> None:
        """What the first message sets off: a task, and with Studio one text before it."""
        self._memory.change(self._memory.rooms, room, starts="")
        if room.starts == "studio":
            self._run_studio(room)
        elif room.starts == "task":
            self._tasks.make_for_channel(room)

    def _run_studio(self, room: Room) -> None:
        """One text and a task. Conversation webhooks do not fire for what Studio says, channel webhooks do."""
        actor = Actor("API", fires=room.generation == CHAT)
        message = self._add(room, STUDIO, Words(GREETING), actor)
        self._events.fire(room, MESSAGE, self._events.message_fields(room, message), actor)
        if room.generation == CONVERSATIONS:
            self._tasks.interact(room, "web", {})
        else:
            self._tasks.make_for_channel(room)

    def update(self, room: Room, changes: dict[str, Any], actor: Actor) -> Room:
        changed = self._memory.change(self._memory.rooms, room, **changes)
        self._events.fire(changed, ROOM, room_fields(changed), actor)
        return changed

    def move(self, room: Room, state: str, actor: Actor, reason: str = "API") -> Room:
        """To another state; a closed conversation stays closed (that Twilio refuses is unverified)."""
        if state == room.state:
            return room
        if room.state == "closed":
            raise Problem(400, "State: a closed conversation cannot be opened again", CONVERSATION_CLOSED)
        changed = self._memory.change(self._memory.rooms, room, state=state)
        self._events.fire(changed, STATE, state_fields(room.state, state, reason), actor)
        return changed

    def end(self, room: Room, actor: Actor) -> None:
        """The chat is over: channels say so in their attributes, conversations in their state (which reason Flex gives
        is unverified)."""
        if is_over(room):
            return
        if room.generation == CHAT:
            attributes = json.dumps(read_attributes(room) | {"status": "INACTIVE"})
            self.update(room, {"attributes": attributes}, actor)
            return
        interaction = self._memory.interaction_of(room.sid)
        if interaction:
            self._memory.change(self._memory.interactions, interaction, status="closed")
        self.move(room, "closed", actor)

    def settle(self, task: Task, status: str, actor: Actor, reason: str | None = None) -> Task:
        """Move a task. Once it is completed its chat is over, but for channels that live long."""
        moved = self._tasks.move(task, status, reason)
        room = self._memory.rooms.get(task.room_sid)
        if room and status == "completed" and not read_attributes(room).get("long_lived"):
            self.end(room, actor)
        return moved

    def join(self, room: Room, identity: str | None, **more: Any) -> Member:
        member = Member(sid=new_sid("MB"), room_sid=room.sid, identity=identity, **more)
        return self._memory.put(self._memory.members, member)

    def update_member(self, room: Room, member: Member, changes: dict[str, Any], actor: Actor) -> Member:
        changed = self._memory.change(self._memory.members, member, **changes)
        self._events.fire(room, MEMBER, self._events.member_fields(room, changed), actor)
        return changed

    def read_up_to(self, room: Room, member: Member, index: int, actor: Actor) -> Member:
        return self.update_member(room, member, {"horizon": index, "horizon_at": iso(now())}, actor)

    def type(self, room: Room, actor: Actor) -> None:
        self._memory.keep("typing", {"room_sid": room.sid, "identity": actor.identity})
        self._events.fire(room, TYPING, {"Identity": actor.identity}, actor)

    def _add(self, room: Room, author: str, words: Words, actor: Actor) -> Message:
        earlier = self._memory.messages_of(room.sid)
        member = self._memory.member(room.sid, author)
        message = Message(
            sid=new_sid("IM"),
            room_sid=room.sid,
            index=earlier[-1].index + 1 if earlier else 0,
            author=author,
            body=words.body,
            source=actor.source,
            attributes=words.attributes,
            media_sid=words.media_sid,
            content_sid=words.content_sid,
            member_sid=member.sid if member else None,
        )
        return self._memory.put(self._memory.messages, message)


def is_over(room: Room) -> bool:
    """A channel is, once its attributes say INACTIVE; attributes that cannot be read say nothing."""
    return (
        room.state == "closed"
        if room.generation == CONVERSATIONS
        else read_attributes(room).get("status") == "INACTIVE"
    )


def read_attributes(room: Room) -> Json:
    """None if somebody wrote something else there."""
    try:
        attributes = json.loads(room.attributes)
    except ValueError:
        return {}
    return attributes if isinstance(attributes, dict) else {}
