"""Programmable Chat, version 2: channels, their webhooks, messages and members."""

from typing import Any

from app.sandbox.checks import Json
from app.sandbox.flex.records import CHAT, Hook, Member, Message, Room
from app.sandbox.flex.rooms import Words
from app.sandbox.flex.rooms_api import DATES, HOOK, HOOK_KINDS, ORDER, RoomsApi, rest_actor
from app.sandbox.twilio.form import Param, json_text, moment, renamed, sid, whole, word, words
from app.sandbox.twilio.records import Form, iso, now
from app.sandbox.twilio.rest import Resource, own_url, picked, read_form

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
UPDATE = {
    "FriendlyName": Param(words()),
    "UniqueName": Param(words()),
    "Attributes": Param(json_text),
    "CreatedBy": Param(words()),
    **DATES,
}
WEBHOOK = {
    "Type": Param(word(*HOOK_KINDS), required=True),
    "Configuration.Filters": Param(word(*FILTERS), many=True),
    "Configuration.RetryCount": Param(whole(0, 3)),
    **HOOK,
}
MESSAGE = {
    "From": Param(words()),
    "Body": Param(words()),
    "Attributes": Param(json_text),
    "MediaSid": Param(sid("ME")),
    "LastUpdatedBy": Param(words()),
    **DATES,
}
MEMBER = {
    "Attributes": Param(json_text),
    "RoleSid": Param(sid("RL")),
    "LastConsumedMessageIndex": Param(whole()),
    "LastConsumptionTimestamp": Param(moment),
    **DATES,
}
MEMBER_FIELDS = "Attributes RoleSid"
ROOM_FIELDS = "FriendlyName UniqueName Attributes CreatedBy"


class ChatApi(RoomsApi):
    generation = CHAT

    def resources(self) -> list[Resource[Any, Any]]:
        return [
            Resource(
                CHANNELS,
                self.service,
                self.show,
                find=self.find_room,
                update=lambda room: self.rooms.update(room, renamed(read_form(UPDATE), ROOM_FIELDS), rest_actor()),
                delete=self.memory.remove_room,
            ),
            Resource(
                f"{CHANNEL}/Webhooks",
                self._channel,
                self._show_webhook,
                find=self.find_hook,
                all=self.hooks,
                key="webhooks",
                create=self._create_webhook,
                delete=self.remove_hook,
            ),
            Resource(
                f"{CHANNEL}/Messages",
                self._channel,
                self._show_message,
                find=self.find_message,
                all=self.messages,
                key="messages",
                query=ORDER,
                create=self._create_message,
            ),
            Resource(
                f"{CHANNEL}/Members",
                self._channel,
                self._show_member,
                find=self.find_member,
                all=self._members,
                key="members",
                query={"Identity": Param(words(), many=True)},
                update=self._update_member,
                name="<path:name>",
            ),
        ]

    def _channel(self, service_sid: str, channel_sid: str) -> Room:
        return self.room(channel_sid, service_sid)

    def _create_webhook(self, room: Room) -> Hook:
        form = read_form(WEBHOOK)
        return self.make_hook(room, form["Type"], form, form.get("Configuration.RetryCount", 0))

    def _create_message(self, room: Room) -> Message:
        form = read_form(MESSAGE)
        self.check_words(form, "Body", "MediaSid")
        said = Words(form.get("Body"), form.get("Attributes", "{}"), form.get("MediaSid"))
        return self.rooms.say(room, form.get("From") or "system", said, rest_actor())

    def _members(self, room: Room, query: Form) -> list[Member]:
        wanted = query.get("Identity", ())
        return [one for one in self.memory.members_of(room.sid) if not wanted or one.identity in wanted]

    def _update_member(self, member: Member) -> Member:
        form = read_form(MEMBER)
        index = self.read_index(member, form, "LastConsumedMessageIndex")
        changes = renamed(form, MEMBER_FIELDS)
        if index is not None:
            changes |= {"horizon": index, "horizon_at": iso(form.get("LastConsumptionTimestamp") or now())}
        return self.update_member(member, changes, "LastConsumedMessageIndex")

    def show(self, room: Room) -> Json:
        url = self._url(room.sid)
        return {
            **self._common(room),
            **picked(room, "friendly_name unique_name attributes created_by"),
            "type": "private",
            "members_count": len(self.memory.members_of(room.sid)),
            "messages_count": len(self.memory.messages_of(room.sid)),
            "url": url,
            "links": {name.lower(): f"{url}/{name}" for name in ("Members", "Messages", "Webhooks")},
        }

    def _show_webhook(self, hook: Hook) -> Json:
        configuration: Json = {"url": hook.url, "method": hook.method, "retry_count": hook.retries}
        parts = {"filters": list(hook.filters), "triggers": list(hook.triggers), "flow_sid": hook.flow_sid}
        configuration |= {name: value for name, value in parts.items() if value}
        return {**self._part(hook, "Webhooks"), "type": hook.kind, "configuration": configuration}

    def _show_message(self, message: Message) -> Json:
        file = self.show_file(message)
        return {
            **self._part(message, "Messages"),
            **picked(message, "body attributes index"),
            "to": message.room_sid,
            "from": message.author,
            "type": "media" if file else "text",
            "media": file,
            "was_edited": False,
            "last_updated_by": None,
        }

    def _show_member(self, member: Member) -> Json:
        return {
            **self._part(member, "Members"),
            **picked(member, "identity attributes role_sid"),
            "last_consumed_message_index": member.horizon,
            "last_consumption_timestamp": member.horizon_at,
        }

    def _part(self, record: Hook | Message | Member, kind: str) -> Json:
        url = f"{self._url(record.room_sid)}/{kind}/{record.sid}"
        return {**self._common(record), "channel_sid": record.room_sid, "url": url}

    def _common(self, record: Room | Hook | Message | Member) -> Json:
        return {**self.stamp(record), "service_sid": self.settings.flex_chat_service_sid}

    def _url(self, room_sid: str) -> str:
        return own_url(f"/chat/v2/Services/{self.settings.flex_chat_service_sid}/Channels/{room_sid}")
