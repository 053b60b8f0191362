"""Conversations, version 1: the participants, messages and webhooks of one conversation."""

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.conversations_api import BASES, asked_service, place
from app.sandbox.flex.events import CONVERSATION_RETRIES
from app.sandbox.flex.records import CONVERSATIONS, Hook, Member, Message, Room
from app.sandbox.flex.rooms import MAX_BODY
from app.sandbox.flex.rooms_api import DATES, HOOK, HOOK_KINDS, Hooks, InRooms, Members, Messages, rest_actor
from app.sandbox.twilio.form import below, json_text, params, renamed, sid, whole, word, words
from app.sandbox.twilio.records import Form
from app.sandbox.twilio.rest import own_url, picked, read_form

IDENTITY_TAKEN = 50433
SUBJECTS = ("Message", "Conversation", "Participant")
FILTERS = [
    *(f"on{subject}{verb}" for subject in SUBJECTS for verb in ("Add", "Added", "Update", "Updated")),
    *(f"on{subject}{verb}" for subject in SUBJECTS for verb in ("Remove", "Removed")),
    *("onConversationStateUpdated", "onDeliveryUpdated", "onUserAdded", "onUserUpdate", "onUserUpdated"),
    "onTypingStarted",
]
PARTICIPANT = (
    params(words(), "Identity MessagingBinding.Address MessagingBinding.ProxyAddress MessagingBinding.ProjectedAddress")
    | params(json_text, "Attributes")
    | params(sid("RL"), "RoleSid")
    | DATES
)
UPDATE_PARTICIPANT = PARTICIPANT | params(whole(), "LastReadMessageIndex") | params(words(), "LastReadTimestamp")
MESSAGE = (
    params(words(), "Author")
    | params(words(MAX_BODY), "Body")
    | params(words(256), "Subject")
    | params(json_text, "Attributes ContentVariables")
    | params(sid("ME"), "MediaSid")
    | params(sid("HX"), "ContentSid")
    | DATES
)
WEBHOOK = (
    params(word(*HOOK_KINDS), "Target", required=True)
    | params(word(*FILTERS), "Configuration.Filters", many=True)
    | params(whole(), "Configuration.ReplayAfter")
    | HOOK
)


def _paths(kind: str) -> tuple[str, ...]:
    return tuple(f"{base}/Conversations/<conversation>/{kind}" for base in BASES)


class InConversation(InRooms):
    generation = CONVERSATIONS

    def owner(self, conversation: str, service_sid: str | None = None) -> Room:
        return self.room(conversation, service_sid)

    def show_part(self, record: Hook | Member | Message) -> Json:
        service = asked_service()
        return {
            **self.stamp(record),
            **({"chat_service_sid": service} if service else {}),
            "conversation_sid": record.room_sid,
            "url": own_url(f"{place()}/Conversations/{record.room_sid}/{self.kind}/{record.sid}"),
        }


class Participants(InConversation, Members):
    paths = _paths("Participants")
    kind, key = "Participants", "participants"
    form, fields = UPDATE_PARTICIPANT, "Identity Attributes RoleSid"
    index, at = "LastReadMessageIndex", "LastReadTimestamp"

    def all(self, room: Room, _: Form) -> list[Member]:
        return self.memory.members_of(room.sid)

    def create(self, room: Room) -> Member:
        form = read_form(PARTICIPANT)
        rest_actor()
        identity = form.get("Identity")
        binding = {name: address for name, address in below(form, "MessagingBinding").items() if address}
        if not identity and not ({"address", "proxy_address"} <= binding.keys()):
            raise Refused("Identity", "is missing, Identity or a whole MessagingBinding is needed")
        if identity and self.memory.member(room.sid, identity):
            raise Problem(409, f"Participant with identity {identity} already exists", IDENTITY_TAKEN)
        more = renamed(form, "Attributes RoleSid")
        return self.rooms.join(room, identity, binding=binding or None, **more)

    def delete(self, member: Member) -> None:
        self.memory.remove(self.memory.members, member)

    def show(self, member: Member) -> Json:
        return super().show(member) | {"messaging_binding": member.binding}


class ConversationMessages(InConversation, Messages):
    paths = _paths("Messages")
    form, author, says = MESSAGE, "Author", ("Body", "MediaSid", "ContentSid")

    def show(self, message: Message) -> Json:
        file, common = self.show_file(message), self.show_part(message)
        return {
            **common,
            **picked(message, "index author body attributes content_sid"),
            "media": [{**file, "category": "media"}] if file else None,
            "participant_sid": message.member_sid,
            "delivery": None,
            "links": {"delivery_receipts": f"{common['url']}/Receipts"},
        }


class ConversationHooks(InConversation, Hooks):
    paths = _paths("Webhooks")

    def create(self, room: Room) -> Hook:
        """A Studio webhook waits for the next message; `ReplayAfter` lets it see messages from before."""
        form = read_form(WEBHOOK)
        hook = self.make(room, form["Target"], form, CONVERSATION_RETRIES)
        after = form.get("Configuration.ReplayAfter")
        missed = [one for one in self.memory.messages_of(room.sid) if after is not None and one.index > after]
        self.events.replay(room, hook, missed)
        if hook.kind == "studio":
            waiting = self.memory.change(self.memory.rooms, room, starts="studio")
            if missed:
                self.rooms.start(waiting)
        return hook

    def show(self, hook: Hook) -> Json:
        configuration = self.show_configuration(hook) | ({"url": hook.url} if hook.url else {})
        return {**self.show_part(hook), "target": hook.kind, "configuration": configuration}


RESOURCES = (Participants, ConversationMessages, ConversationHooks)
