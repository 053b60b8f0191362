"""Twilio's own SDK as the client of the Flex stand-in, and a recorder for its webhooks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.sandbox import SandboxSettings

SETTINGS = SandboxSettings()
SERVICE, WORKSPACE, WORKFLOW = SETTINGS.flex_chat_service_sid, SETTINGS.flex_workspace_sid, SETTINGS.flex_workflow_sid
STUDIO_FLOW = "FW" + "9" * 32
PASSWORD = (SETTINGS.twilio_account_sid, SETTINGS.twilio_auth_token)
CUSTOMER = "webchat:v81"
ON = {"x_twilio_webhook_enabled": "true"}


class SandboxHttpClient(TwilioHttpClient):
    """Sends what is meant for Twilio to the sandbox."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.session.trust_env = False
        self._base = base

    def request(self, method, url, *arguments, **options):
        parts = urlsplit(url)
        if parts.netloc.endswith(".twilio.com"):
            query = f"?{parts.query}" if parts.query else ""
            url = f"{self._base}/twilio/{parts.netloc.split('.')[0]}{parts.path}{query}"
        return super().request(method, url, *arguments, **options)


def connect(base: str, token: str = SETTINGS.twilio_auth_token) -> Client:
    return Client(SETTINGS.twilio_account_sid, token, http_client=SandboxHttpClient(base))


def make_flow(twilio: Client, integration: str = "task", **more: Any) -> Any:
    wanted = {
        "task": {
            "integration_workspace_sid": WORKSPACE,
            "integration_workflow_sid": WORKFLOW,
            "integration_channel": "chat",
        },
        "studio": {"integration_flow_sid": STUDIO_FLOW},
        "external": {"integration_url": "http://127.0.0.1:9/"},
    }
    always = {"friendly_name": "Web chat", "chat_service_sid": SERVICE, "channel_type": "custom"}
    arguments = always | {"integration_type": integration} | wanted[integration] | more
    return twilio.flex_api.v1.flex_flow.create(**arguments)


def make_channel(twilio: Client, flow: Any, target: str | None = CUSTOMER, **more: Any) -> Any:
    arguments = {
        "identity": target or CUSTOMER,
        "chat_user_friendly_name": "Ada",
        "chat_friendly_name": "Chat with Ada",
    }
    if target is not None:
        arguments["target"] = target
    return twilio.flex_api.v1.channel.create(flex_flow_sid=flow.sid, **(arguments | more))


def chat(twilio: Client, sid: str) -> Any:
    return twilio.chat.v2.services(SERVICE).channels(sid)


def conversation(twilio: Client, sid: str) -> Any:
    return twilio.conversations.v1.conversations(sid)


def make_conversation(twilio: Client, identity: str = CUSTOMER, **more: Any) -> Any:
    made = twilio.conversations.v1.conversations.create(friendly_name="Chat with Ada", **more)
    conversation(twilio, made.sid).participants.create(identity=identity)
    return made


def make_interaction(twilio: Client, sid: str, **attributes: Any) -> Any:
    channel = {"type": "web", "initiated_by": "customer", "properties": {"media_channel_sid": sid}}
    properties = {
        "workspace_sid": WORKSPACE,
        "workflow_sid": WORKFLOW,
        "task_channel_unique_name": "chat",
        "attributes": attributes,
    }
    return twilio.flex_api.v1.interaction.create(channel=channel, routing={"properties": properties})


def tasks(twilio: Client) -> Any:
    return twilio.taskrouter.v1.workspaces(WORKSPACE).tasks


def task(twilio: Client, sid: str) -> Any:
    return twilio.taskrouter.v1.workspaces(WORKSPACE).tasks(sid)


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    signature: str
    form: dict[str, str]

    @property
    def event(self) -> str:
        return self.form["EventType"]


@dataclass
class Listener:
    """Records webhooks; `answers` are used up in order, afterwards all is well. None hangs up."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    hold: Callable[[], None] = lambda: None

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Call]:
        wait_until(lambda: len(self.calls) >= count, seconds)
        return self.calls

    @property
    def events(self) -> list[str]:
        return [call.event for call in self.calls]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def wait_idle(base: str) -> dict[str, Any]:
    """What the stand-in remembers once every webhook was sent or given up."""
    wait_until(lambda: seen(base)["idle"])
    return seen(base)


def seen(base: str) -> dict[str, Any]:
    return requests.get(f"{base}/inspect").json()["flex"]


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            query = urlsplit(self.path).query if self.command == "GET" else ""
            form = dict(parse_qsl(raw or query, keep_blank_values=True))
            listener.calls.append(Call(self.command, self.path, self.headers["X-Twilio-Signature"], form))
            listener.hold()
            status = listener.answers.pop(0) if listener.answers else 200
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def recording_listener() -> Iterator[Listener]:
    listener = Listener()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(listener))
    server.daemon_threads = True
    server.block_on_close = False
    listener.url = f"http://127.0.0.1:{server.server_port}/destinations/people?kind=chat"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
