"""Conversations, version 1: the participants, messages and webhooks of one conversation."""

from typing import Any

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.conversations_api import BASES, asked_service, place
from app.sandbox.flex.events import CONVERSATION_RETRIES
from app.sandbox.flex.records import CONVERSATIONS, Hook, Member, Message, Room
from app.sandbox.flex.rooms import MAX_BODY, Words
from app.sandbox.flex.rooms_api import DATES, HOOK, HOOK_KINDS, ORDER, RoomsApi, rest_actor
from app.sandbox.twilio.form import Param, below, json_text, renamed, sid, whole, word, words
from app.sandbox.twilio.records import iso, now
from app.sandbox.twilio.rest import Resource, own_url, picked, read_form

IDENTITY_TAKEN = 50433
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
MESSAGE = {
    "Author": Param(words()),
    "Body": Param(words(MAX_BODY)),
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


class ConversationPartsApi(RoomsApi):
    generation = CONVERSATIONS

    def resources(self) -> list[Resource[Any, Any]]:
        places = [f"{base}/Conversations/<conversation>" for base in BASES]
        kinds = (self._participants, self._messages, self._webhooks)
        return [kind(place) for place in places for kind in kinds]

    def _participants(self, place: str) -> Resource[Room, Member]:
        return Resource(
            f"{place}/Participants",
            self._conversation,
            self._show_participant,
            find=self.find_member,
            all=lambda room, query: self.memory.members_of(room.sid),
            key="participants",
            create=self._create_participant,
            update=self._update_participant,
            delete=lambda member: self.memory.remove(self.memory.members, member),
            name="<path:name>",
        )

    def _messages(self, place: str) -> Resource[Room, Message]:
        return Resource(
            f"{place}/Messages",
            self._conversation,
            self._show_message,
            find=self.find_message,
            all=self.messages,
            key="messages",
            query=ORDER,
            create=self._create_message,
        )

    def _webhooks(self, place: str) -> Resource[Room, Hook]:
        return Resource(
            f"{place}/Webhooks",
            self._conversation,
            self._show_webhook,
            find=self.find_hook,
            all=self.hooks,
            key="webhooks",
            create=self._create_webhook,
            delete=self.remove_hook,
        )

    def _conversation(self, conversation: str, service_sid: str | None = None) -> Room:
        return self.room(conversation, service_sid)

    def _create_participant(self, room: Room) -> Member:
        form = read_form(CREATE_PARTICIPANT)
        rest_actor()
        identity = form.get("Identity")
        binding = {name: address for name, address in below(form, "MessagingBinding").items() if address}
        if not identity and not ({"address", "proxy_address"} <= binding.keys()):
            raise Refused("Identity", "is missing, Identity or a whole MessagingBinding is needed")
        if identity and self.memory.member(room.sid, identity):
            raise Problem(409, f"Participant with identity {identity} already exists", IDENTITY_TAKEN)
        more = renamed(form, "Attributes RoleSid")
        return self.rooms.join(room, identity, binding=binding or None, **more)

    def _update_participant(self, member: Member) -> Member:
        form = read_form(UPDATE_PARTICIPANT)
        index = self.read_index(member, form, "LastReadMessageIndex")
        changes = renamed(form, "Identity Attributes RoleSid")
        if index is not None:
            changes |= {"horizon": index, "horizon_at": form.get("LastReadTimestamp") or iso(now())}
        return self.update_member(member, changes, "LastReadMessageIndex")

    def _create_message(self, room: Room) -> Message:
        form = read_form(MESSAGE)
        self.check_words(form, "Body", "MediaSid", "ContentSid")
        more = renamed(form, "ContentSid")
        said = Words(form.get("Body"), form.get("Attributes", "{}"), form.get("MediaSid"), more)
        return self.rooms.say(room, form.get("Author") or "system", said, rest_actor())

    def _create_webhook(self, room: Room) -> Hook:
        """A Studio webhook waits for the next message; `ReplayAfter` lets it see messages from before."""
        form = read_form(WEBHOOK)
        hook = self.make_hook(room, form["Target"], form, CONVERSATION_RETRIES)
        after = form.get("Configuration.ReplayAfter")
        missed = [one for one in self.memory.messages_of(room.sid) if after is not None and one.index > after]
        self.events.replay(room, hook, missed)
        if hook.kind == "studio":
            waiting = self.memory.change(self.memory.rooms, room, starts="studio")
            if missed:
                self.rooms.start(waiting)
        return hook

    def _show_participant(self, member: Member) -> Json:
        return {
            **self._common(member, "Participants"),
            **picked(member, "identity attributes role_sid"),
            "messaging_binding": member.binding,
            "last_read_message_index": member.horizon,
            "last_read_timestamp": member.horizon_at,
        }

    def _show_message(self, message: Message) -> Json:
        file = self.show_file(message)
        common = self._common(message, "Messages")
        return {
            **common,
            **picked(message, "index author body attributes content_sid"),
            "media": [{**file, "category": "media"}] if file else None,
            "participant_sid": message.member_sid,
            "delivery": None,
            "links": {"delivery_receipts": f"{common['url']}/Receipts"},
        }

    def _show_webhook(self, hook: Hook) -> Json:
        parts: Json = {"url": hook.url, "filters": list(hook.filters), "triggers": list(hook.triggers)}
        parts |= {"flow_sid": hook.flow_sid}
        configuration = {"method": hook.method, **{name: value for name, value in parts.items() if value}}
        return {**self._common(hook, "Webhooks"), "target": hook.kind, "configuration": configuration}

    def _common(self, record: Hook | Member | Message, kind: str) -> Json:
        service = asked_service()
        return {
            **self.stamp(record),
            **({"chat_service_sid": service} if service else {}),
            "conversation_sid": record.room_sid,
            "url": own_url(f"{place()}/Conversations/{record.room_sid}/{kind}/{record.sid}"),
        }
