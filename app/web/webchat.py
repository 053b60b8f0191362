"""The chat page and what its browser needs besides `POST /channels/<name>`: a visitor token and the live stream.

An open stream holds one of the receiver's threads. So there are never more streams than leave threads for webhooks, a
stream notices within WAIT seconds that its browser left or that the process is to end, and a browser that finds no
place is told what is new and comes again: it polls, without knowing it.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Blueprint, Response, abort, current_app, jsonify, make_response, render_template, request

from app.channels.base import Holder
from app.channels.webchat import WebchatChannel
from app.core.errors import StoreUnavailable, Unverified
from app.core.events import TYPING_LASTS, Ended
from app.core.message import conversation_key, outward
from app.gateway import THREADS_VARIABLE, Gateway
from app.inbox import NotTaken
from app.store.messages import LiveEntry
from app.web import limits, visitors
from app.web.answers import problem, try_again
from app.web.receive import accept, webhook_of

blueprint = Blueprint("webchat", __name__)

STREAM_FOR = 300.0  # seconds after which the browser connects anew, from where it was
WAIT = 1.5  # seconds between two signs of life
MOST_STREAMS = min(48, int(os.environ.get(THREADS_VARIABLE) or 64) * 3 // 4)  # of one process

POSITION = re.compile(r"\d{1,19}(-\d{1,19})?", re.ASCII)
READY, STILL_HERE = b"event: ready\ndata: {}\n\n", b": still here\n\n"

# What a visitor may read about a message that failed. The operator's text may name hosts, accounts or bugs.
EXCUSES = {
    "rejected": "It was refused.",
    "unsupported": "This kind of message cannot be delivered here.",
}
EXCUSE = "It could not be delivered."

_streams = threading.BoundedSemaphore(MOST_STREAMS)


class Stopping:
    """Whether this process was told to end.

    A server waits for the answers it is giving, so endless ones must know. Servers replace signal handlers after they
    have loaded the application; the wake-up descriptor is the standard library's way to hear of a signal all the same.
    """

    def __init__(self) -> None:
        self._told = threading.Event()
        self._reader: int | None = None

    def watch(self) -> None:
        """Listen from now on; only the main thread may, and only where nobody else does."""
        if self._reader is not None or threading.current_thread() is not threading.main_thread():
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if before == -1:
            self._reader = reader
            return
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)

    def told(self) -> bool:
        if self._reader is not None and not self._told.is_set():
            try:
                numbers = os.read(self._reader, 256)
            except BlockingIOError:
                numbers = b""
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._told.set()
        return self._told.is_set()


_stopping = Stopping()
blueprint.record_once(lambda _: _stopping.watch())


@blueprint.get("/chat/<name>")
def page(name: str) -> Any:
    """The chat page."""
    channel = _channel(name)
    response = make_response(render_template("chat.html", name=name, title=channel.title, greeting=channel.greeting))
    ancestors = " ".join(["'self'", *channel.origins])
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; img-src * data:; media-src *; frame-ancestors {ancestors}; base-uri 'none'; "
        "form-action 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"  # for the token in the stream's query, too
    return response


@blueprint.post("/chat/<name>/visitor")
def visitor(name: str) -> Any:
    """A token for a new visitor: `{"token": "..."}`."""
    channel = _channel(name)
    limits.ask(name, "visitor")
    response = jsonify(token=channel.new_token())
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/chat/<name>/forget")
def forget(name: str) -> Any:
    """Take back the token in the header `Authorization`, and end the conversation for who answers it; what was said
    stays with them. Whoever asks again is answered the same."""
    channel, gateway = _channel(name), _gateway()
    try:
        customer = channel.holder(webhook_of(gateway)).customer
    except Unverified as error:
        return problem(401, f"Not verified: {error}.")
    visitors.revoke(gateway, channel, customer)
    if gateway.store.sessions.read(conversation_key(name, customer)) is None:
        return Response(status=204)
    try:
        accept(gateway, name, [Ended(external_id=f"forgotten:{customer}", customer=customer)])  # once, however often
    except NotTaken as error:
        return try_again(error.status, str(error), error.retry_after or 5)
    return Response(status=204)


@blueprint.get("/chat/<name>/events")
def events(name: str) -> Any:
    """The visitor's stream as server-sent events, from the beginning or after `Last-Event-ID`.

    Query: `token`, unless it is the bearer's, as programs have it; `after`, a position for browsers that cannot set the
    header. A position that is none means the beginning. Events, each with its position as id:

    - `message` {id, client_id, author, at, content, status, error}: `client_id` is the id that the visitor's page gave
      to his own message, null for what is written to him; `author` customer, bot, agent or system; `at` Unix
      milliseconds; `status` the present one; `error` a sentence for the visitor if it is `failed`
    - `status` {id, status, error}: a message's status climbed
    - `typing` {at}: somebody is typing; left out once it is no longer true
    - `ended` {at}: the session is over

    Besides, without a position, `ready` {}: everything that was there when the browser came has been sent.
    """
    channel = _channel(name)
    try:
        holder = _reader(channel)
        visitors.check(_gateway(), name, holder)
    except Unverified as error:
        return problem(401, f"Not verified: {error}.")
    limits.ask(name, "stream", holder.customer)
    after = request.headers.get("Last-Event-ID") or request.args.get("after") or ""
    stream = _stream(_gateway(), conversation_key(name, holder.customer), after if POSITION.fullmatch(after) else "0")
    return Response(
        stream, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@blueprint.after_app_request
def cors(response: Response) -> Response:
    """Let the sites that the channel's `origins` name use the chat's addresses, `/channels/<name>` among them."""
    channel = _gateway().channels.get((request.view_args or {}).get("name", ""))
    if not isinstance(channel, WebchatChannel) or not channel.origins:
        return response
    if request.endpoint != "receive.channel" and request.blueprint != "webchat":
        return response
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if origin in channel.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "authorization, content-type, last-event-id"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def _stream(gateway: Gateway, conversation: str, after: str) -> Iterator[bytes]:
    crowded = not _streams.acquire(blocking=False)
    try:
        # browsers that lost their stream together do not come again together
        yield b"retry: %d\n\n" % (1500 + secrets.randbelow(1500))
        yield from _told(gateway, conversation, after, 0.0 if crowded else STREAM_FOR)
    except StoreUnavailable:
        return  # the browser comes again by itself
    finally:
        if not crowded:
            _streams.release()


def _told(gateway: Gateway, conversation: str, after: str, seconds: float) -> Iterator[bytes]:
    """First everything that is there, then what comes within `seconds`."""
    until = time.monotonic() + seconds
    waits = False
    while not _stopping.told():
        entries = gateway.live.live(conversation, after, WAIT if waits else 0)
        for entry in entries:
            after = entry.position
            yield _event(entry)
        if not entries:
            yield STILL_HERE if waits else READY
            waits = True
        if waits and time.monotonic() >= until:
            return


def _event(entry: LiveEntry) -> bytes:
    data = _data(entry)
    if data is None:
        return b""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (entry.position.encode(), entry.kind.encode(), orjson.dumps(data))


def _data(entry: LiveEntry) -> dict[str, Any] | None:
    """What the browser is told of an entry; None if it is out of date: an old hint, or a message that was forgotten."""
    at = int(entry.position.partition("-")[0])
    match entry.kind:
        case "status":
            return {"id": entry.message_id, "status": entry.status, "error": _excuse(entry.status, entry.error)}
        case "typing":
            return {"at": at} if time.time() * 1000 - at < TYPING_LASTS else None
        case "message":
            return _message(entry)
    return {"at": at}


def _message(entry: LiveEntry) -> dict[str, Any] | None:
    if entry.record is None:
        return None
    message, status = entry.record.message, entry.record.status
    return {
        "id": message.id,
        "client_id": message.external_id if message.direction == "inbound" else None,
        "author": message.author,
        "at": message.at,
        "content": outward(message.content),
        "status": status,
        "error": _excuse(status, entry.record.error),
    }


def _reader(channel: WebchatChannel) -> Holder:
    """Whose stream it is. Raises: Unverified."""
    login = request.authorization
    if login and login.type == "bearer":
        return channel.holder_of(login.token or "")
    return channel.holder_of(request.args.get("token", ""))


def _excuse(status: str, error: str) -> str:
    return EXCUSES.get(error.partition(":")[0], EXCUSE) if status == "failed" else ""


def _channel(name: str) -> WebchatChannel:
    channel = _gateway().channels.get(name)
    if not isinstance(channel, WebchatChannel):
        abort(404, f"There is no chat {name}.")
    return channel


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
