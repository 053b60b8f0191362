"""The bodies of webhooks, as the contracts' tables have them, and who gets which.

Both generations say the same things in other words; a table for each.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.sandbox.flex.carrier import Parcel
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import CHAT, CONVERSATIONS, Hook, Member, Message, Room
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.records import Dated, File, Form, iso_milliseconds, now

MESSAGE, MEMBER, ROOM, STATE, TYPING = "message", "member", "room", "state", "typing"
NAMES = {
    CHAT: {MESSAGE: "onMessageSent", MEMBER: "onMemberUpdated", ROOM: "onChannelUpdated"},
    CONVERSATIONS: {
        MESSAGE: "onMessageAdded",
        MEMBER: "onParticipantUpdated",
        ROOM: "onConversationUpdated",
        STATE: "onConversationStateUpdated",
    },
}
# By what an event is about, the fields of its body and those of the record that they tell.
DATES = {"DateCreated": "created", "DateUpdated": "updated"}
SAID = {"MessageSid": "sid", "Index": "index", "Attributes": "attributes", "DateCreated": "created"}
READER = {"Identity": "identity", "RoleSid": "role_sid", **DATES}
CHANGED = {"Attributes": "attributes", "UniqueName": "unique_name", "FriendlyName": "friendly_name", **DATES}
FIELDS = {
    CHAT: {
        MESSAGE: {**SAID, "From": "author"},
        MEMBER: {**READER, "MemberSid": "sid", "LastConsumedMessageIndex": "horizon"},
        ROOM: {**CHANGED, "CreatedBy": "created_by"},
    },
    CONVERSATIONS: {
        MESSAGE: {**SAID, "Author": "author", "ParticipantSid": "member_sid"},
        MEMBER: {**READER, "ParticipantSid": "sid", "Attributes": "attributes", "LastReadMessageIndex": "horizon"},
        ROOM: {**CHANGED, "State": "state"},
    },
}
# No contract names an event for typing; this name and its fields are unverified. As no filter of that name is
# documented either, every webhook that wants messages gets it.
TYPING_NAME = "onTypingStarted"
# Of Twilio's own; conversations have no field for retries, and how often they are tried is not documented.
CONVERSATION_RETRIES = 3
DEFAULT_MESSAGING_SERVICE = "MG" + "0" * 32


@dataclass(frozen=True)
class Actor:
    """Who did something: an agent's client (SDK) or a REST call, which fires webhooks only if it says so."""

    source: str
    identity: str | None = None
    fires: bool = True


class Events:
    def __init__(self, settings: SandboxSettings, memory: FlexMemory, deliveries: Deliveries[Parcel]) -> None:
        self._settings = settings
        self._memory = memory
        self._deliveries = deliveries

    def fire(self, room: Room, kind: str, fields: Mapping[str, str | None], actor: Actor) -> None:
        """Queue one event for every webhook that wants it."""
        if not actor.fires:
            return
        name = TYPING_NAME if kind == TYPING else NAMES[room.generation][kind]
        message_sid = fields.get("MessageSid") if kind == MESSAGE else None
        wanted = [hook for hook in self._hooks(room) if _wants(hook, name, kind, room, fields)]
        body = {**self._common(room, name, actor), **fields}
        if message_sid:
            status = ("queued", None) if wanted else ("failed", f"No webhook of this chat wants {name}")
            self._memory.note_delivery(message_sid, *status)
        for hook in wanted:
            filled = {key: value for key, value in (body | self._of_hook(room, hook)).items() if value is not None}
            self._deliveries.post(Parcel(room.sid, name, hook, filled, message_sid))

    def replay(self, room: Room, hook: Hook, messages: list[Message]) -> None:
        """`Configuration.ReplayAfter`: messages from before the webhook, for it alone."""
        name = NAMES[room.generation][MESSAGE]
        for message in messages:
            actor = Actor(message.source, message.author if message.source == "SDK" else None)
            body = {**self._common(room, name, actor), **self.message_fields(room, message)}
            filled = {key: value for key, value in body.items() if value is not None}
            if hook.kind == "webhook" and name in hook.filters:
                self._deliveries.post(Parcel(room.sid, name, hook, filled, message.sid))

    def message_fields(self, room: Room, message: Message) -> Form:
        file = self._memory.media.get(message.media_sid or "")
        more = _file_fields(room.generation, file) if file else {}
        return {**_fields(room.generation, MESSAGE, message), "Body": message.body or "", **more}

    def member_fields(self, room: Room, member: Member) -> Form:
        return _fields(room.generation, MEMBER, member)

    def _common(self, room: Room, name: str, actor: Actor) -> Form:
        place = (
            {"InstanceSid": self._settings.flex_chat_service_sid, "ChannelSid": room.sid}
            if room.generation == CHAT
            else {
                "ChatServiceSid": self._settings.flex_chat_service_sid,
                "ConversationSid": room.sid,
                "MessagingServiceSid": room.messaging_service_sid or DEFAULT_MESSAGING_SERVICE,
            }
        )
        return {
            "EventType": name,
            "AccountSid": self._settings.twilio_account_sid,
            **place,
            "Source": actor.source,
            "ClientIdentity": actor.identity if actor.source == "SDK" else None,
        }

    def _of_hook(self, room: Room, hook: Hook) -> Form:
        return {"WebhookType": hook.kind, "WebhookSid": hook.sid} if room.generation == CHAT else {}

    def _hooks(self, room: Room) -> list[Hook]:
        own = self._memory.hooks_of(room.sid)
        if room.generation == CHAT:
            return own
        wider = [_configured(scope, form) for scope, form in self._memory.configuration.items()]
        return own + [hook for hook in wider if hook.url]


def _configured(scope: str, form: Form) -> Hook:
    """The account's or the service's post-event webhook as a hook like the others; pre-event ones are not played."""
    return Hook(
        sid=f"configuration:{scope}",
        room_sid="",
        kind="webhook",
        url=form.get("PostWebhookUrl", ""),
        method=form.get("Method", "POST").upper(),
        filters=form.get("Filters", ()),
        retries=CONVERSATION_RETRIES,
    )


def _wants(hook: Hook, name: str, kind: str, room: Room, fields: Mapping[str, str | None]) -> bool:
    if hook.kind == "trigger":
        said = (fields.get("Body") or "").lower()
        return kind == MESSAGE and any(trigger.lower() in said for trigger in hook.triggers)
    if hook.kind != "webhook":
        return False
    return name in hook.filters or (kind == TYPING and NAMES[room.generation][MESSAGE] in hook.filters)


def _fields(generation: str, kind: str, record: Dated) -> Form:
    return {name: _text(getattr(record, field)) for name, field in FIELDS[generation][kind].items()}


def _text(value: object) -> str | None:
    if value is None:
        return None
    return iso_milliseconds(value) if isinstance(value, datetime) else str(value)


def _file_fields(generation: str, file: File) -> Form:
    """The names of the four for channels are unverified."""
    fields = {"Sid": file.sid, "Filename": file.filename, "ContentType": file.content_type, "Size": len(file.data)}
    if generation == CONVERSATIONS:
        return {"Media": json.dumps([fields])}
    return {f"Media{name}": _text(value) for name, value in fields.items()}


def room_fields(room: Room) -> Form:
    """A channel or conversation that was changed."""
    return _fields(room.generation, ROOM, room) | ({"ChannelType": "private"} if room.generation == CHAT else {})


def state_fields(before: str, after: str, reason: str) -> Form:
    return {"StateFrom": before, "StateTo": after, "Reason": reason, "StateUpdated": iso_milliseconds(now())}
