"""A visitor of the web chat talks to an application that was written for Twilio, through real processes.

The application knows Flask and Twilio's own library and nothing of Patchbay.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from flask import Flask, Response, abort, request, url_for
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse
from werkzeug.serving import make_server

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import HOST, RedisServer, System, free_port, wait_until

ACCOUNT, TOKEN = "AC" + "7" * 32, "application-token-0001"
PICTURE = "https://cdn.example.test/parcel.png"


def application(heard: list[dict[str, str]]) -> Flask:
    """Answers messages, and remembers what it heard."""
    app = Flask("shop")

    @app.before_request
    def only_from_twilio() -> None:
        signature = request.headers.get("X-Twilio-Signature", "")
        if not RequestValidator(TOKEN).validate(request.url, request.form, signature):
            abort(403)
        heard.append({"path": request.path, **request.form})

    @app.post("/sms")
    def sms() -> Response:
        answer, words = MessagingResponse(), request.form["Body"].lower()
        if words == "boom":
            abort(500)
        if words == "menu":
            answer.message("One moment.")
            answer.redirect(url_for("menu"))
        elif words == "picture":
            answer.message("Your parcel").media(PICTURE)
        else:
            answer.message(f"You said: {words}", action=url_for("sent"))
        return Response(str(answer), mimetype="text/xml")

    @app.post("/menu")
    def menu() -> str:
        answer = MessagingResponse()
        answer.message("1. Parcels\n2. Returns")
        return str(answer)  # as Twilio's own examples do; Flask says that this is HTML

    @app.post("/fallback")
    def fallback() -> Response:
        answer = MessagingResponse()
        answer.message(f"Sorry ({request.form['ErrorCode']}).")
        return Response(str(answer), mimetype="text/xml")

    @app.post("/sent")
    def sent() -> tuple[str, int]:
        return "", 204

    @app.post("/status")
    def status() -> tuple[str, int]:
        return "", 204

    return app


@dataclass(frozen=True)
class World:
    """Addresses, and what the application heard."""

    gateway: str
    application: str
    heard: list[dict[str, str]]


@dataclass
class Visitor:
    """One visitor's browser."""

    url: str
    token: str = ""
    application: str = ""
    heard: list[dict[str, str]] = field(default_factory=list)
    written: int = 0

    def write(self, text: str) -> None:
        self.written += 1
        self._post("message.created", {"id": f"m{self.written}", "content": {"type": "text", "text": text}})

    def reads(self, message_id: str) -> None:
        self._post("message.status", {"message_id": message_id, "status": "delivered"})
        self._post("message.status", {"message_id": message_id, "status": "read"})

    def told(self) -> dict[str, str]:
        """The first thing that the application was told of him; it may still hear of another visitor's messages."""
        return next(form for form in list(self.heard) if form["path"] == "/sms")

    def said(self) -> list[dict[str, Any]]:
        """What was written to him: id and content of each message."""
        return [data for data in self._events("message") if data["author"] == "bot"]

    def contents(self) -> list[dict[str, Any]]:
        return [data["content"] for data in self.said()]

    def _events(self, wanted: str) -> Iterator[dict[str, Any]]:
        headers = {"authorization": f"Bearer {self.token}"}
        ticket = requests.post(f"{self.url}/chat/chat/ticket", headers=headers, timeout=10).json()
        with requests.get(f"{self.url}/chat/chat/events", params=ticket, stream=True, timeout=10) as stream:
            kind = ""
            for line in stream.iter_lines(decode_unicode=True):
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if kind == "ready":
                    return
                if name == "data" and kind == wanted:
                    yield json.loads(value)

    def _post(self, kind: str, data: dict[str, Any]) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        body = {"type": kind, "data": data}
        requests.post(f"{self.url}/channels/chat", json=body, headers=headers, timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, port, heard = tmp_path_factory.mktemp("twiml"), free_port(), []
    server = make_server(HOST, free_port(), application(heard), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app = f"http://{HOST}:{server.server_port}"
    store = RedisServer(folder)
    store.start()
    destination = {
        "type": "twiml",
        "account_sid": ACCOUNT,
        "auth_tokens": [TOKEN],
        "address": "webchat:shop",
        "callback_url": f"{app}/sms",
        "fallback_url": f"{app}/fallback",
        "status_callback_url": f"{app}/status",
    }
    config = folder / "patchbay.toml"
    config.write_text(toml.dumps(tables(channels__chat={"destination": "app"}, destinations__app=destination)))
    system = System(config, store.url, folder, port=port)
    try:
        system.start(workers=1)
        yield World(system.url, app, heard)
    finally:
        system.stop()
        store.stop()
        server.shutdown()
        server.server_close()


@pytest.fixture
def client(world: World) -> Client:
    """Twilio's own, with another base URL."""
    found = Client(ACCOUNT, TOKEN)
    found.api.base_url = world.gateway
    return found


@pytest.fixture
def visitor(world: World) -> Visitor:
    world.heard.clear()
    token = requests.post(f"{world.gateway}/chat/chat/visitor", timeout=10).json()["token"]
    return Visitor(world.gateway, token, world.application, world.heard)


def statuses(visitor: Visitor, path: str) -> list[str]:
    return [form["MessageStatus"] for form in list(visitor.heard) if form["path"] == path]


def test_a_visitor_is_answered_and_the_application_knows_when_he_has_read(visitor: Visitor) -> None:
    visitor.write("Hello")
    wait_until("he is answered", lambda: visitor.contents() == [{"type": "text", "text": "You said: hello"}])
    wait_until("the application knows", lambda: statuses(visitor, "/sent") == ["sent"])
    (reply,) = visitor.said()
    visitor.reads(reply["id"])
    wait_until("the application knows", lambda: statuses(visitor, "/sent") == ["sent", "delivered", "read"])
    told = visitor.told()
    assert (told["path"], told["Body"], told["To"], told["AccountSid"]) == ("/sms", "Hello", "webchat:shop", ACCOUNT)
    reports = [form for form in list(visitor.heard) if form["path"] == "/sent"]
    assert all(form["MessageSid"] == f"SM{reply['id']}" for form in reports)
    assert all((form["To"], form["From"]) == (told["From"], "webchat:shop") for form in reports)


def test_a_visitor_gets_a_picture(visitor: Visitor) -> None:
    visitor.write("picture")
    picture = {
        "type": "attachment", "kind": "image", "url": PICTURE, "mime_type": "image/png", "description": "Your parcel"
    }  # fmt: skip
    wait_until("he sees it", lambda: visitor.contents() == [picture])
    wait_until("the application knows", lambda: statuses(visitor, "/status") == ["sent"])
    assert visitor.heard[-1]["MessageSid"].startswith("MM")


def test_a_visitor_is_led_on(visitor: Visitor) -> None:
    visitor.write("menu")
    wait_until("he is", lambda: [c["text"] for c in visitor.contents()] == ["One moment.", "1. Parcels\n2. Returns"])
    first, second = (form for form in list(visitor.heard) if "Body" in form)
    assert ("/sms", {**first, "path": "/menu"}) == (first["path"], second)


def test_a_visitor_is_answered_by_the_fallback(visitor: Visitor) -> None:
    visitor.write("boom")
    wait_until("he is", lambda: [content["text"] for content in visitor.contents()] == ["Sorry (11200)."])
    (fallback,) = (form for form in list(visitor.heard) if form["path"] == "/fallback")
    assert fallback["ErrorUrl"].endswith("/sms")


def test_an_application_writes_first_and_follows_what_becomes_of_it(visitor: Visitor, client: Client) -> None:
    visitor.write("Hello")
    wait_until("he is answered", lambda: len(visitor.said()) == 1)
    address, callback = visitor.told()["From"], f"{visitor.application}/sent"
    made = client.messages.create(to=address, from_="webchat:shop", body="It left today.", status_callback=callback)
    wait_until("he reads it", lambda: [c["text"] for c in visitor.contents()] == ["You said: hello", "It left today."])
    visitor.reads(made.sid[2:])
    ours = lambda: [f["MessageStatus"] for f in list(visitor.heard) if f.get("MessageSid") == made.sid]  # noqa: E731
    wait_until("the application knows", lambda: ours() == ["sent", "delivered", "read"])
    assert made.fetch().status == "read"
    talk = [(one.direction, one.body) for one in client.messages.stream(page_size=1) if address in (one.to, one.from_)]
    assert talk == [("outbound-api", "It left today."), ("outbound-reply", "You said: hello"), ("inbound", "Hello")]
    assert [one.body for one in client.messages.list(to=address, limit=1)] == ["It left today."]
    with pytest.raises(TwilioRestException, match="'From' address"):
        client.messages.create(to=address, from_="webchat:elsewhere", body="x")
