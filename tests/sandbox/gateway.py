"""A little gateway on loopback: records respond.io's outgoing calls and answers as the test tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]


@dataclass
class Gateway:
    """`answers` are used up in order; afterwards every call is accepted under a new mId."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    before_answer: Callable[[str], None] = lambda m_id: None

    def answer(self, call: dict[str, Any]) -> Answer:
        self.calls.append(call)
        m_id = f"gw-{len(self.calls)}"
        self.before_answer(m_id)
        return self.answers.pop(0) if self.answers else (200, {"mId": m_id})

    @property
    def texts(self) -> list[str]:
        return [call["body"]["message"]["text"] for call in self.calls]


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = {"path": self.path, "authorization": self.headers["Authorization"], "body": body}
            status, answer = gateway.answer(call)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def recording_gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(gateway))
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
