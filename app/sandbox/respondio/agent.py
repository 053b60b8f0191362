"""The page on which a person plays the respond.io agent, and the small JSON API behind it."""

from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from app.sandbox.answers import Answer, created, done
from app.sandbox.checks import Field, Json, Refused, record
from app.sandbox.pages import protect, read_body, show
from app.sandbox.respondio.outgoing import Outgoing
from app.sandbox.respondio.schema import CONTACT_IDS, MESSAGE
from app.sandbox.respondio.workspace import Contact, Workspace
from app.sandbox.settings import SandboxSettings

START = record({"contactId": Field(CONTACT_IDS["phone"])})


@dataclass(frozen=True)
class Agent:
    """The views; each takes and gives JSON but `page`."""

    settings: SandboxSettings
    workspace: Workspace
    outgoing: Outgoing

    def page(self) -> Response:
        return show("agent.html", allows_chat_start=self.settings.allows_chat_start)

    def contacts(self) -> Response:
        version = self.workspace.version
        entries = [_contact(self.workspace, contact) for contact in self.workspace.contacts()]
        return jsonify(version=version, contacts=entries)

    def start(self) -> Answer:
        if not self.settings.allows_chat_start:
            raise Refused("contactId", "an agent may write first only with phone numbers as ids")
        contact_id = str(read_body(START)["contactId"])
        self.workspace.welcome(contact_id)
        return created({"contactId": contact_id})

    def messages(self, contact_id: str) -> Response:
        self._require(contact_id)
        entries = [message.as_json() for message in self.workspace.messages(contact_id)]
        return jsonify(contactId=contact_id, messages=entries)

    def send(self, contact_id: str) -> Answer:
        self._require(contact_id)
        return created(self.outgoing.send(contact_id, read_body(MESSAGE)).as_json())

    def read(self, contact_id: str) -> Answer:
        self._require(contact_id)
        self.workspace.read(contact_id)
        return done()

    def _require(self, contact_id: str) -> None:
        """Somebody who has written, or with whom a chat was started."""
        if not self.workspace.knows(contact_id):
            raise Refused("contactId", "is not a known contact", 404)


def create_blueprint(agent: Agent) -> Blueprint:
    blueprint = Blueprint("agent", __name__, url_prefix="/agent")
    blueprint.add_url_rule("", "page", agent.page)
    blueprint.add_url_rule("/api/contacts", "contacts", agent.contacts)
    blueprint.add_url_rule("/api/contacts", "start", agent.start, methods=["POST"])
    one = "/api/contacts/<contact_id:contact_id>"
    blueprint.add_url_rule(f"{one}/messages", "messages", agent.messages)
    blueprint.add_url_rule(f"{one}/messages", "send", agent.send, methods=["POST"])
    blueprint.add_url_rule(f"{one}/read", "read", agent.read, methods=["POST"])
    protect(blueprint)
    return blueprint


def contact_name(contact: Contact) -> str:
    parts = (contact.profile.get("firstName"), contact.profile.get("lastName"))
    return " ".join(str(part) for part in parts if part) or contact.contact_id


def _contact(workspace: Workspace, contact: Contact) -> Json:
    messages = workspace.messages(contact.contact_id)
    last = messages[-1].as_json() if messages else None
    return contact.as_json() | {"name": contact_name(contact), "last": last}
