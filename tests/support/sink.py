"""A small HTTP server that records what it is sent and answers as told: the outside world in tests of adapters."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest


@dataclass(frozen=True)
class Call:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True)
class Told:
    """What to answer. `hang` waits until the sink closes; `drop` closes the connection in place of an answer. `length`:
    what is announced, if it is not the body's; then, and with `close`, the connection ends with the answer. `drip`:
    seconds between two bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    length: int | None = None
    close: bool = False
    drip: float = 0.0


@dataclass
class Sink:
    url: str
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], Told] = lambda call: Told()
    closing: threading.Event = field(default_factory=threading.Event)

    def answers(self, *answers: Told) -> None:
        """Give these answers in turn, the last one again and again; without any, accept everything."""
        left = list(answers) or [Told()]
        self.answer = lambda call: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def sink() -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer, or Nagle's algorithm and late acknowledgements cost 40 ms each

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed in the middle
                self.close_connection = True
                return
            headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
            call = Call(self.command, self.path, headers, body)
            state.calls.append(call)
            told = state.answer(call)
            if told.hang:
                state.closing.wait(30)
            if told.hang or told.drop:
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            if "transfer-encoding" not in map(str.lower, told.headers):
                self.send_header("content-length", str(len(told.body) if told.length is None else told.length))
            self.end_headers()
            for piece in [bytes([byte]) for byte in told.body] if told.drip else [told.body]:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(told.drip)
            self.close_connection = told.close or told.length is not None

        do_GET = do_DELETE = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed leaves its connection; that is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    state = Sink(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def sinkhole() -> Iterator[Sink]:
    with sink() as opened:
        yield opened


@pytest.fixture
def outside(sinkhole: Sink) -> Sink:
    """The outside world: takes everything, remembers it, and says 200 unless told otherwise."""
    sinkhole.calls.clear()
    sinkhole.answers(Told())
    return sinkhole
