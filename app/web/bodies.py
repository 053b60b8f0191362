"""A body that comes in chunks is read here, up to one byte more than it may have, and its length announced. So one rule
speaks of all bodies: by itself werkzeug cuts this one at the limit in silence."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from app.web.slashes import Application


def announce_lengths(application: Application, max_body: int) -> Application:
    """The WSGI application behind it. `max_body`: bytes that a request's body may have."""

    def announced(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:  # beside which a length counts for nothing
            body = b"".join(_pieces(environ["wsgi.input"], max_body + 1))
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        return application(environ, start_response)

    return announced


def _pieces(stream: Any, left: int) -> Iterable[bytes]:
    """A server may hand over less than is asked for before the end."""
    while left > 0 and (piece := stream.read(left)):
        left -= len(piece)
        yield piece
