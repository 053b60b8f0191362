"""Webhooks: verify, parse, accept, and only then acknowledge."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from flask import Blueprint, Request, Response, abort, current_app, request

from app.channels.base import Channel, GivesTokens
from app.core.errors import BadWebhook, Failure, StoreUnavailable, Unverified
from app.core.events import Accepted, Event, Reply, Webhook
from app.destinations.base import Destination
from app.gateway import Gateway
from app.inbox import Inbox, NotTaken, park, read
from app.log import logger
from app.web import limits, visitors
from app.web.answers import problem, reply, try_again

blueprint = Blueprint("receive", __name__)
log = logger("receiver")

MIME_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,128}")
SHOWN = ("image", "audio", "video")
WITH_SCRIPTS = ("image/svg+xml",)
CAREFUL = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=60",
}


@blueprint.route("/channels/<name>", methods=["GET", "POST"])
@blueprint.route("/channels/<name>/<path:rest>", methods=["GET", "POST"])
def channel(name: str, rest: str = "") -> Response:
    """A webhook of a channel's platform."""
    gateway = _gateway()
    adapter = gateway.channels.get(name)
    if adapter is None:
        return problem(404, f"There is no channel {name}.")
    if request.method not in adapter.methods:
        allowed = ", ".join(adapter.methods)
        return problem(405, f"This channel's webhooks come by {allowed}.", headers={"Allow": allowed})
    if gateway.settings.channels[name].values.get("verification") == "none" and not _from_loopback():
        return problem(403, "This channel is not verified and takes webhooks from loopback only.")
    return _receive(gateway, name, adapter, lambda status, text, field: problem(status, text, field))


@blueprint.route("/destinations/<name>", methods=["POST"])
@blueprint.route("/destinations/<name>/<path:rest>", methods=["POST"])
def destination(name: str, rest: str = "") -> Response:
    """A callback of a destination's platform."""
    gateway = _gateway()
    adapter = gateway.destinations.get(name)
    if adapter is None:
        return problem(404, f"There is no destination {name}.")

    def refuse(status: int, text: str, field: str) -> Response:
        return reply(adapter.refuse(webhook_of(gateway), status, f"{field}: {text}" if field else text))

    return _receive(gateway, name, adapter, refuse)


@blueprint.get("/channels/<name>/media/<token>")
def customers_file(name: str, token: str) -> Response:
    """A file that a customer sent, for a while and for whoever has the link."""
    return _file(_gateway().channels.get(name), name, token)


@blueprint.get("/destinations/<name>/media/<token>")
def agents_file(name: str, token: str) -> Response:
    """A file that a destination's message shows, for a while and for whoever has the link."""
    return _file(_gateway().destinations.get(name), name, token)


def _file(adapter: Channel | Destination | None, name: str, token: str) -> Response:
    """The file, or off to where its platform has it at this moment."""
    try:
        if adapter is None:
            raise Unverified(f"there is no {name}")
        found = adapter.media(token, _gateway().http)
    except Unverified:
        return problem(404, "This link is not valid, or not any more.")
    except Failure as failure:
        log.warning("file not had", name=name, kind=failure.kind.code, error=failure.detail)
        return try_again(502, "The file cannot be had at the moment.", 10)
    if isinstance(found, str):
        return reply(Reply(302, "", {"Location": found, "Cache-Control": "private, max-age=60"}))
    return reply(Reply(200, found.body, {**CAREFUL, **_how_to_show(found.mime_type)}))


def _how_to_show(mime_type: str) -> dict[str, str]:
    """What a stranger sent is shown only where it can carry no script; browsers are to save the rest."""
    kind = mime_type.partition(";")[0].strip().lower()
    known = MIME_TYPE.fullmatch(kind)
    shown = known and kind.partition("/")[0] in SHOWN and kind not in WITH_SCRIPTS
    return {
        "Content-Type": kind if known else "application/octet-stream",
        "Content-Disposition": "inline" if shown else "attachment",
    }


def webhook_of(gateway: Gateway) -> Webhook:
    """The request as adapters see it: the URL is the public one, never one made from a Host header."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # each look through the proxy is a search
    environ, path = asked.environ, asked.path
    query = environ.get("QUERY_STRING", "")
    url = gateway.settings.gateway["public_url"] + path + (f"?{query}" if query else "")
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    body = asked.get_data()
    if asked.content_length is None and len(body) >= gateway.settings.gateway["max_body"]:
        abort(413)  # where no length was announced, werkzeug cuts the body there in silence
    return Webhook(asked.method, url, path, headers, body)


def _receive(
    gateway: Gateway,
    name: str,
    adapter: Channel | Destination,
    refuse: Callable[[int, str, str], Response],
) -> Response:
    webhook = webhook_of(gateway)
    try:
        adapter.verify(webhook)
        if isinstance(adapter, GivesTokens):
            visitors.check(gateway, name, adapter.holder(webhook))
    except Unverified as error:
        log.warning("webhook refused", name=name, reason=str(error))
        return refuse(401, f"Not verified: {error}.", "")
    try:
        events = read(gateway, name, webhook)
        if gateway.call_limits.get(name):
            limits.ask_for(name, events, len(webhook.body))
        accepted = accept(gateway, name, events)
    except BadWebhook as error:
        return refuse(400, error.rule, error.field)
    except NotTaken as error:
        if error.retry_after is None:
            return refuse(error.status, str(error), "")
        return try_again(error.status, str(error), error.retry_after)
    except StoreUnavailable:
        raise  # nothing can be recorded, so nothing is acknowledged
    except Exception as error:  # a bug of ours must not lose what the platform said
        letter = park(gateway, name, webhook, error)
        log.error("webhook parked", name=name, letter=letter, exc_info=error)
        return reply(Reply(202, {"parked": letter}))
    return reply(adapter.acknowledge(webhook, accepted))


def accept(gateway: Gateway, name: str, events: Sequence[Event]) -> list[Accepted]:
    """Record the events of a channel or destination, and wake who works them. Raises: NotTaken, StoreUnavailable."""
    inbox = Inbox(gateway)
    try:
        return [inbox.accept(name, event) for event in events]
    finally:
        gateway.publisher.publish(inbox.wakes)


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway


def _from_loopback() -> bool:
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
