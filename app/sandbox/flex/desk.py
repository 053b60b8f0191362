"""The page on which a person plays the Flex agent, and the small JSON API behind it; tests use that as well."""

import re
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request

from app.sandbox.answers import Answer, created
from app.sandbox.checks import Field, Json, record, text
from app.sandbox.flex.agent import Agent
from app.sandbox.flex.media_api import add_file
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import Message, Room, Task
from app.sandbox.flex.rooms import is_over
from app.sandbox.pages import protect, read_body, show
from app.sandbox.twilio.form import params, read_params, words
from app.sandbox.twilio.links import show_file
from app.sandbox.twilio.rest import Routes

SEND = record({"text": Field(text())})
# Task attributes are free; these are the names under which gateways are known to put things.
NAMES = ("customerName", "name", "customer_name", "from")
CHANNELS = ("channelType", "channel", "channel_type")
ADDRESSES = ("customerAddress", "customer_address", "address", "from")
ONGOING = ("pending", "reserved", "assigned", "wrapping")


@dataclass(frozen=True)
class Desk:
    """The views; all but `page` are called with the lock held."""

    agent: Agent

    @property
    def memory(self) -> FlexMemory:
        return self.agent.memory

    def page(self) -> Response:
        return show("flex.html", agent=person(self.agent.identity))

    def tasks(self) -> Answer:
        """Newest first."""
        entries = [self._task(task) for task in reversed(self.memory.tasks.values())]
        return jsonify(version=self.memory.version, agent=self.agent.identity, tasks=entries)

    def accept(self, task_sid: str) -> Answer:
        return jsonify(self._task(self.agent.accept(task_sid)))

    def complete(self, task_sid: str) -> Answer:
        return jsonify(self._task(self.agent.complete(task_sid)))

    def messages(self, room_sid: str) -> Answer:
        room = self.agent.room(room_sid)
        entries = [self._message(room, message) for message in self.memory.messages_of(room.sid)]
        return jsonify(chatSid=room.sid, isOver=is_over(room), messages=entries)

    def send(self, room_sid: str) -> Answer:
        return self._said(self.agent.say(room_sid, str(read_body(SEND)["text"])))

    def send_media(self, room_sid: str) -> Answer:
        """The bytes of a file are the body, its name is in the query."""
        query = read_params(params(words(256), "filename") | params(words(1600), "text"), request.args)
        kind = request.mimetype or "application/octet-stream"
        file = add_file(self.memory, kind, request.get_data(), query.get("filename"))
        return self._said(self.agent.say(room_sid, query.get("text"), file))

    def _said(self, message: Message) -> Answer:
        return created(self._message(self.memory.rooms[message.room_sid], message))

    def _task(self, task: Task) -> Json:
        room = self.memory.rooms.get(task.room_sid)
        messages = self.memory.messages_of(task.room_sid)
        last = self._message(room, messages[-1]) if room and messages else None
        channel = self.memory.channels.get(task.room_sid)
        fallback = channel.user_name if channel else (room.friendly_name if room else None)
        return {
            "taskSid": task.sid,
            "status": task.status,
            "isOngoing": task.status in ONGOING,
            "chatSid": room.sid if room else None,
            "generation": room.generation if room else None,
            "isOver": is_over(room) if room else True,
            "name": _first(task.attributes, NAMES) or fallback or "Somebody",
            "channel": _first(task.attributes, CHANNELS),
            "address": _first(task.attributes, ADDRESSES),
            "attributes": task.attributes,
            "unread": self._unread(task, messages),
            "last": last,
        }

    def _unread(self, task: Task, messages: list[Message]) -> int:
        """What the agent has not seen, only while the chat is theirs."""
        member = self.memory.member(task.room_sid, self.agent.identity)
        if member is None or task.status not in ONGOING:
            return 0
        horizon = -1 if member.horizon is None else member.horizon
        return sum(1 for message in messages if message.index > horizon and message.author != self.agent.identity)

    def _message(self, room: Room, message: Message) -> Json:
        """In the form that both desks' scripts show."""
        is_own = message.author == self.agent.identity and message.source == "SDK"
        others = [one for one in self.memory.members_of(room.sid) if one.identity != self.agent.identity]
        is_customer = message.author in {one.identity for one in others}
        delivery = self.memory.deliveries.get(message.sid, {}) if is_own else {}
        was_read = any(one.horizon is not None and one.horizon >= message.index for one in others)
        return {
            "sequence": message.index,
            "mId": message.sid,
            "author": "agent" if is_own else "customer" if is_customer else "bot",
            "status": "read" if is_own and was_read else delivery.get("status"),
            "error": delivery.get("error"),
            "timestamp": int(message.created.timestamp() * 1000),
            "message": self._content(message),
        }

    def _content(self, message: Message) -> Json:
        file = self.memory.media.get(message.media_sid or "")
        if file is None:
            return {"type": "text", "text": message.body or ""}
        return {"type": "attachment", "attachment": show_file(self.memory, file), "text": message.body or ""}


def create_blueprint(agent: Agent) -> Blueprint:
    desk = Desk(agent)
    blueprint = Blueprint("flex_desk", __name__, url_prefix="/flex")
    blueprint.add_url_rule("", "page", desk.page)
    task, chat = "/api/tasks/<task_sid>", "/api/chats/<room_sid>"
    routes = Routes(blueprint, agent.memory)
    routes.add("GET", "/api/tasks", desk.tasks)
    routes.add("POST", f"{task}/accept", desk.accept)
    routes.add("POST", f"{task}/complete", desk.complete)
    routes.add("GET", f"{chat}/messages", desk.messages)
    routes.add("POST", f"{chat}/messages", desk.send)
    routes.add("POST", f"{chat}/media", desk.send_media)
    routes.add("POST", f"{chat}/typing", agent.type)
    routes.add("POST", f"{chat}/read", agent.read)
    routes.add("POST", f"{chat}/end", agent.end)
    protect(blueprint)
    return blueprint


def person(identity: str) -> str:
    """What to call an agent: Flex writes signs other than letters and digits as `_` and two hex digits."""
    name = re.sub("_([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), identity)
    known = name.removeprefix("agent_").replace("_", " ")
    return name if "@" in name else known.title()


def _first(attributes: Json, names: tuple[str, ...]) -> str:
    found = (attributes.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")
