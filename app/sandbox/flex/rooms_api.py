"""What Chat and Conversations share: finding rooms and what is in them, and the parameters and checks of both."""

from abc import ABC, abstractmethod
from typing import ClassVar

from flask import request

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.events import Actor
from app.sandbox.flex.records import Hook, Member, Message, Room
from app.sandbox.flex.rooms import Words
from app.sandbox.twilio.form import moment, params, renamed, sid, snake, web_address, word, words
from app.sandbox.twilio.records import Form, iso, new_sid, now
from app.sandbox.twilio.rest import Params, found, picked, read_form

WEBHOOK_HEADER = "X-Twilio-Webhook-Enabled"
MAX_HOOKS = 5
HOOK_KINDS = {"webhook": ("Url", "Filters"), "trigger": ("Url", "Triggers"), "studio": ("FlowSid",)}
DATES = params(moment, "DateCreated DateUpdated")
HOOK = (
    params(web_address, "Configuration.Url")
    | params(word("get", "post", any_case=True), "Configuration.Method")
    | params(words(), "Configuration.Triggers", many=True)
    | params(sid("FW"), "Configuration.FlowSid")
)


class InRooms(Api):
    """One generation's rooms, or what is in one of them."""

    generation: ClassVar[str]
    kind: ClassVar[str]

    def find_room(self, name: str) -> Room | None:
        rooms = (room for room in self.memory.rooms.values() if room.generation == self.generation)
        return next((room for room in rooms if name in (room.sid, room.unique_name)), None)

    def room(self, name: str, service_sid: str | None) -> Room:
        self.check_service(service_sid)
        return found(self.find_room(name))

    def room_of(self, part: Member | Message | Hook) -> Room:
        return self.memory.rooms[part.room_sid]


class Members(InRooms, ABC):
    """`index` and `at` are what the generation calls how far a member has read, and since when."""

    name = "<path:name>"
    form: ClassVar[Params]
    fields: ClassVar[str]
    index: ClassVar[str]
    at: ClassVar[str]

    @abstractmethod
    def show_part(self, record: Member | Message | Hook) -> Json:
        """What each of its kind says, in the words of its generation."""

    def find(self, room: Room, name: str) -> Member | None:
        return self.memory.member(room.sid, name)

    def update(self, member: Member) -> Member:
        """Nobody can have read further than the last message (that Twilio refuses is unverified)."""
        form, messages = read_form(self.form), self.memory.messages_of(member.room_sid)
        index, at = form.get(self.index), form.get(self.at) or now()
        if index is not None and index > (messages[-1].index if messages else -1):
            raise Refused(self.index, "is beyond the last message")
        changes = renamed(form, self.fields)
        if index is not None:
            changes |= {"horizon": index, "horizon_at": at if isinstance(at, str) else iso(at)}
        if not changes:
            raise Refused(self.index, "is missing, nothing would change")
        return self.rooms.update_member(self.room_of(member), member, changes, rest_actor())

    def show(self, member: Member) -> Json:
        read = {snake(self.index): member.horizon, snake(self.at): member.horizon_at}
        return {**self.show_part(member), **picked(member, "identity attributes role_sid"), **read}


class Messages(InRooms):
    """`author` is what the generation calls it, `says` are the parameters of which a message needs one."""

    kind, key = "Messages", "messages"
    query = params(word("asc", "desc"), "Order")
    form: ClassVar[Params]
    author: ClassVar[str]
    says: ClassVar[tuple[str, ...]]

    def find(self, room: Room, name: str) -> Message | None:
        return next((one for one in self.memory.messages_of(room.sid) if one.sid == name), None)

    def all(self, room: Room, query: Form) -> list[Message]:
        messages = self.memory.messages_of(room.sid)
        return messages[::-1] if query.get("Order") == "desc" else messages

    def create(self, room: Room) -> Message:
        form = read_form(self.form)
        if not any(form.get(name) for name in self.says):
            raise Refused(self.says[0], f"is missing, a message needs {' or '.join(self.says)}")
        if "MediaSid" in form and form["MediaSid"] not in self.memory.media:
            raise Refused("MediaSid", f"{form['MediaSid']} does not exist")
        said = Words(form.get("Body"), form.get("Attributes", "{}"), form.get("MediaSid"), form.get("ContentSid"))
        return self.rooms.say(room, form.get(self.author) or "system", said, rest_actor())

    def show_file(self, message: Message) -> Json | None:
        file = self.memory.media.get(message.media_sid or "")
        if file is None:
            return None
        return {"sid": file.sid, "size": len(file.data), "content_type": file.content_type, "filename": file.filename}


class Hooks(InRooms):
    kind, key = "Webhooks", "webhooks"

    def find(self, room: Room, name: str) -> Hook | None:
        return next((one for one in self.memory.hooks_of(room.sid) if one.sid == name), None)

    def all(self, room: Room, _: Form) -> list[Hook]:
        return self.memory.hooks_of(room.sid)

    def delete(self, hook: Hook) -> None:
        self.memory.remove(self.memory.hooks, hook)

    def make(self, room: Room, kind: str, form: Form, retries: int) -> Hook:
        for part in HOOK_KINDS[kind]:
            if not form.get(f"Configuration.{part}"):
                raise Refused(f"Configuration.{part}", f"is missing, a {kind} needs it")
        if len(self.memory.hooks_of(room.sid)) >= MAX_HOOKS:
            raise Problem(400, f"There are {MAX_HOOKS} webhooks already")
        hook = Hook(
            sid=new_sid("WH"),
            room_sid=room.sid,
            kind=kind,
            url=form.get("Configuration.Url", ""),
            method=form.get("Configuration.Method", "post").upper(),
            filters=form.get("Configuration.Filters", ()),
            triggers=form.get("Configuration.Triggers", ()),
            flow_sid=form.get("Configuration.FlowSid"),
            retries=retries,
        )
        return self.memory.put(self.memory.hooks, hook)

    def show_configuration(self, hook: Hook) -> Json:
        parts = {"filters": list(hook.filters), "triggers": list(hook.triggers), "flow_sid": hook.flow_sid}
        return {"method": hook.method, **{name: value for name, value in parts.items() if value}}


def rest_actor() -> Actor:
    """Fires webhooks only if the call says so; the enumeration is lower case and the default is no."""
    value = request.headers.get(WEBHOOK_HEADER, "false")
    if value not in ("true", "false"):
        raise Refused(WEBHOOK_HEADER, "must be true or false")
    return Actor("API", fires=value == "true")
