"""The page on which a person plays the respond.io agent, and the small JSON API behind it."""

from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, render_template, request

from app.sandbox.checks import Field, Json, Refused, as_object, read_json_body, record
from app.sandbox.outgoing import Outgoing
from app.sandbox.respondio_schema import CONTACT_IDS, MESSAGE
from app.sandbox.settings import SandboxSettings
from app.sandbox.workspace import Contact, Workspace

# Outside images are shown, nothing from outside is ever run.
POLICY = "default-src 'self'; img-src http: https: data:; base-uri 'none'; frame-ancestors 'none'"
START = record({"contactId": Field(CONTACT_IDS["phone"])})


class UnknownContact(Refused):
    """Nobody with this id has written, nor was a chat started."""


@dataclass(frozen=True)
class Agent:
    """The views; each takes and gives JSON but `page`."""

    settings: SandboxSettings
    workspace: Workspace
    outgoing: Outgoing

    def page(self) -> Response:
        html = render_template("agent.html", allows_chat_start=self.settings.allows_chat_start)
        return Response(html, headers={"Content-Security-Policy": POLICY, "Content-Type": "text/html"})

    def contacts(self) -> Response:
        version = self.workspace.version
        entries = [_contact(self.workspace, contact) for contact in self.workspace.contacts()]
        return jsonify(version=version, contacts=entries)

    def start(self) -> tuple[Response, int]:
        if not self.settings.allows_chat_start:
            raise Refused("contactId", "an agent may write first only with phone numbers as ids")
        body = _body()
        START(body, "")
        self.workspace.welcome(str(body["contactId"]))
        return jsonify(contactId=body["contactId"]), HTTPStatus.CREATED

    def messages(self, contact_id: str) -> Response:
        self._require(contact_id)
        entries = [message.as_json() for message in self.workspace.messages(contact_id)]
        return jsonify(contactId=contact_id, messages=entries)

    def send(self, contact_id: str) -> tuple[Response, int]:
        self._require(contact_id)
        content = _body()
        MESSAGE(content, "")
        return jsonify(self.outgoing.send(contact_id, content).as_json()), HTTPStatus.CREATED

    def read(self, contact_id: str) -> Response:
        self._require(contact_id)
        self.workspace.read(contact_id)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _require(self, contact_id: str) -> None:
        if not self.workspace.knows(contact_id):
            raise UnknownContact("contactId", "is not a known contact")


def create_blueprint(agent: Agent) -> Blueprint:
    blueprint = Blueprint("agent", __name__, url_prefix="/agent")
    blueprint.add_url_rule("", "page", agent.page)
    blueprint.add_url_rule("/api/contacts", "contacts", agent.contacts)
    blueprint.add_url_rule("/api/contacts", "start", agent.start, methods=["POST"])
    one = "/api/contacts/<contact_id:contact_id>"
    blueprint.add_url_rule(f"{one}/messages", "messages", agent.messages)
    blueprint.add_url_rule(f"{one}/messages", "send", agent.send, methods=["POST"])
    blueprint.add_url_rule(f"{one}/read", "read", agent.read, methods=["POST"])
    blueprint.register_error_handler(Refused, _refused)
    return blueprint


def contact_name(contact: Contact) -> str:
    parts = (contact.profile.get("firstName"), contact.profile.get("lastName"))
    return " ".join(str(part) for part in parts if part) or contact.contact_id


def _contact(workspace: Workspace, contact: Contact) -> Json:
    messages = workspace.messages(contact.contact_id)
    last = messages[-1].as_json() if messages else None
    return contact.as_json() | {"name": contact_name(contact), "last": last}


def _body() -> Json:
    return as_object(read_json_body(request.mimetype, request.get_data()), "body")


def _refused(problem: Refused) -> tuple[Response, int]:
    status = HTTPStatus.NOT_FOUND if isinstance(problem, UnknownContact) else HTTPStatus.BAD_REQUEST
    return jsonify(error={"field": problem.field, "message": str(problem)}), status
