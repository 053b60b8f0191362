"""What Chat and Conversations share: finding rooms and what is in them, and the parameters and checks of both."""

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import request

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.events import Actor
from app.sandbox.flex.records import Hook, Member, Message, Room
from app.sandbox.twilio.form import Param, moment, sid, web_address, word, words
from app.sandbox.twilio.records import Form, new_sid
from app.sandbox.twilio.rest import found

WEBHOOK_HEADER = "X-Twilio-Webhook-Enabled"
MAX_HOOKS = 5
HOOK_KINDS = {"webhook": ("Url", "Filters"), "trigger": ("Url", "Triggers"), "studio": ("FlowSid",)}
DATES = {"DateCreated": Param(moment), "DateUpdated": Param(moment)}
HOOK = {
    "Configuration.Url": Param(web_address),
    "Configuration.Method": Param(word("get", "post", any_case=True)),
    "Configuration.Triggers": Param(words(), many=True),
    "Configuration.FlowSid": Param(sid("FW")),
}
ORDER = {"Order": Param(word("asc", "desc"))}


@dataclass(frozen=True)
class RoomsApi(Api):
    """One generation's rooms."""

    generation: ClassVar[str]

    def find_room(self, _: None, name: str) -> Room | None:
        rooms = (room for room in self.memory.rooms.values() if room.generation == self.generation)
        return next((room for room in rooms if name in (room.sid, room.unique_name)), None)

    def room(self, name: str, service_sid: str | None = None) -> Room:
        self.service(service_sid)
        return found(self.find_room(None, name))

    def room_of(self, part: Member | Message | Hook) -> Room:
        return self.memory.rooms[part.room_sid]

    def find_member(self, room: Room, name: str) -> Member | None:
        return self.memory.member(room.sid, name)

    def find_message(self, room: Room, message_sid: str) -> Message | None:
        return next((one for one in self.memory.messages_of(room.sid) if one.sid == message_sid), None)

    def find_hook(self, room: Room, hook_sid: str) -> Hook | None:
        return next((one for one in self.memory.hooks_of(room.sid) if one.sid == hook_sid), None)

    def hooks(self, room: Room, _: Form) -> list[Hook]:
        return self.memory.hooks_of(room.sid)

    def remove_hook(self, hook: Hook) -> None:
        self.memory.remove(self.memory.hooks, hook)

    def messages(self, room: Room, query: Form) -> list[Message]:
        messages = self.memory.messages_of(room.sid)
        return messages[::-1] if query.get("Order") == "desc" else messages

    def check_words(self, form: Form, *alternatives: str) -> None:
        if not any(form.get(name) for name in alternatives):
            raise Refused(alternatives[0], f"is missing, a message needs {' or '.join(alternatives)}")
        if form.get("MediaSid") is not None and form["MediaSid"] not in self.memory.media:
            raise Refused("MediaSid", f"{form['MediaSid']} does not exist")

    def read_index(self, member: Member, form: Form, name: str) -> int | None:
        """Nobody can have read further than the last message (that Twilio refuses is unverified)."""
        index, messages = form.get(name), self.memory.messages_of(member.room_sid)
        if index is not None and index > (messages[-1].index if messages else -1):
            raise Refused(name, "is beyond the last message")
        return index

    def update_member(self, member: Member, changes: dict[str, Any], index_name: str) -> Member:
        if not changes:
            raise Refused(index_name, "is missing, nothing would change")
        return self.rooms.update_member(self.room_of(member), member, changes, rest_actor())

    def make_hook(self, room: Room, kind: str, form: Form, retries: int) -> Hook:
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

    def show_file(self, message: Message) -> Json | None:
        file = self.memory.media.get(message.media_sid or "")
        if file is None:
            return None
        return {"sid": file.sid, "size": len(file.data), "content_type": file.content_type, "filename": file.filename}


def rest_actor() -> Actor:
    """Fires webhooks only if the call says so; the enumeration is lower case and the default is no."""
    value = request.headers.get(WEBHOOK_HEADER, "false")
    if value not in ("true", "false"):
        raise Refused(WEBHOOK_HEADER, "must be true or false")
    return Actor("API", fires=value == "true")
