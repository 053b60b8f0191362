"""The page on which a person watches the application and writes to its customers, and the small JSON API behind it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
from flask import Blueprint, Response, jsonify, request
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.sandbox.answers import Answer, Problem, created
from app.sandbox.application.memory import INBOUND, REPLY, WRITTEN_FIRST, Media, Memory, Message
from app.sandbox.application.webhooks import channel_name, picture
from app.sandbox.checks import Field, Json, boolean, record, text
from app.sandbox.pages import protect, read_body, show
from app.sandbox.settings import SandboxSettings

PATIENCE_SECONDS = 10.0
SEND = record({"to": Field(text(256, minimum=1)), "text": Field(text(1600)), "picture": Field(boolean)})
AUTHORS = {INBOUND: "customer", REPLY: "twiml", WRITTEN_FIRST: "rest"}


@dataclass(frozen=True)
class Page:
    settings: SandboxSettings
    memory: Memory

    def page(self) -> Response:
        return show("application.html", address=self.settings.application_address)

    def conversations(self) -> Answer:
        version = self.memory.version
        return jsonify(version=version, conversations=[self._conversation(*one) for one in self.memory.conversations()])

    def messages(self) -> Answer:
        customer = request.args.get("customer", "")
        return jsonify(contactId=customer, messages=[self._message(one) for one in self.memory.messages(customer)])

    def send(self) -> Answer:
        """Write to a customer, who need not have written."""
        body = read_body(SEND)
        media = (picture(self.settings),) if body["picture"] else ()
        made = self._create(str(body["to"]), str(body["text"]), media)
        message = Message(made.sid, made.to, WRITTEN_FIRST, str(body["text"]), media)
        self.memory.add(message)
        return created({"contactId": message.customer})

    def _create(self, to: str, text: str, media: tuple[Media, ...]) -> Any:
        """Twilio's own client; only its base URL is another one."""
        http = TwilioHttpClient(timeout=PATIENCE_SECONDS)
        http.session.trust_env = False
        client = Client(self.settings.application_account_sid, self.settings.application_auth_token, http_client=http)
        client.api.base_url = self.settings.gateway_url.rstrip("/")
        sender, urls = self.settings.application_address, [one.url for one in media]
        try:
            with http.session:
                return client.messages.create(to=to, from_=sender, body=text, media_url=urls)
        except TwilioRestException as problem:
            raise Problem(problem.status, f"{problem.code}: {problem.msg}") from problem
        except requests.RequestException as problem:
            raise Problem(HTTPStatus.BAD_GATEWAY, "The gateway could not be reached") from problem

    def _conversation(self, name: str, last: Message) -> Json:
        return {
            "contactId": last.customer,
            "name": name or last.customer.partition(":")[2] or last.customer,
            "via": channel_name(last.customer),
            "unread": 0,
            "last": self._message(last),
        }

    def _message(self, message: Message) -> Json:
        """In the form that the desks' scripts show."""
        status = self.memory.status(message)
        return {
            "mId": message.key,
            "author": AUTHORS[message.direction],
            "status": status.word,
            "error": status.error,
            "timestamp": int(message.at * 1000),
            "message": {
                "type": "parts",
                "text": message.text,
                "quote": "",
                "files": [_file(one) for one in message.media],
                "buttons": [],
            },
        }


def create_blueprint(page: Page) -> Blueprint:
    blueprint = Blueprint("application", __name__, url_prefix="/application")
    blueprint.add_url_rule("", "page", page.page)
    blueprint.add_url_rule("/api/conversations", "conversations", page.conversations)
    blueprint.add_url_rule("/api/messages", "messages", page.messages)
    blueprint.add_url_rule("/api/messages", "send", page.send, methods=["POST"])
    protect(blueprint)
    return blueprint


def _file(media: Media) -> Json:
    return {
        "type": "image" if media.content_type.startswith("image/") else "file",
        "url": media.url,
        "fileName": media.url.partition("?")[0].rpartition("/")[2],
        "description": "",
    }
