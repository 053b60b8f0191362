"""What a Flex agent does, as the agent's own client would: every action fires webhooks, with Source SDK."""

from typing import TypeVar

from app.sandbox.checks import Refused
from app.sandbox.flex.conversation_parts_api import BODY_MOST
from app.sandbox.flex.events import Actor
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CONVERSATIONS, Media, Message, Room, Task, new_sid
from app.sandbox.flex.rest import Problem
from app.sandbox.flex.rooms import Rooms, Words, is_over
from app.sandbox.flex.tasks import Tasks

Thing = TypeVar("Thing")
WAITING = ("pending", "reserved")


class Agent:
    """One agent, who accepts everything. The caller holds the memory's lock."""

    def __init__(self, identity: str, memory: Memory, rooms: Rooms, tasks: Tasks) -> None:
        self.identity = identity
        self._actor = Actor("SDK", identity)
        self._memory = memory
        self._rooms = rooms
        self._tasks = tasks

    def accept(self, task_sid: str) -> Task:
        """Take a waiting task and join its chat."""
        task = _known(self._memory.tasks.get(task_sid), "task")
        if task.status not in WAITING:
            raise Problem(409, f"The task is {task.status}")
        room = self._memory.rooms.get(task.room_sid)
        if room and not self._memory.member(room.sid, self.identity):
            self._rooms.join(room, self.identity)
        return self._memory.change(self._memory.tasks, task, status="assigned")

    def complete(self, task_sid: str) -> Task:
        return self._rooms.settle(_known(self._memory.tasks.get(task_sid), "task"), "completed", self._actor)

    def say(self, room_sid: str, body: str | None, media: Media | None = None) -> Message:
        room = self._own(room_sid)
        if is_over(room):
            raise Problem(409, "The chat is over")
        if media is None and not (body or "").strip():
            raise Refused("text", "must not be empty")
        if room.generation == CONVERSATIONS and len(body or "") > BODY_MOST:
            raise Refused("text", f"must have at most {BODY_MOST} characters, has {len(body or '')}")
        said = Words(body, media_sid=media.sid if media else None)
        return self._rooms.say(room, self.identity, said, self._actor)

    def add_media(self, content_type: str, data: bytes, filename: str | None) -> Media:
        if not data:
            raise Refused("body", "must not be empty")
        media = Media(sid=new_sid("ME"), content_type=content_type, data=data, filename=filename)
        return self._memory.put(self._memory.media, media)

    def type(self, room_sid: str) -> None:
        self._rooms.type(self._own(room_sid), self._actor)

    def read(self, room_sid: str) -> None:
        """Up to the last message; nothing happens if that was read before."""
        room = self._own(room_sid)
        messages, member = self._memory.messages_of(room.sid), self._memory.member(room.sid, self.identity)
        if member and messages and member.horizon != messages[-1].index:
            self._rooms.read_up_to(room, member, messages[-1].index, self._actor)

    def end(self, room_sid: str) -> None:
        """The chat is over and its task done."""
        room = self._own(room_sid)
        if is_over(room):
            raise Problem(409, "The chat is over")
        self._rooms.end(room, self._actor)
        task = self._memory.task_of(room.sid)
        if task:
            self._tasks.leave(task, "completed")

    def _own(self, room_sid: str) -> Room:
        """A chat that the agent is in."""
        room = _known(self._memory.rooms.get(room_sid), "chat")
        if not self._memory.member(room.sid, self.identity):
            raise Problem(409, "Accept the task first")
        return room


def _known(thing: Thing | None, name: str) -> Thing:
    if thing is None:
        raise Problem(404, f"There is no such {name}")
    return thing
