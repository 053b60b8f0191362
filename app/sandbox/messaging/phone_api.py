"""The page on which a person plays a customer with a phone, and the small JSON API behind it; tests use that too."""

from dataclasses import asdict, dataclass
from random import choices

from flask import Blueprint, Response, jsonify, request

from app.sandbox.answers import Answer, Problem, created
from app.sandbox.checks import Field, Json, Refused, number, one_of, optional, record, text
from app.sandbox.messaging.addresses import KINDS, MESSENGER, PREFIXES, WHATSAPP, Sender, kind_of
from app.sandbox.messaging.inbound import Inbound
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.outbound import FINAL, Outbound, is_readable
from app.sandbox.messaging.records import Customer, Message, Place
from app.sandbox.pages import protect, read_body, show
from app.sandbox.twilio.form import params, read_params, words
from app.sandbox.twilio.links import show_file
from app.sandbox.twilio.rest import Routes

NEW = record({"kind": Field(one_of(KINDS)), "address": optional(text(80)), "name": optional(text(80))})
SAY = record({"text": Field(text(4096)), "replyTo": optional(text(34))})
PRESS = record({"message": Field(text(34)), "payload": Field(text(256))})
PLACE = record(
    {
        "latitude": Field(number(-90, 90)),
        "longitude": Field(number(-180, 180)),
        "address": optional(text(256)),
        "label": optional(text(256)),
    }
)
KIND_NAMES = {"sms": "SMS", "whatsapp": "WhatsApp", "messenger": "Messenger"}
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony", "Radia", "Donald")


@dataclass(frozen=True)
class Phone:
    """The views; all but `page` are called with the lock held."""

    memory: MessagingMemory
    inbound: Inbound
    outbound: Outbound
    senders: dict[str, Sender]

    def page(self) -> Response:
        return show("phone.html", senders=self.senders.values(), names=KIND_NAMES)

    def customers(self) -> Answer:
        entries = [self._customer(customer) for customer in self.memory.customers.values()]
        entries.sort(key=lambda entry: str(entry["at"]), reverse=True)
        return jsonify(version=self.memory.version, customers=entries)

    def make(self) -> Answer:
        """Without an address, a new one of that kind is made up."""
        body = read_body(NEW)
        kind, address = str(body["kind"]), str(body.get("address") or "")
        address = address or self._free_address(kind)
        if kind_of(address) != kind:
            raise Refused("address", f"is no address for {kind}, which look like {self.senders[kind].address}")
        name = body.get("name") or (None if address in self.memory.customers else self._name(kind))
        customer = self.memory.welcome(kind, address, str(name) if name else None)
        return created(self._customer(customer))

    def messages(self, address: str) -> Answer:
        customer = self._find(address)
        known = enumerate(self.memory.messages_with(customer.sid))
        entries = [self._message(number, one) for number, one in known if self._has_come(one)]
        return jsonify(contactId=customer.sid, messages=entries)

    def say(self, address: str) -> Answer:
        body = read_body(SAY)
        reply_to = str(body["replyTo"]) if "replyTo" in body else None
        return self._sent(self.inbound.say(self._find(address), str(body["text"]), reply_to))

    def send_file(self, address: str) -> Answer:
        """The bytes of a file are the body, its name is in the query."""
        query = read_params(params(words(256), "filename") | params(words(1600), "text"), request.args)
        kind = request.mimetype or "application/octet-stream"
        said = (query.get("filename", ""), query.get("text", ""))
        return self._sent(self.inbound.send_file(self._find(address), kind, request.get_data(), *said))

    def send_place(self, address: str) -> Answer:
        place = Place(**read_body(PLACE))  # type: ignore[arg-type]  # the table above has checked every field
        return self._sent(self.inbound.send_place(self._find(address), place))

    def press(self, address: str) -> Answer:
        body = read_body(PRESS)
        return self._sent(self.inbound.press(self._find(address), str(body["message"]), str(body["payload"])))

    def read(self, address: str) -> None:
        self.outbound.read(self._find(address).sid)

    def _find(self, address: str) -> Customer:
        if address not in self.memory.customers:
            raise Problem(404, "There is no such customer")
        return self.memory.customers[address]

    def _free_address(self, kind: str) -> str:
        while True:
            digits = "".join(choices("0123456789", k=6))  # noqa: S311  # nothing secret
            address = PREFIXES[kind] + (f"7{digits}{digits}" if kind == MESSENGER else f"+15552{digits}")
            if address not in self.memory.customers:
                return address

    def _name(self, kind: str) -> str | None:
        """Phones give no names with texts."""
        if kind not in (WHATSAPP, MESSENGER):
            return None
        taken = {customer.name for customer in self.memory.customers.values()}
        return next((name for name in NAMES if name not in taken), None)

    def _sent(self, message: Message) -> Answer:
        number = len(self.memory.messages_with(message.customer)) - 1
        return created(self._message(number, message))

    def _has_come(self, message: Message) -> bool:
        """Not while its files are being fetched: a page draws a message once."""
        return message.is_inbound or not message.num_media or message.sent is not None or message.status in FINAL

    def _customer(self, customer: Customer) -> Json:
        messages = self.memory.messages_with(customer.sid)
        unread = [one for one in messages if not one.is_inbound and not one.is_seen and is_readable(one)]
        last = self._message(len(messages) - 1, messages[-1]) if messages else None
        return {
            "contactId": customer.sid,
            "kind": customer.kind,
            "name": customer.name,
            "sender": self.senders[customer.kind].address,
            "isOptedOut": self.memory.is_opted_out(customer.kind, customer.sid),
            "unread": len(unread),
            "at": (messages[-1] if messages else customer).created.isoformat(),
            "last": last,
        }

    def _message(self, number: int, message: Message) -> Json:
        """In the form that the desks' scripts show."""
        status, error = message.webhook or (message.status, None)
        if message.error_code:
            error = f"{message.error_code}: {message.error_message}"
        return {
            "sequence": number,
            "mId": message.sid,
            "author": "you" if message.is_inbound else "network" if message.direction == "network" else "business",
            "status": status,
            "error": error,
            "timestamp": int(message.created.timestamp() * 1000),
            "message": self._content(message),
        }

    def _content(self, message: Message) -> Json:
        if message.place:
            label = ", ".join(part for part in (message.place.label, message.place.address) if part)
            place = {"latitude": message.place.latitude, "longitude": message.place.longitude}
            return {"type": "location", **place, "address": label or message.body}
        answered = self.memory.messages.get(message.reply_to or "")
        return {
            "type": "parts",
            "text": message.body,
            "quote": answered.body or "A file" if answered else "",
            "files": [show_file(self.memory, media) for media in self.memory.media_of(message.sid)],
            "buttons": [asdict(button) for button in message.buttons],
        }


def create_blueprint(phone: Phone) -> Blueprint:
    blueprint = Blueprint("phone", __name__, url_prefix="/phone")
    routes = Routes(blueprint, phone.memory)
    blueprint.add_url_rule("", "page", phone.page)
    routes.add("GET", "/api/customers", phone.customers)
    routes.add("POST", "/api/customers", phone.make)
    one = "/api/customers/<address>"
    routes.add("GET", f"{one}/messages", phone.messages)
    routes.add("POST", f"{one}/messages", phone.say)
    routes.add("POST", f"{one}/media", phone.send_file)
    routes.add("POST", f"{one}/location", phone.send_place)
    routes.add("POST", f"{one}/buttons", phone.press)
    routes.add("POST", f"{one}/read", phone.read)
    protect(blueprint)
    return blueprint
