"""Conversations, version 1: conversations and whose they are; the same with and without a service in the path."""

from datetime import timedelta

from flask import jsonify, request

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.form import Param, duration, json_text, sid, word, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import CONVERSATIONS, Form, Member, Room, iso, new_sid, now
from app.sandbox.flex.resources import DATES, Resources, renamed, rest_actor
from app.sandbox.flex.rest import Answer, Problem, Routes, created, deleted, own_url, page, read_form, read_query
from app.sandbox.flex.rooms import Rooms
from app.sandbox.settings import SandboxSettings

# Both codes are unverified.
NAME_TAKEN = 50353
BASES = ("/conversations/v1", "/conversations/v1/Services/<service_sid>")
STATES = ("initializing", "active", "inactive", "closed")
FORM = {
    "FriendlyName": Param(words(256)),
    "UniqueName": Param(words()),
    "Attributes": Param(json_text),
    "MessagingServiceSid": Param(sid("MG")),
    "State": Param(word(*STATES)),
    "Timers.Inactive": Param(duration(1)),
    "Timers.Closed": Param(duration(10)),
    **DATES,
}
FIELDS = {
    "FriendlyName": "friendly_name",
    "UniqueName": "unique_name",
    "Attributes": "attributes",
    "MessagingServiceSid": "messaging_service_sid",
}
LINKS = ("Participants", "Messages", "Webhooks")


class ConversationsApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, rooms: Rooms) -> None:
        self._find = Resources(settings, memory, CONVERSATIONS)
        self._settings = settings
        self._memory = memory
        self._rooms = rooms

    def register(self, routes: Routes) -> None:
        for base in BASES:
            one = f"{base}/Conversations/<conversation>"
            routes.add("POST", f"{base}/Conversations", self.create)
            routes.add("GET", f"{base}/Conversations", self.list)
            routes.add("GET", one, self.fetch)
            routes.add("POST", one, self.update)
            routes.add("DELETE", one, self.delete)
            routes.add("GET", f"{base}/ParticipantConversations", self.list_of_participant)

    def create(self, service_sid: str | None = None) -> Answer:
        self._find.service(service_sid)
        form = read_form(FORM)
        rest_actor()
        self._check_name(form)
        room = Room(
            sid=new_sid("CH"),
            generation=CONVERSATIONS,
            state=form.get("State", "active"),
            timers=_timers(form),
            **renamed(form, FIELDS),
        )
        return created(self.show(self._memory.put(self._memory.rooms, room)))

    def list(self, service_sid: str | None = None) -> Answer:
        self._find.service(service_sid)
        query = read_query({"State": Param(word(*STATES[1:]))})
        rooms = [room for room in self._memory.rooms.values() if room.generation == CONVERSATIONS]
        wanted = [room for room in rooms if query.get("State", room.state) == room.state]
        return page("conversations", wanted, self.show, query)

    def fetch(self, conversation: str, service_sid: str | None = None) -> Answer:
        return jsonify(self.show(self._find.room(conversation, service_sid)))

    def update(self, conversation: str, service_sid: str | None = None) -> Answer:
        room = self._find.room(conversation, service_sid)
        form, actor = read_form(FORM), rest_actor()
        if form.get("UniqueName") != room.unique_name:
            self._check_name(form)
        changes = renamed(form, FIELDS)
        if "Timers.Inactive" in form or "Timers.Closed" in form:
            changes["timers"] = _timers(form)
        if "State" in form:
            room = self._rooms.move(room, form["State"], actor)
        if changes:
            room = self._rooms.update(room, changes, actor)
        return jsonify(self.show(room))

    def delete(self, conversation: str, service_sid: str | None = None) -> Answer:
        self._memory.remove_room(self._find.room(conversation, service_sid))
        return deleted()

    def list_of_participant(self, service_sid: str | None = None) -> Answer:
        """Every conversation that an identity takes part in, closed ones too."""
        self._find.service(service_sid)
        query = read_query({"Identity": Param(words()), "Address": Param(words())})
        if not query.get("Identity") and not query.get("Address"):
            raise Refused("Identity", "is missing, Identity or Address is needed")
        members = [member for member in self._memory.members.values() if self._is_meant(member, query)]
        return page("conversations", members, self._show_participation, query)

    def _is_meant(self, member: Member, query: Form) -> bool:
        if self._memory.rooms[member.room_sid].generation != CONVERSATIONS:
            return False
        address = (member.binding or {}).get("address")
        return query.get("Identity", member.identity) == member.identity and query.get("Address", address) == address

    def _check_name(self, form: Form) -> None:
        """A closed conversation keeps its name; only deleting frees it (unverified)."""
        name = form.get("UniqueName")
        if name and any(name in (room.unique_name, room.sid) for room in self._memory.rooms.values()):
            raise Problem(409, f"Conversation with provided unique name {name} already exists", NAME_TAKEN)

    def show(self, room: Room) -> Json:
        url = self._url(room)
        return {
            "sid": room.sid,
            "account_sid": self._settings.twilio_account_sid,
            "chat_service_sid": self._settings.flex_chat_service_sid,
            "messaging_service_sid": room.messaging_service_sid,
            "friendly_name": room.friendly_name,
            "unique_name": room.unique_name,
            "attributes": room.attributes,
            "state": room.state,
            "timers": room.timers,
            "bindings": None,
            "date_created": iso(room.created),
            "date_updated": iso(room.updated),
            "url": url,
            "links": {name.lower(): f"{url}/{name}" for name in LINKS},
        }

    def _show_participation(self, member: Member) -> Json:
        room = self._memory.rooms[member.room_sid]
        url = self._url(room)
        return {
            "account_sid": self._settings.twilio_account_sid,
            "chat_service_sid": self._settings.flex_chat_service_sid,
            "participant_sid": member.sid,
            "participant_user_sid": None,
            "participant_identity": member.identity,
            "participant_messaging_binding": member.binding,
            "conversation_sid": room.sid,
            "conversation_unique_name": room.unique_name,
            "conversation_friendly_name": room.friendly_name,
            "conversation_attributes": room.attributes,
            "conversation_date_created": iso(room.created),
            "conversation_date_updated": iso(room.updated),
            "conversation_created_by": room.created_by,
            "conversation_state": room.state,
            "conversation_timers": room.timers,
            "links": {"participant": f"{url}/Participants/{member.sid}", "conversation": url},
        }

    def _url(self, room: Room) -> str:
        return own_url(f"{place()}/Conversations/{room.sid}")


def asked_service() -> str | None:
    """The service in the path of this call, if it has one: answers then name it, and their addresses do."""
    return (request.view_args or {}).get("service_sid")


def place() -> str:
    service = asked_service()
    return f"/conversations/v1/Services/{service}" if service else "/conversations/v1"


def _timers(form: Form) -> Json:
    """When the timers would go off; the sandbox shows them and lets nothing happen."""
    named = {"date_inactive": form.get("Timers.Inactive"), "date_closed": form.get("Timers.Closed")}
    return {name: iso(now() + timedelta(seconds=seconds)) for name, seconds in named.items() if seconds}
