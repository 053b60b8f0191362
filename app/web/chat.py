"""The chat page of a channel that has one (`app.platforms.channel.HasChatPage`), and what its browser needs besides
`POST /channels/<name>`: a visitor token, and its live stream.

Addresses are written into logs, so the token never stands in one: a ticket, good for a minute, opens the stream.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, make_response, render_template, request

from app.core.errors import Unverified
from app.core.events import Ended
from app.core.message import conversation_key
from app.gateway import Gateway
from app.inbox import accept
from app.platforms.channel import HasChatPage, Holder
from app.web import limits, streams, visitors
from app.web.answers import problem
from app.web.caller import address_of_caller
from app.web.receive import webhook_of

blueprint = Blueprint("chat", __name__)

POSITION = re.compile(r"\d{1,19}(-\d{1,19})?", re.ASCII)

blueprint.record_once(lambda _: streams.watch())


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
    response.headers["Referrer-Policy"] = "no-referrer"
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
    limits.ask(name, "forget", customer)
    visitors.revoke(gateway, name, channel, customer)
    # always, for a first message may still wait that begins a session; and once, however often they ask
    accept(gateway, name, [Ended(external_id=f"forgotten:{customer}", customer=customer)])
    return Response(status=204)


@blueprint.post("/chat/<name>/ticket")
def ticket(name: str) -> Any:
    """What opens the stream of the visitor whose token is the bearer's: `{"ticket": "...", "seconds": 60}`."""
    channel, gateway = _channel(name), _gateway()
    try:
        holder = channel.holder(webhook_of(gateway))
        visitors.check(gateway, name, holder)
    except Unverified as error:
        return problem(401, f"Not verified: {error}.")
    limits.ask(name, "ticket", holder.customer)
    response = jsonify(ticket=channel.new_ticket(holder.customer), seconds=channel.ticket_seconds)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/chat/<name>/events")
def events(name: str) -> Any:
    """The visitor's stream as server-sent events, from the beginning or after `Last-Event-ID`.

    Query: `ticket` (see above; a visitor's token is refused there), unless the token is the bearer's, as programs have
    it; `after`, a position for browsers that cannot set the header. A position that is none means the beginning.
    Events, each with its position as id:

    - `message` {id, client_id, author, at, content, status, error}: `client_id` is the id that the visitor's page gave
      to their own message, null for what is written to them; `author` customer, bot, agent or system; `at` Unix
      milliseconds; `status` the present one; `error` a sentence for the visitor if it is `failed`
    - `status` {id, status, error}: a message's status climbed
    - `typing` {at}: somebody is typing; left out once it is no longer true
    - `ended` {at}: the session is over

    Besides, without a position, `ready` {}: everything that was there when the browser came has been sent; and `again`
    {seconds}: this answer is over, with or without that, and the browser is to come again, with another ticket.
    """
    channel, gateway = _channel(name), _gateway()
    try:
        holder = _reader(channel)
        visitors.check(gateway, name, holder)
    except Unverified as error:
        return problem(401, f"Not verified: {error}.")
    limits.ask(name, "stream", holder.customer)
    after = request.headers.get("Last-Event-ID") or request.args.get("after") or ""
    position = after if POSITION.fullmatch(after) else "0"
    conversation = conversation_key(name, holder.customer)
    forgotten = partial(visitors.is_forgotten, gateway, name, holder)
    return Response(
        streams.stream(gateway, conversation, position, address_of_caller(), forgotten),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@blueprint.after_app_request
def cors(response: Response) -> Response:
    """Let the sites that the channel's `origins` name use the chat's addresses, `/channels/<name>` among them."""
    channel = _gateway().offers.pages.get((request.view_args or {}).get("name", ""))
    if channel is None or not channel.origins:
        return response
    if request.endpoint != "receive.channel" and request.blueprint != blueprint.name:
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


def _reader(channel: HasChatPage) -> Holder:
    """Whose stream it is. Raises: Unverified."""
    if "Authorization" in request.headers:
        return channel.holder(webhook_of(_gateway()))
    return channel.reader(request.args.get("ticket", ""))


def _channel(name: str) -> HasChatPage:
    channel = _gateway().offers.pages.get(name)
    if channel is None:
        abort(404, f"There is no chat {name}.")
    return channel


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
