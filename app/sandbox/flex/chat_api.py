"""Programmable Chat, version 2: channels, their webhooks, messages and members."""

from app.sandbox.checks import Json
from app.sandbox.flex.records import CHAT, Hook, Member, Message, Room
from app.sandbox.flex.rooms_api import DATES, HOOK, HOOK_KINDS, Hooks, InRooms, Members, Messages, rest_actor
from app.sandbox.twilio.form import json_text, moment, params, renamed, sid, whole, word, words
from app.sandbox.twilio.records import Form
from app.sandbox.twilio.rest import own_url, picked, read_form

CHANNELS = "/chat/v2/Services/<service_sid>/Channels"
CHANNEL = f"{CHANNELS}/<channel_sid>"
# The contract names the events that are fired; the other names are Programmable Chat's own.
SUBJECTS = ("Message", "Channel", "Member", "User")
FILTERS = [
    *(f"on{subject}{verb}" for subject in SUBJECTS for verb in ("Update", "Updated", "Remove", "Removed")),
    *(f"on{subject}{verb}" for subject in SUBJECTS[1:] for verb in ("Add", "Added")),
    *("onMessageSend", "onMessageSent", "onMediaMessageSend", "onMediaMessageSent"),
    *("onChannelDestroy", "onChannelDestroyed", "onTypingStarted"),
]
UPDATE = params(words(), "FriendlyName UniqueName CreatedBy") | params(json_text, "Attributes") | DATES
WEBHOOK = (
    params(word(*HOOK_KINDS), "Type", required=True)
    | params(word(*FILTERS), "Configuration.Filters", many=True)
    | params(whole(0, 3), "Configuration.RetryCount")
    | HOOK
)
MESSAGE = (
    params(words(), "From Body LastUpdatedBy") | params(json_text, "Attributes") | params(sid("ME"), "MediaSid") | DATES
)
MEMBER = (
    params(json_text, "Attributes")
    | params(sid("RL"), "RoleSid")
    | params(whole(), "LastConsumedMessageIndex")
    | params(moment, "LastConsumptionTimestamp")
    | DATES
)


class OfChat(InRooms):
    generation = CHAT

    def show_common(self, record: Room | Hook | Message | Member) -> Json:
        return {**self.stamp(record), "service_sid": self.settings.flex_chat_service_sid}

    def url(self, room_sid: str) -> str:
        return own_url(f"/chat/v2/Services/{self.settings.flex_chat_service_sid}/Channels/{room_sid}")


class Channels(OfChat):
    paths = (CHANNELS,)

    def owner(self, service_sid: str) -> None:
        self.check_service(service_sid)

    def find(self, _: None, name: str) -> Room | None:
        return self.find_room(name)

    def update(self, room: Room) -> Room:
        changes = renamed(read_form(UPDATE), "FriendlyName UniqueName Attributes CreatedBy")
        return self.rooms.update(room, changes, rest_actor())

    def delete(self, room: Room) -> None:
        self.memory.remove_room(room)

    def show(self, room: Room) -> Json:
        url = self.url(room.sid)
        return {
            **self.show_common(room),
            **picked(room, "friendly_name unique_name attributes created_by"),
            "type": "private",
            "members_count": len(self.memory.members_of(room.sid)),
            "messages_count": len(self.memory.messages_of(room.sid)),
            "url": url,
            "links": {name.lower(): f"{url}/{name}" for name in ("Members", "Messages", "Webhooks")},
        }


class InChannel(OfChat):
    def owner(self, service_sid: str, channel_sid: str) -> Room:
        return self.room(channel_sid, service_sid)

    def show_part(self, record: Hook | Message | Member) -> Json:
        url = f"{self.url(record.room_sid)}/{self.kind}/{record.sid}"
        return {**self.show_common(record), "channel_sid": record.room_sid, "url": url}


class ChannelHooks(InChannel, Hooks):
    paths = (f"{CHANNEL}/Webhooks",)

    def create(self, room: Room) -> Hook:
        form = read_form(WEBHOOK)
        return self.make(room, form["Type"], form, form.get("Configuration.RetryCount", 0))

    def show(self, hook: Hook) -> Json:
        more = {"url": hook.url, "retry_count": hook.retries}
        return {**self.show_part(hook), "type": hook.kind, "configuration": self.show_configuration(hook) | more}


class ChannelMessages(InChannel, Messages):
    paths = (f"{CHANNEL}/Messages",)
    form, author, says = MESSAGE, "From", ("Body", "MediaSid")

    def show(self, message: Message) -> Json:
        file = self.show_file(message)
        return {
            **self.show_part(message),
            **picked(message, "body attributes index"),
            "to": message.room_sid,
            "from": message.author,
            "type": "media" if file else "text",
            "media": file,
            "was_edited": False,
            "last_updated_by": None,
        }


class ChannelMembers(InChannel, Members):
    paths = (f"{CHANNEL}/Members",)
    kind, key = "Members", "members"
    query = params(words(), "Identity", many=True)
    form, fields = MEMBER, "Attributes RoleSid"
    index, at = "LastConsumedMessageIndex", "LastConsumptionTimestamp"

    def all(self, room: Room, query: Form) -> list[Member]:
        wanted = query.get("Identity", ())
        return [one for one in self.memory.members_of(room.sid) if not wanted or one.identity in wanted]


RESOURCES = (Channels, ChannelHooks, ChannelMessages, ChannelMembers)
