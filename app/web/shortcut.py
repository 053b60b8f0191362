"""Webhooks that need nothing of Flask's are answered before it: to find a view, to make its contexts and to call its
hooks takes longer than to verify a webhook and to record it.

What is answered, and how, is `receive.receive`'s alone. Everything about which a view or a hook decides goes there:
another method than POST, a body of an odd length, channels that callers use from web pages, without verification or up
to a limit, and every path that is not plainly a webhook's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from flask import Response

from app.core.events import Reply
from app.gateway import Gateway
from app.spool import Spool
from app.web.answers import written
from app.web.receive import as_webhook, receive
from app.web.slashes import Application

MAX_DIGITS = 10  # of a length that is looked at here


def answer_webhooks(
    application: Application, gateway: Gateway, spool: Spool | None, failed: Callable[[Exception], Response]
) -> Application:
    """The WSGI application behind it. `failed`: what is answered to what `receive` raises."""
    names, max_body = dict(paths_of(gateway)), gateway.settings.gateway["max_body"]

    def answered(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = _name_in(environ, names)
        body = _body(environ, max_body) if name else None
        if name is None or body is None:
            return application(environ, start_response)
        try:
            answer = receive(gateway, spool, name, as_webhook(gateway, environ, environ["PATH_INFO"], body))
            if isinstance(answer, Reply):
                return written(answer, environ, start_response)
        except Exception as error:
            answer = failed(error)
        return answer(environ, start_response)

    return answered


def paths_of(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """The paths of webhooks, and whose they are."""
    for name, channel in gateway.channels.items():
        open_to_all = gateway.settings.channels[name].values.get("verification") == "none"
        asks_more = open_to_all or gateway.call_limits[name] or name in gateway.offers.pages
        if "POST" in channel.methods and not asks_more:
            yield f"/channels/{name}", name
    for name in gateway.destinations:
        if name in gateway.offers.webhooks:
            yield f"/destinations/{name}", name


def _name_in(environ: dict[str, Any], names: dict[str, str]) -> str | None:
    """Whose webhook it is; None: perhaps somebody's, perhaps none."""
    if environ["REQUEST_METHOD"] != "POST":
        return None
    path = environ["PATH_INFO"]
    if path in names:
        return names[path]
    return names.get(path.rpartition("/")[0]) if path.isascii() and path.isprintable() else None


def _body(environ: dict[str, Any], most: int) -> bytes | None:
    """All of it. None: its length says nothing or too much, or it ends too early; as much of it as came is put back."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > most:
        return None
    size, stream = int(length), environ["wsgi.input"]
    body: bytes = stream.read(size)
    while len(body) < size and (piece := stream.read(size - len(body))):  # a server may hand it over in pieces
        body += piece
    if len(body) == size:
        return body
    environ["wsgi.input"] = BytesIO(body)
    return None
