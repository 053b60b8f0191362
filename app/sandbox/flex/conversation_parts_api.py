"""Conversations, version 1: the participants, messages and webhooks of one conversation."""

from flask import jsonify

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.conversations_api import BASES, asked_service, place
from app.sandbox.flex.events import CONVERSATION_RETRIES, Events
from app.sandbox.flex.form import Param, json_text, sid, whole, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CONVERSATIONS, Form, Hook, Member, Message, iso, now
from app.sandbox.flex.resources import DATES, HOOK, HOOK_KINDS, ORDER, Resources, check_words, renamed, rest_actor
from app.sandbox.flex.rest import Answer, Problem, Routes, created, deleted, own_url, page, read_form, read_query
from app.sandbox.flex.rooms import Rooms, Words
from app.sandbox.settings import SandboxSettings

IDENTITY_TAKEN = 50433
BODY_MOST = 1600
SUBJECTS = ("Message", "Conversation", "Participant")
FILTERS = [
    *(f"on{subject}{verb}" for subject in SUBJECTS for verb in ("Add", "Added", "Update", "Updated")),
    *(f"on{subject}{verb}" for subject in SUBJECTS for verb in ("Remove", "Removed")),
    *("onConversationStateUpdated", "onDeliveryUpdated", "onUserAdded", "onUserUpdate", "onUserUpdated"),
    "onTypingStarted",
]
PARTICIPANT = {
    "Attributes": Param(json_text),
    "RoleSid": Param(sid("RL")),
    "MessagingBinding.Address": Param(words()),
    "MessagingBinding.ProxyAddress": Param(words()),
    "MessagingBinding.ProjectedAddress": Param(words()),
    **DATES,
}
CREATE_PARTICIPANT = {"Identity": Param(words()), **PARTICIPANT}
UPDATE_PARTICIPANT = {
    "Identity": Param(words()),
    "LastReadMessageIndex": Param(whole()),
    "LastReadTimestamp": Param(words()),
    **PARTICIPANT,
}
PARTICIPANT_FIELDS = {
    "Identity": "identity",
    "Attributes": "attributes",
    "RoleSid": "role_sid",
    "LastReadMessageIndex": "horizon",
}
BINDING = {"Address": "address", "ProxyAddress": "proxy_address", "ProjectedAddress": "projected_address"}
MESSAGE = {
    "Author": Param(words()),
    "Body": Param(words(BODY_MOST)),
    "Attributes": Param(json_text),
    "MediaSid": Param(sid("ME")),
    "ContentSid": Param(sid("HX")),
    "ContentVariables": Param(json_text),
    "Subject": Param(words(256)),
    **DATES,
}
WEBHOOK = {
    "Target": Param(word(*HOOK_KINDS), required=True),
    "Configuration.Filters": Param(word(*FILTERS), many=True),
    "Configuration.ReplayAfter": Param(whole()),
    **HOOK,
}


class ConversationPartsApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms, events: Events) -> None:
        self._find = Resources(settings, memory, CONVERSATIONS)
        self._settings = settings
        self._memory = memory
        self._rooms = rooms
        self._events = events

    def register(self, routes: Routes) -> None:
        for base in BASES:
            one = f"{base}/Conversations/<conversation>"
            routes.add("POST", f"{one}/Participants", self.create_participant)
            routes.add("GET", f"{one}/Participants", self.list_participants)
            routes.add("GET", f"{one}/Participants/<path:participant>", self.fetch_participant)
            routes.add("POST", f"{one}/Participants/<path:participant>", self.update_participant)
            routes.add("DELETE", f"{one}/Participants/<path:participant>", self.delete_participant)
            routes.add("POST", f"{one}/Messages", self.create_message)
            routes.add("GET", f"{one}/Messages", self.list_messages)
            routes.add("GET", f"{one}/Messages/<message_sid>", self.fetch_message)
            routes.add("POST", f"{one}/Webhooks", self.create_webhook)
            routes.add("GET", f"{one}/Webhooks", self.list_webhooks)
            routes.add("GET", f"{one}/Webhooks/<webhook_sid>", self.fetch_webhook)
            routes.add("DELETE", f"{one}/Webhooks/<webhook_sid>", self.delete_webhook)

    def create_participant(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        form = read_form(CREATE_PARTICIPANT)
        rest_actor()
        identity = form.get("Identity")
        binding = _binding(form)
        if not identity and not ({"address", "proxy_address"} <= binding.keys()):
            raise Refused("Identity", "is missing, Identity or a whole MessagingBinding is needed")
        if identity and self._memory.member(room.sid, identity):
            raise Problem(409, f"Participant with identity {identity} already exists", IDENTITY_TAKEN)
        more = renamed(form, {name: PARTICIPANT_FIELDS[name] for name in ("Attributes", "RoleSid")})
        return created(self.show_participant(self._rooms.join(room, identity, binding=binding or None, **more)))

    def list_participants(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        return page("participants", self._memory.members_of(room.sid), self.show_participant, read_query({}))

    def fetch_participant(self, conversation: str, participant: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        return jsonify(self.show_participant(self._find.member(room, participant)))

    def update_participant(self, conversation: str, participant: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        member = self._find.member(room, participant)
        form = read_form(UPDATE_PARTICIPANT)
        index = form.get("LastReadMessageIndex")
        self._find.check_index(room, "LastReadMessageIndex", index)
        changes = renamed(form, PARTICIPANT_FIELDS)
        if index is not None:
            changes["horizon_at"] = form.get("LastReadTimestamp") or iso(now())
        elif not changes:
            raise Refused("LastReadMessageIndex", "is missing, nothing would change")
        return jsonify(self.show_participant(self._rooms.update_member(room, member, changes, rest_actor())))

    def delete_participant(self, conversation: str, participant: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        self._memory.remove(self._memory.members, self._find.member(room, participant).sid)
        return deleted()

    def create_message(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        form = read_form(MESSAGE)
        check_words(form, "Body", "MediaSid", "ContentSid")
        self._find.check_media(form.get("MediaSid"))
        more = renamed(form, {"ContentSid": "content_sid"})
        said = Words(form.get("Body"), form.get("Attributes", "{}"), form.get("MediaSid"), more)
        message = self._rooms.say(room, form.get("Author") or "system", said, rest_actor())
        return created(self.show_message(message))

    def list_messages(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        query = read_query(ORDER)
        return page("messages", self._find.ordered(room, query), self.show_message, query)

    def fetch_message(self, conversation: str, message_sid: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        return jsonify(self.show_message(self._find.message(room, message_sid)))

    def create_webhook(self, conversation: str, service_sid: str | None = None) -> Answer:
        """A Studio webhook waits for the next message; `ReplayAfter` lets it see messages from before."""
        room = self._find.room(conversation, service_sid)
        form = read_form(WEBHOOK)
        hook = self._find.make_hook(room, form["Target"], form, CONVERSATION_RETRIES)
        after = form.get("Configuration.ReplayAfter")
        missed = [one for one in self._memory.messages_of(room.sid) if after is not None and one.index > after]
        self._events.replay(room, hook, missed)
        if hook.kind == "studio":
            waiting = self._memory.change(self._memory.rooms, room, starts="studio")
            if missed:
                self._rooms.start(waiting)
        return created(self.show_webhook(hook))

    def list_webhooks(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        return page("webhooks", self._memory.hooks_of(room.sid), self.show_webhook, read_query({}))

    def fetch_webhook(self, conversation: str, webhook_sid: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        return jsonify(self.show_webhook(self._find.hook(room, webhook_sid)))

    def delete_webhook(self, conversation: str, webhook_sid: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        self._memory.remove(self._memory.hooks, self._find.hook(room, webhook_sid).sid)
        return deleted()

    def show_participant(self, member: Member) -> Json:
        return {
            **self._common(member, "Participants"),
            "identity": member.identity,
            "attributes": member.attributes,
            "messaging_binding": member.binding,
            "role_sid": member.role_sid,
            "last_read_message_index": member.horizon,
            "last_read_timestamp": member.horizon_at,
        }

    def show_message(self, message: Message) -> Json:
        media = self._memory.media.get(message.media_sid or "")
        entry = {"sid": media.sid, "size": len(media.data), "content_type": media.content_type} if media else {}
        common = self._common(message, "Messages")
        return {
            **common,
            "index": message.index,
            "author": message.author,
            "body": message.body,
            "media": [{**entry, "filename": media.filename, "category": "media"}] if media else None,
            "attributes": message.attributes,
            "participant_sid": message.member_sid,
            "delivery": None,
            "content_sid": message.content_sid,
            "links": {"delivery_receipts": f"{common['url']}/Receipts"},
        }

    def show_webhook(self, hook: Hook) -> Json:
        parts: Json = {"url": hook.url, "filters": list(hook.filters), "triggers": list(hook.triggers)}
        parts |= {"flow_sid": hook.flow_sid}
        configuration = {"method": hook.method, **{name: value for name, value in parts.items() if value}}
        return {**self._common(hook, "Webhooks"), "target": hook.kind, "configuration": configuration}

    def _common(self, record: Hook | Member | Message, kind: str) -> Json:
        service = asked_service()
        return {
            "sid": record.sid,
            "account_sid": self._settings.twilio_account_sid,
            **({"chat_service_sid": service} if service else {}),
            "conversation_sid": record.room_sid,
            "date_created": iso(record.created),
            "date_updated": iso(record.updated),
            "url": own_url(f"{place()}/Conversations/{record.room_sid}/{kind}/{record.sid}"),
        }


def _binding(form: Form) -> Json:
    """What was given of a phone-like participant's addresses."""
    given = {shown: form.get(f"MessagingBinding.{part}") for part, shown in BINDING.items()}
    return {shown: address for shown, address in given.items() if address}
