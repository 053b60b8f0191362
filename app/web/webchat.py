"""The chat page and what its browser needs besides `POST /channels/<name>`: a visitor token and the live stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Blueprint, Response, abort, current_app, jsonify, make_response, render_template, request

from app.channels.webchat import WebchatChannel
from app.core.errors import StoreUnavailable, Unverified
from app.core.message import content_to_dict, conversation_key
from app.gateway import LIVE_WAIT, Gateway
from app.store.messages import LiveEntry
from app.web.answers import problem

blueprint = Blueprint("webchat", __name__)

STREAM_FOR = 300.0  # seconds after which the browser connects anew, from where it was
MOST_STREAMS = 48  # of one process; beyond that a stream ends at once and the browser comes again in a moment
_streams = threading.BoundedSemaphore(MOST_STREAMS)


@blueprint.get("/chat/<name>")
def page(name: str) -> Any:
    """The chat page."""
    channel = _channel(name)
    response = make_response(render_template("chat.html", name=name, title=channel.title, greeting=channel.greeting))
    ancestors = " ".join(["'self'", *channel.origins])
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; img-src * data:; media-src *; frame-ancestors {ancestors}; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.post("/chat/<name>/visitor")
def visitor(name: str) -> Any:
    """A token for a new visitor: `{"token": "..."}`."""
    return jsonify(token=_channel(name).new_token())


@blueprint.get("/chat/<name>/events")
def events(name: str) -> Any:
    """The visitor's stream as server-sent events, from the beginning or after `Last-Event-ID`.

    Query: `token`. Events: `message` {id, author, at, content, status, client_id, error}, `status` {id, status, error},
    `typing` {}, `ended` {}. The id of an event is its position.
    """
    channel = _channel(name)
    try:
        customer = channel.visitor(request.args.get("token", ""))
    except Unverified as error:
        return problem(401, f"Not verified: {error}.")
    after = request.headers.get("Last-Event-ID") or request.args.get("after") or "0"
    stream = _stream(_gateway(), conversation_key(name, customer), after)
    return Response(
        stream, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@blueprint.after_app_request
def cors(response: Response) -> Response:
    """Let the sites that the channel's `origins` name use the chat's addresses, `/channels/<name>` among them."""
    channel = _gateway().channels.get((request.view_args or {}).get("name", ""))
    origin = request.headers.get("Origin", "")
    if isinstance(channel, WebchatChannel) and origin in channel.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "authorization, content-type, last-event-id"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers.add("Vary", "Origin")
    return response


def _stream(gateway: Gateway, conversation: str, after: str) -> Iterator[bytes]:
    crowded = not _streams.acquire(blocking=False)
    try:
        yield b"retry: 2000\n\n"
        rounds = 1 if crowded else int(STREAM_FOR / LIVE_WAIT)
        for _ in range(rounds):
            entries = gateway.live.live(conversation, after, 0 if crowded else LIVE_WAIT)
            for entry in entries:
                after = entry.position
                yield _event(entry)
            if not entries:
                yield b": still here\n\n"
    except StoreUnavailable:
        return  # the browser comes again by itself
    finally:
        if not crowded:
            _streams.release()


def _event(entry: LiveEntry) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        entry.position.encode(),
        entry.kind.encode(),
        orjson.dumps(_data(entry)),
    )


def _data(entry: LiveEntry) -> dict[str, Any]:
    if entry.kind == "status":
        return {"id": entry.message_id, "status": entry.status, "error": entry.error}
    if entry.record is None:
        return {}
    message = entry.record.message
    return {
        "id": message.id,
        "client_id": message.external_id if message.direction == "inbound" else None,
        "author": message.author,
        "at": message.at,
        "content": content_to_dict(message.content),
        "status": entry.record.status,
        "error": entry.record.error if entry.record.status == "failed" else "",
    }


def _channel(name: str) -> WebchatChannel:
    channel = _gateway().channels.get(name)
    if not isinstance(channel, WebchatChannel):
        abort(404, f"There is no chat {name}.")
    return channel


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
