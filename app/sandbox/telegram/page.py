"""The page on which a person plays somebody who writes to the bot, and the small JSON API behind it."""

import time
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request, url_for

from app.sandbox.answers import Answer, Problem, created, done
from app.sandbox.checks import Field, Json, boolean, integer, number, optional, record, text
from app.sandbox.pages import protect, read_body, show
from app.sandbox.telegram.bot_api import BotApi, as_told, photo
from app.sandbox.telegram.memory import File, Memory, Message, Person
from app.sandbox.telegram.parameters import FILES, units
from app.sandbox.telegram.updates import Updates

NEW = record({"name": optional(text(80))})
SAY = record({"text": Field(units(4096, 1))})
EDIT = record({"message": Field(integer(1, 10**9)), "text": Field(units(4096, 1))})
PLACE = record({"latitude": Field(number(-90, 90)), "longitude": Field(number(-180, 180))})
CONTACT = record({"first_name": Field(text(64, minimum=1)), "phone_number": Field(text(32, minimum=1))})
BLOCK = record({"blocked": Field(boolean)})
# A picture from outside must not act on our pages.
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


@dataclass(frozen=True)
class Page:
    memory: Memory
    api: BotApi
    updates: Updates

    def page(self) -> Response:
        return show("telegram.html", bot=self.api.bot["username"])

    def people(self) -> Answer:
        entries = [self._person(person) for person in reversed(self.memory.people.values())]
        return jsonify(version=f"{self.memory.version} {[one['isTyping'] for one in entries]}", people=entries)

    def make(self) -> Answer:
        return created(self._person(self.memory.welcome(str(read_body(NEW).get("name") or ""))))

    def messages(self, person_id: int) -> Answer:
        person = self._find(person_id)
        entries = [self._message(message) for message in self.memory.messages[person.id]]
        return jsonify(contactId=str(person.id), messages=entries)

    def say(self, person_id: int) -> Answer:
        words = str(read_body(SAY)["text"])
        command = words.split()[0] if words.startswith("/") else ""
        marks: Json = {"entities": [{"type": "bot_command", "offset": 0, "length": len(command)}]} if command else {}
        return self._said(person_id, {"text": words, **marks})

    def edit(self, person_id: int) -> Answer:
        body, person = read_body(EDIT), self._find(person_id)
        own = (one for one in self.memory.messages[person.id] if one.number == body["message"] and not one.is_out)
        message = next(own, None)
        if message is None or "text" not in message.told:
            raise Problem(404, "There is no such text of theirs")
        self.updates.edit(person, message, str(body["text"]))
        return jsonify(self._message(message))

    def send_file(self, person_id: int) -> Answer:
        """The bytes of a file are the body, its name and the caption are in the query."""
        kind = request.mimetype or "application/octet-stream"
        name, caption = request.args.get("filename", "file"), request.args.get("text", "")
        units(1024)(caption, "text")
        is_photo = kind in ("image/jpeg", "image/png", "image/webp")
        file = self.memory.keep_file("photos" if is_photo else "documents", kind, name, request.get_data())
        named = as_told(file) | {"file_name": name, "mime_type": kind}
        content: Json = {"photo": photo(file)} if is_photo else {"document": named}
        return self._said(person_id, content | ({"caption": caption} if caption else {}))

    def send_place(self, person_id: int) -> Answer:
        return self._said(person_id, {"location": read_body(PLACE)})

    def send_contact(self, person_id: int) -> Answer:
        return self._said(person_id, {"contact": read_body(CONTACT)})

    def block(self, person_id: int) -> Answer:
        person = self._find(person_id)
        self.updates.block(person, bool(read_body(BLOCK)["blocked"]))
        return jsonify(self._person(person))

    def read(self, person_id: int) -> Answer:
        with self.memory.lock:
            self._find(person_id).unread = 0
            self.memory.version += 1
        return done()

    def file(self, file_id: str) -> Response:
        if file_id not in self.memory.files:
            raise Problem(404, "There is no such file")
        file = self.memory.files[file_id]
        return Response(file.data, content_type=file.content_type, headers=SAFE)

    def _said(self, person_id: int, content: Json) -> Answer:
        person = self._find(person_id)
        if person.has_blocked:
            raise Problem(409, "They have blocked the bot; let it in again first")
        return created(self._message(self.updates.say(person, content)))

    def _find(self, person_id: int) -> Person:
        if person_id not in self.memory.people:
            raise Problem(404, "There is nobody of that id")
        return self.memory.people[person_id]

    def _person(self, person: Person) -> Json:
        log = self.memory.messages[person.id]
        return {
            "contactId": str(person.id),
            "name": person.name,
            "isBlocked": person.has_blocked,
            "isTyping": person.typing_until > time.time(),
            "unread": person.unread,
            "last": self._message(log[-1]) if log else None,
        }

    def _message(self, message: Message) -> Json:
        """In the form that the desks' scripts show."""
        return {
            "mId": str(message.number),
            "author": "business" if message.is_out else "you",
            "status": "" if message.is_out else "failed" if message.error else "sent",
            "error": message.error,
            "timestamp": int(message.at * 1000),
            "message": self._content(message.told),
        }

    def _content(self, told: Json) -> Json:
        place, venue, contact, markup = (told.get(n) or {} for n in ("location", "venue", "contact", "reply_markup"))
        assert isinstance(place, dict)
        assert isinstance(venue, dict)
        assert isinstance(contact, dict)
        assert isinstance(markup, dict)
        if place:
            return {"type": "location", **place, "address": venue.get("title", "")}
        buttons = [{"text": one["text"], "payload": one["text"]} for row in markup.get("keyboard", []) for one in row]
        words = told.get("text") or told.get("caption") or " ".join(map(str, contact.values()))
        files = [self._file(told[name]) for name in FILES if name in told]
        return {"type": "parts", "text": words, "quote": "", "files": files, "buttons": buttons}

    def _file(self, told: object) -> Json:
        one = told[-1] if isinstance(told, list) else told
        assert isinstance(one, dict)
        file: File = self.memory.files[str(one["file_id"])]
        kind = file.content_type.partition("/")[0]
        url = url_for("telegram.file", file_id=file.id)
        return {"type": kind, "url": url, "fileName": file.name, "description": ""}


def create_blueprint(page: Page) -> Blueprint:
    blueprint = Blueprint("telegram", __name__, url_prefix="/telegram")
    blueprint.add_url_rule("", "page", page.page)
    blueprint.add_url_rule("/api/people", "people", page.people)
    blueprint.add_url_rule("/api/people", "make", page.make, methods=["POST"])
    blueprint.add_url_rule("/api/files/<file_id>", "file", page.file)
    one = "/api/people/<int:person_id>"
    blueprint.add_url_rule(f"{one}/messages", "messages", page.messages)
    for path, view in {
        "messages": page.say,
        "edit": page.edit,
        "media": page.send_file,
        "location": page.send_place,
        "contact": page.send_contact,
        "block": page.block,
        "read": page.read,
    }.items():
        blueprint.add_url_rule(f"{one}/{path}", view.__name__, view, methods=["POST"])
    protect(blueprint)
    return blueprint
