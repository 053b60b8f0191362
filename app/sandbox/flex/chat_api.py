"""Programmable Chat, version 2: channels, their webhooks, messages and members."""

from flask import jsonify

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.form import Param, json_text, moment, sid, whole, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CHAT, Hook, Member, Message, Room, iso, now
from app.sandbox.flex.resources import (
    DATES,
    HOOK,
    HOOK_KINDS,
    ORDER,
    Resources,
    check_words,
    renamed,
    rest_actor,
)
from app.sandbox.flex.rest import Answer, Routes, created, deleted, own_url, page, read_form, read_query
from app.sandbox.flex.rooms import Rooms, Words
from app.sandbox.settings import SandboxSettings

CHANNEL = "/chat/v2/Services/<service_sid>/Channels/<channel_sid>"
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
MEMBER_FIELDS = {"Attributes": "attributes", "RoleSid": "role_sid"}
ROOM_FIELDS = {
    "FriendlyName": "friendly_name",
    "UniqueName": "unique_name",
    "Attributes": "attributes",
    "CreatedBy": "created_by",
}


class ChatApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms) -> None:
        self._find = Resources(settings, memory, CHAT)
        self._settings = settings
        self._memory = memory
        self._rooms = rooms

    def register(self, routes: Routes) -> None:
        routes.add("GET", CHANNEL, self.fetch)
        routes.add("POST", CHANNEL, self.update)
        routes.add("DELETE", CHANNEL, self.delete)
        routes.add("POST", f"{CHANNEL}/Webhooks", self.create_webhook)
        routes.add("GET", f"{CHANNEL}/Webhooks", self.list_webhooks)
        routes.add("GET", f"{CHANNEL}/Webhooks/<webhook_sid>", self.fetch_webhook)
        routes.add("DELETE", f"{CHANNEL}/Webhooks/<webhook_sid>", self.delete_webhook)
        routes.add("POST", f"{CHANNEL}/Messages", self.create_message)
        routes.add("GET", f"{CHANNEL}/Messages", self.list_messages)
        routes.add("GET", f"{CHANNEL}/Messages/<message_sid>", self.fetch_message)
        routes.add("GET", f"{CHANNEL}/Members", self.list_members)
        routes.add("GET", f"{CHANNEL}/Members/<path:member>", self.fetch_member)
        routes.add("POST", f"{CHANNEL}/Members/<path:member>", self.update_member)

    def fetch(self, service_sid: str, channel_sid: str) -> Answer:
        return jsonify(self.show(self._find.room(channel_sid, service_sid)))

    def update(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        changes = renamed(read_form(UPDATE), ROOM_FIELDS)
        return jsonify(self.show(self._rooms.update(room, changes, rest_actor())))

    def delete(self, service_sid: str, channel_sid: str) -> Answer:
        self._memory.remove_room(self._find.room(channel_sid, service_sid))
        return deleted()

    def create_webhook(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        form = read_form(WEBHOOK)
        hook = self._find.make_hook(room, form["Type"], form, form.get("Configuration.RetryCount", 0))
        return created(self.show_webhook(hook))

    def list_webhooks(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        return page("webhooks", self._memory.hooks_of(room.sid), self.show_webhook, read_query({}))

    def fetch_webhook(self, service_sid: str, channel_sid: str, webhook_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        return jsonify(self.show_webhook(self._find.hook(room, webhook_sid)))

    def delete_webhook(self, service_sid: str, channel_sid: str, webhook_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        self._memory.remove(self._memory.hooks, self._find.hook(room, webhook_sid).sid)
        return deleted()

    def create_message(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        form = read_form(MESSAGE)
        check_words(form, "Body", "MediaSid")
        self._find.check_media(form.get("MediaSid"))
        words_said = Words(form.get("Body"), form.get("Attributes", "{}"), form.get("MediaSid"))
        message = self._rooms.say(room, form.get("From") or "system", words_said, rest_actor())
        return created(self.show_message(message))

    def list_messages(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        query = read_query(ORDER)
        return page("messages", self._find.ordered(room, query), self.show_message, query)

    def fetch_message(self, service_sid: str, channel_sid: str, message_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        return jsonify(self.show_message(self._find.message(room, message_sid)))

    def list_members(self, service_sid: str, channel_sid: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        query = read_query({"Identity": Param(words(), many=True)})
        wanted = query.get("Identity", ())
        members = [one for one in self._memory.members_of(room.sid) if not wanted or one.identity in wanted]
        return page("members", members, self.show_member, query)

    def fetch_member(self, service_sid: str, channel_sid: str, member: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        return jsonify(self.show_member(self._find.member(room, member)))

    def update_member(self, service_sid: str, channel_sid: str, member: str) -> Answer:
        room = self._find.room(channel_sid, service_sid)
        found = self._find.member(room, member)
        form = read_form(MEMBER)
        index = form.get("LastConsumedMessageIndex")
        self._find.check_index(room, "LastConsumedMessageIndex", index)
        changes = renamed(form, MEMBER_FIELDS)
        if index is not None:
            at = form.get("LastConsumptionTimestamp")
            changes |= {"horizon": index, "horizon_at": iso(at or now())}
        elif not changes:
            raise Refused("LastConsumedMessageIndex", "is missing, nothing would change")
        return jsonify(self.show_member(self._rooms.update_member(room, found, changes, rest_actor())))

    def show(self, room: Room) -> Json:
        url = self._url(room.sid)
        return {
            **self._common(room),
            "friendly_name": room.friendly_name,
            "unique_name": room.unique_name,
            "attributes": room.attributes,
            "type": "private",
            "created_by": room.created_by,
            "members_count": len(self._memory.members_of(room.sid)),
            "messages_count": len(self._memory.messages_of(room.sid)),
            "url": url,
            "links": {name.lower(): f"{url}/{name}" for name in ("Members", "Messages", "Webhooks")},
        }

    def show_webhook(self, hook: Hook) -> Json:
        configuration: Json = {"url": hook.url, "method": hook.method, "retry_count": hook.retries}
        parts = {"filters": list(hook.filters), "triggers": list(hook.triggers), "flow_sid": hook.flow_sid}
        configuration |= {name: value for name, value in parts.items() if value}
        return {
            **self._common(hook),
            "channel_sid": hook.room_sid,
            "type": hook.kind,
            "configuration": configuration,
            "url": f"{self._url(hook.room_sid)}/Webhooks/{hook.sid}",
        }

    def show_message(self, message: Message) -> Json:
        media = self._memory.media.get(message.media_sid or "")
        shown = {"sid": media.sid, "size": len(media.data), "content_type": media.content_type} if media else None
        return {
            **self._common(message),
            "channel_sid": message.room_sid,
            "to": message.room_sid,
            "from": message.author,
            "body": message.body,
            "attributes": message.attributes,
            "index": message.index,
            "type": "media" if media else "text",
            "media": shown | {"filename": media.filename} if shown and media else None,
            "was_edited": False,
            "last_updated_by": None,
            "url": f"{self._url(message.room_sid)}/Messages/{message.sid}",
        }

    def show_member(self, member: Member) -> Json:
        return {
            **self._common(member),
            "channel_sid": member.room_sid,
            "identity": member.identity,
            "attributes": member.attributes,
            "role_sid": member.role_sid,
            "last_consumed_message_index": member.horizon,
            "last_consumption_timestamp": member.horizon_at,
            "url": f"{self._url(member.room_sid)}/Members/{member.sid}",
        }

    def _common(self, record: Room | Hook | Message | Member) -> Json:
        return {
            "sid": record.sid,
            "account_sid": self._settings.twilio_account_sid,
            "service_sid": self._settings.flex_chat_service_sid,
            "date_created": iso(record.created),
            "date_updated": iso(record.updated),
        }

    def _url(self, room_sid: str) -> str:
        return own_url(f"/chat/v2/Services/{self._settings.flex_chat_service_sid}/Channels/{room_sid}")
