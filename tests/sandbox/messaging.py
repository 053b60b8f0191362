"""Customers of the messaging stand-in as tests play them, and a gateway that records its webhooks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote

import requests
from twilio.request_validator import RequestValidator

from app.sandbox import SandboxSettings

from .flex import wait_until

SETTINGS = SandboxSettings()
PASSWORD = (SETTINGS.twilio_account_sid, SETTINGS.twilio_auth_token)
API = f"/twilio/api/2010-04-01/Accounts/{SETTINGS.twilio_account_sid}"
NUMBER, WHATSAPP, PAGE = SETTINGS.twilio_number, SETTINGS.twilio_whatsapp, SETTINGS.twilio_messenger
SERVICE = SETTINGS.twilio_messaging_service_sid
ADA, ADA_WHATSAPP, ADA_MESSENGER = "+15551230001", "whatsapp:+15551230001", "messenger:7001"
READY_CONTENT = "HX" + "2b" * 16
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@dataclass(frozen=True)
class Post:
    """One webhook as it came; `path` without the host, `url` with it."""

    url: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]

    @property
    def is_signed(self) -> bool:
        validator = RequestValidator(SETTINGS.twilio_auth_token)
        return validator.validate(self.url, self.form, self.headers["X-Twilio-Signature"])


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: str = EMPTY
    content_type: str = "text/xml"


@dataclass
class Hooks:
    """A gateway's webhooks; `answers` are used up in order, afterwards all is well. None hangs up."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[Answer | None] = field(default_factory=list)
    files: dict[str, Answer] = field(default_factory=dict)
    hold: Callable[[Post], None] = lambda post: None

    def wait_for(self, count: int) -> list[Post]:
        wait_until(lambda: len(self.posts) >= count)
        return self.posts

    @property
    def statuses(self) -> list[str]:
        return [post.form["MessageStatus"] for post in self.posts]

    @property
    def paths(self) -> list[str]:
        return [post.path for post in self.posts]


def _handler(hooks: Hooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(parse_qsl(raw, keep_blank_values=True))
            post = Post(hooks.url + self.path, self.path, dict(self.headers.items()), form)
            hooks.posts.append(post)
            hooks.hold(post)
            self._answer(hooks.answers.pop(0) if hooks.answers else Answer())

        def do_GET(self) -> None:
            self._answer(hooks.files.get(self.path, Answer(404)))

        def _answer(self, answer: Answer | None) -> None:
            if answer is None:
                self.close_connection = True
                return
            raw = answer.body.encode("latin-1")
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def recording_hooks() -> Iterator[Hooks]:
    hooks = Hooks()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hooks))
    server.daemon_threads = True
    server.block_on_close = False
    hooks.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hooks
    finally:
        server.shutdown()
        server.server_close()


def phone(base: str, address: str, act: str, **options: Any) -> Any:
    """One act of a customer, who is made if need be."""
    kind = address.partition(":")[0] if ":" in address else "sms"
    made = requests.post(f"{base}/phone/api/customers", json={"kind": kind, "address": address})
    assert made.ok, made.text
    answer = requests.post(f"{base}/phone/api/customers/{quote(address, safe='')}/{act}", **options)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def say(base: str, text: str, address: str = ADA, **more: Any) -> Any:
    return phone(base, address, "messages", json={"text": text, **more})


def shown(base: str, address: str = ADA) -> list[Any]:
    """What the customer's phone shows."""
    answer = requests.get(f"{base}/phone/api/customers/{quote(address, safe='')}/messages")
    return answer.json()["messages"]


def switch(base: str, **wanted: Any) -> None:
    assert requests.post(f"{base}/messaging/switches", json=wanted).ok


def end_with(base: str, status: str, **more: Any) -> None:
    answer = requests.post(f"{base}/messaging/outcomes", json={"status": status, **more})
    assert answer.ok, answer.text


def fault(base: str, kind: str, **more: Any) -> None:
    assert requests.post(f"{base}/faults", json={"target": "messaging", "kind": kind, **more}).ok


def seen(base: str) -> Any:
    return requests.get(f"{base}/inspect").json()["messaging"]


def wait_idle(base: str) -> Any:
    """What the stand-in remembers once everything was sent or given up."""
    wait_until(lambda: seen(base)["idle"])
    return seen(base)
