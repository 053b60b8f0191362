"""What Chat and Conversations share: finding rooms, and the parameters and checks that both have."""

from typing import Any, TypeVar

from app.sandbox.checks import Refused
from app.sandbox.flex.events import Actor
from app.sandbox.flex.form import Param, moment, sid, web_address, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import Form, Hook, Member, Message, Room, new_sid
from app.sandbox.flex.rest import Problem, fires_webhooks, not_found
from app.sandbox.settings import SandboxSettings

HOOKS_MOST = 5
HOOK_KINDS = {"webhook": ("Url", "Filters"), "trigger": ("Url", "Triggers"), "studio": ("FlowSid",)}
DATES = {"DateCreated": Param(moment), "DateUpdated": Param(moment)}
HOOK = {
    "Configuration.Url": Param(web_address),
    "Configuration.Method": Param(word("get", "post", any_case=True)),
    "Configuration.Triggers": Param(words(), many=True),
    "Configuration.FlowSid": Param(sid("FW")),
}
ORDER = {"Order": Param(word("asc", "desc"))}

Thing = TypeVar("Thing")


class Resources:
    """One generation's rooms and what is in them; each lookup raises `Problem` 404."""

    def __init__(self, settings: SandboxSettings, memory: Memory, generation: str) -> None:
        self.settings = settings
        self.memory = memory
        self.generation = generation

    def service(self, service_sid: str | None) -> str:
        known = self.settings.flex_chat_service_sid
        if service_sid not in (None, known):
            raise not_found()
        return known

    def room(self, name: str, service_sid: str | None = None) -> Room:
        self.service(service_sid)
        rooms = (room for room in self.memory.rooms.values() if room.generation == self.generation)
        found = next((room for room in rooms if name in (room.sid, room.unique_name)), None)
        if found is None:
            raise not_found()
        return found

    def member(self, room: Room, name: str) -> Member:
        return _found(self.memory.member(room.sid, name))

    def message(self, room: Room, message_sid: str) -> Message:
        message = self.memory.messages.get(message_sid)
        return _found(message if message and message.room_sid == room.sid else None)

    def hook(self, room: Room, hook_sid: str) -> Hook:
        hook = self.memory.hooks.get(hook_sid)
        return _found(hook if hook and hook.room_sid == room.sid else None)

    def ordered(self, room: Room, query: Form) -> list[Message]:
        messages = self.memory.messages_of(room.sid)
        return messages[::-1] if query.get("Order") == "desc" else messages

    def check_media(self, media_sid: str | None) -> None:
        if media_sid is not None and media_sid not in self.memory.media:
            raise Refused("MediaSid", f"{media_sid} does not exist")

    def check_index(self, room: Room, name: str, index: int | None) -> None:
        """Nobody can have read further than the last message (that Twilio refuses is unverified)."""
        messages = self.memory.messages_of(room.sid)
        if index is not None and index > (messages[-1].index if messages else -1):
            raise Refused(name, "is beyond the last message")

    def make_hook(self, room: Room, kind: str, form: Form, retries: int) -> Hook:
        for part in HOOK_KINDS[kind]:
            if not form.get(f"Configuration.{part}"):
                raise Refused(f"Configuration.{part}", f"is missing, a {kind} needs it")
        if len(self.memory.hooks_of(room.sid)) >= HOOKS_MOST:
            raise Problem(400, f"There are {HOOKS_MOST} webhooks already")
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


def rest_actor() -> Actor:
    return Actor("API", fires=fires_webhooks())


def renamed(form: Form, names: dict[str, str]) -> dict[str, Any]:
    """The fields of a record for the parameters that were given."""
    return {field: form[name] for name, field in names.items() if name in form}


def check_words(form: Form, *alternatives: str) -> None:
    if not any(form.get(name) for name in alternatives):
        raise Refused(alternatives[0], f"is missing, a message needs {' or '.join(alternatives)}")


def _found(thing: Thing | None) -> Thing:
    if thing is None:
        raise not_found()
    return thing
