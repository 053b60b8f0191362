"""Conversations, version 1: conversations and whose they are; the same with and without a service in the path."""

from datetime import timedelta

from flask import request

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.records import CONVERSATIONS, Member, Room
from app.sandbox.flex.rooms_api import DATES, InRooms, rest_actor
from app.sandbox.twilio.form import duration, json_text, params, renamed, sid, word, words
from app.sandbox.twilio.records import Form, iso, new_sid, now
from app.sandbox.twilio.rest import own_url, picked, read_form

NAME_TAKEN = 50353  # unverified
BASE = "/conversations/v1"
BASES = (BASE, f"{BASE}/Services/<service_sid>")
STATES = ("initializing", "active", "inactive", "closed")
FORM = (
    params(words(256), "FriendlyName")
    | params(words(), "UniqueName")
    | params(json_text, "Attributes")
    | params(sid("MG"), "MessagingServiceSid")
    | params(word(*STATES), "State")
    | params(duration(1), "Timers.Inactive")
    | params(duration(10), "Timers.Closed")
    | DATES
)
FIELDS = "FriendlyName UniqueName Attributes MessagingServiceSid"
LINKS = ("Participants", "Messages", "Webhooks")


class OfConversations(InRooms):
    generation = CONVERSATIONS
    key = "conversations"

    def owner(self, service_sid: str | None = None) -> None:
        self.check_service(service_sid)

    def url(self, room: Room) -> str:
        return own_url(f"{place()}/Conversations/{room.sid}")


class Conversations(OfConversations):
    paths = tuple(f"{base}/Conversations" for base in BASES)
    query = params(word(*STATES[1:]), "State")

    def find(self, _: None, name: str) -> Room | None:
        return self.find_room(name)

    def create(self, _: None) -> Room:
        form = read_form(FORM)
        rest_actor()
        self._check_name(form)
        fields = {"state": form.get("State", "active"), "timers": _timers(form), **renamed(form, FIELDS)}
        return self.memory.put(self.memory.rooms, Room(sid=new_sid("CH"), generation=CONVERSATIONS, **fields))

    def all(self, _: None, query: Form) -> list[Room]:
        rooms = [room for room in self.memory.rooms.values() if room.generation == CONVERSATIONS]
        return [room for room in rooms if query.get("State", room.state) == room.state]

    def update(self, room: Room) -> Room:
        form, actor = read_form(FORM), rest_actor()
        if form.get("UniqueName") != room.unique_name:
            self._check_name(form)
        changes = renamed(form, FIELDS)
        if "Timers.Inactive" in form or "Timers.Closed" in form:
            changes["timers"] = _timers(form)
        if "State" in form:
            room = self.rooms.move(room, form["State"], actor)
        return self.rooms.update(room, changes, actor) if changes else room

    def delete(self, room: Room) -> None:
        self.memory.remove_room(room)

    def _check_name(self, form: Form) -> None:
        """A closed conversation keeps its name; only deleting frees it (unverified)."""
        name = form.get("UniqueName")
        if name and any(name in (room.unique_name, room.sid) for room in self.memory.rooms.values()):
            raise Problem(409, f"Conversation with provided unique name {name} already exists", NAME_TAKEN)

    def show(self, room: Room) -> Json:
        url = self.url(room)
        return {
            **self.stamp(room),
            **picked(room, "messaging_service_sid friendly_name unique_name attributes state timers"),
            "chat_service_sid": self.settings.flex_chat_service_sid,
            "bindings": None,
            "url": url,
            "links": {name.lower(): f"{url}/{name}" for name in LINKS},
        }


class Participations(OfConversations):
    """Every conversation that an identity takes part in, closed ones too."""

    paths = tuple(f"{base}/ParticipantConversations" for base in BASES)
    query = params(words(), "Identity Address")

    def all(self, _: None, query: Form) -> list[Member]:
        if not query.get("Identity") and not query.get("Address"):
            raise Refused("Identity", "is missing, Identity or Address is needed")
        return [member for member in self.memory.members.values() if self._is_meant(member, query)]

    def _is_meant(self, member: Member, query: Form) -> bool:
        if self.room_of(member).generation != CONVERSATIONS:
            return False
        address = (member.binding or {}).get("address")
        return query.get("Identity", member.identity) == member.identity and query.get("Address", address) == address

    def show(self, member: Member) -> Json:
        room = self.room_of(member)
        names = "sid unique_name friendly_name attributes created_by state timers"
        return {
            "account_sid": self.settings.twilio_account_sid,
            "chat_service_sid": self.settings.flex_chat_service_sid,
            "participant_sid": member.sid,
            "participant_user_sid": None,
            "participant_identity": member.identity,
            "participant_messaging_binding": member.binding,
            **{f"conversation_{name}": value for name, value in picked(room, names).items()},
            "conversation_date_created": iso(room.created),
            "conversation_date_updated": iso(room.updated),
            "links": {"participant": f"{self.url(room)}/Participants/{member.sid}", "conversation": self.url(room)},
        }


RESOURCES = (Conversations, Participations)


def asked_service() -> str | None:
    """The service in the path of this call, if it has one: answers then name it, and their addresses do."""
    return (request.view_args or {}).get("service_sid")


def place() -> str:
    service = asked_service()
    return f"{BASE}/Services/{service}" if service else BASE


def _timers(form: Form) -> Json:
    """When the timers would go off; the sandbox shows them and lets nothing happen."""
    named = {"date_inactive": form.get("Timers.Inactive"), "date_closed": form.get("Timers.Closed")}
    return {name: iso(now() + timedelta(seconds=seconds)) for name, seconds in named.items() if seconds}
