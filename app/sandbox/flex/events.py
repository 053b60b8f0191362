"""The bodies of webhooks, as the contracts' tables have them, and who gets which.

Both generations say the same things in other words; a table for each.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.sandbox.flex.carrier import Parcel
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.records import CHAT, Hook, Member, Message, Room
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.records import File, Form, iso_milliseconds, now

MESSAGE, MEMBER, ROOM, STATE, TYPING = "message", "member", "room", "state", "typing"
NAMES = {
    "chat": {MESSAGE: "onMessageSent", MEMBER: "onMemberUpdated", ROOM: "onChannelUpdated"},
    "conversations": {
        MESSAGE: "onMessageAdded",
        MEMBER: "onParticipantUpdated",
        ROOM: "onConversationUpdated",
        STATE: "onConversationStateUpdated",
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
            self._deliveries.post(Parcel(room.sid, hook, name, filled, message_sid))

    def replay(self, room: Room, hook: Hook, messages: list[Message]) -> None:
        """`Configuration.ReplayAfter`: messages from before the webhook, for it alone."""
        name = NAMES[room.generation][MESSAGE]
        for message in messages:
            actor = Actor(message.source, message.author if message.source == "SDK" else None)
            body = {**self._common(room, name, actor), **self.message_fields(room, message)}
            filled = {key: value for key, value in body.items() if value is not None}
            if hook.kind == "webhook" and name in hook.filters:
                self._deliveries.post(Parcel(room.sid, hook, name, filled, message.sid))

    def message_fields(self, room: Room, message: Message) -> Form:
        media = self._memory.media.get(message.media_sid or "")
        return MESSAGE_FIELDS[room.generation](message, media)

    def member_fields(self, room: Room, member: Member) -> Form:
        return MEMBER_FIELDS[room.generation](member)

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


def _chat_message(message: Message, media: File | None) -> Form:
    fields: Form = {
        "MessageSid": message.sid,
        "Index": str(message.index),
        "From": message.author,
        "Body": message.body or "",
        "Attributes": message.attributes,
        "DateCreated": iso_milliseconds(message.created),
    }
    if media:  # the names of these four are unverified
        fields |= {
            "MediaSid": media.sid,
            "MediaFilename": media.filename,
            "MediaContentType": media.content_type,
            "MediaSize": str(len(media.data)),
        }
    return fields


def _conversation_message(message: Message, media: File | None) -> Form:
    fields: Form = {
        "MessageSid": message.sid,
        "Index": str(message.index),
        "Author": message.author,
        "ParticipantSid": message.member_sid,
        "Body": message.body or "",
        "Attributes": message.attributes,
        "DateCreated": iso_milliseconds(message.created),
    }
    if media:
        entry = {"Sid": media.sid, "ContentType": media.content_type, "Filename": media.filename}
        fields["Media"] = json.dumps([entry | {"Size": len(media.data)}])
    return fields


def _chat_member(member: Member) -> Form:
    return {"MemberSid": member.sid, **_reader(member, "LastConsumedMessageIndex")}


def _participant(member: Member) -> Form:
    return {"ParticipantSid": member.sid, "Attributes": member.attributes, **_reader(member, "LastReadMessageIndex")}


def _reader(member: Member, horizon: str) -> Form:
    return {
        "Identity": member.identity,
        "RoleSid": member.role_sid,
        horizon: None if member.horizon is None else str(member.horizon),
        "DateCreated": iso_milliseconds(member.created),
        "DateUpdated": iso_milliseconds(member.updated),
    }


def room_fields(room: Room) -> Form:
    """A channel or conversation that was changed."""
    fields: Form = {
        "Attributes": room.attributes,
        "UniqueName": room.unique_name,
        "FriendlyName": room.friendly_name,
        "DateCreated": iso_milliseconds(room.created),
        "DateUpdated": iso_milliseconds(room.updated),
    }
    if room.generation == CHAT:
        return fields | {"CreatedBy": room.created_by, "ChannelType": "private"}
    return fields | {"State": room.state}


def state_fields(before: str, after: str, reason: str) -> Form:
    return {"StateFrom": before, "StateTo": after, "Reason": reason, "StateUpdated": iso_milliseconds(now())}


MESSAGE_FIELDS: dict[str, Callable[[Message, File | None], Form]] = {
    "chat": _chat_message,
    "conversations": _conversation_message,
}
MEMBER_FIELDS: dict[str, Callable[[Member], Form]] = {"chat": _chat_member, "conversations": _participant}
