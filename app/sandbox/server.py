"""The HTTP server of the sandbox: threaded, HTTP/1.1, connections kept alive.

Werkzeug's own handler closes every connection, because it cannot tell leftovers of one request from the
start of the next. This one reads the whole body before the application runs, so nothing is ever left over.
Every answer says what becomes of its connection: clients that keep them would otherwise use one that is gone.
"""

from collections.abc import Iterable
from io import BytesIO

from flask import Flask
from werkzeug import serving
from werkzeug.test import run_wsgi_app

BODY_LIMIT = 1_000_000
# Files go up under paths that end with `Media` or `media`.
MEDIA_LIMIT = 16_000_000
IDLE_SECONDS = 75.0
BODILESS = ("204", "304")


class KeepAliveHandler(serving.WSGIRequestHandler):
    """One connection; `environ["werkzeug.socket"]` lets a fault cut it."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body are two writes; Nagle's algorithm would hold the second for a delayed acknowledgement.
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        refusal = self._refusal()
        if refusal:
            self._close_with(refusal)
            return
        length = int(self.headers.get("Content-Length", "0"))
        self.environ = environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self.rfile.read(length))
        pieces, status, headers = run_wsgi_app(self.server.app, environ)
        try:
            self._answer(status, list(headers), pieces)
        finally:
            if close := getattr(pieces, "close", None):
                close()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are kept for `/inspect`, not logged."""

    def _refusal(self) -> str | None:
        """The status line that refuses a body unread, if it must be refused."""
        declared = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not (declared.isascii() and declared.isdigit()):
            return "411 Length Required"
        return "413 Content Too Large" if int(declared) > self._limit() else None

    def _limit(self) -> int:
        return MEDIA_LIMIT if self.path.partition("?")[0].endswith(("/Media", "/media")) else BODY_LIMIT

    def _close_with(self, status: str) -> None:
        self.close_connection = True
        self._write(status, [("Content-Length", "0")], b"")

    def _answer(self, status: str, headers: list[tuple[str, str]], pieces: Iterable[bytes]) -> None:
        """As a whole, where it has a length or no body; else piece by piece, as it is made."""
        is_whole = any(name.lower() == "content-length" for name, _ in headers) or status[:3] in BODILESS
        if is_whole or self.command == "HEAD":
            self._write(status, headers, b"".join(pieces))
        elif self.request_version == "HTTP/1.0":
            self.close_connection = True
            self._write(status, headers, b"")
            self.wfile.writelines(pieces)
        else:
            self._write(status, [*headers, ("Transfer-Encoding", "chunked")], b"")
            self.wfile.writelines(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in [*headers, *self._fate()]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _fate(self) -> list[tuple[str, str]]:
        """What becomes of the connection: closed now, or kept, and for how long nobody need say anything."""
        if self.close_connection:
            return [("Connection", "close")]
        return [("Connection", "keep-alive"), ("Keep-Alive", f"timeout={IDLE_SECONDS:.0f}")]


def build_server(app: Flask, host: str, port: int) -> serving.BaseWSGIServer:
    """Bound and listening, not yet serving; port 0 takes a free one, readable as `server.port`."""
    return serving.make_server(host, port, app, threaded=True, request_handler=KeepAliveHandler)
