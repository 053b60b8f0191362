"""What a Flex agent does, as the agent's own client would: every action fires webhooks, with Source SDK."""

from typing import TypeVar

from app.sandbox.answers import Problem
from app.sandbox.checks import Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.events import Actor
from app.sandbox.flex.records import CONVERSATIONS, Message, Room, Task
from app.sandbox.flex.rooms import MAX_BODY, Words, is_over
from app.sandbox.twilio.records import File

Thing = TypeVar("Thing")
WAITING = ("pending", "reserved")


class Agent(Api):
    """One agent, who accepts everything. The caller holds the memory's lock."""

    @property
    def identity(self) -> str:
        return self.settings.flex_agent

    @property
    def _actor(self) -> Actor:
        return Actor("SDK", self.identity)

    def accept(self, task_sid: str) -> Task:
        """Take a waiting task and join its chat."""
        task = self._task(task_sid)
        if task.status not in WAITING:
            raise Problem(409, f"The task is {task.status}")
        room = self.memory.rooms.get(task.room_sid)
        if room and not self.memory.member(room.sid, self.identity):
            self.rooms.join(room, self.identity)
        return self.memory.change(self.memory.tasks, task, status="assigned")

    def complete(self, task_sid: str) -> Task:
        return self.rooms.settle(self._task(task_sid), "completed", self._actor)

    def say(self, room_sid: str, body: str | None, file: File | None = None) -> Message:
        room = self._own_open(room_sid)
        if file is None and not (body or "").strip():
            raise Refused("text", "must not be empty")
        if room.generation == CONVERSATIONS and len(body or "") > MAX_BODY:
            raise Refused("text", f"must have at most {MAX_BODY} characters, has {len(body or '')}")
        return self.rooms.say(room, self.identity, Words(body, media_sid=file.sid if file else None), self._actor)

    def type(self, room_sid: str) -> None:
        self.rooms.type(self._own(room_sid), self._actor)

    def read(self, room_sid: str) -> None:
        """Up to the last message; nothing happens if that was read before."""
        room = self._own(room_sid)
        messages, member = self.memory.messages_of(room.sid), self.memory.member(room.sid, self.identity)
        if member and messages and member.horizon != messages[-1].index:
            self.rooms.read_up_to(room, member, messages[-1].index, self._actor)

    def end(self, room_sid: str) -> None:
        """The chat is over and its task done."""
        room = self._own_open(room_sid)
        self.rooms.end(room, self._actor)
        task = self.memory.task_of(room.sid)
        if task:
            self.tasks.leave(task, "completed")

    def room(self, room_sid: str) -> Room:
        return _known(self.memory.rooms.get(room_sid), "chat")

    def _task(self, task_sid: str) -> Task:
        return _known(self.memory.tasks.get(task_sid), "task")

    def _own(self, room_sid: str) -> Room:
        """A chat that the agent is in."""
        room = self.room(room_sid)
        if not self.memory.member(room.sid, self.identity):
            raise Problem(409, "Accept the task first")
        return room

    def _own_open(self, room_sid: str) -> Room:
        room = self._own(room_sid)
        if is_over(room):
            raise Problem(409, "The chat is over")
        return room


def _known(thing: Thing | None, name: str) -> Thing:
    if thing is None:
        raise Problem(404, f"There is no such {name}")
    return thing
