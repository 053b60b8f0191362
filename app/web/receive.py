"""Webhooks: verify, parse, accept, and only then acknowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, Request, Response, current_app, request

from app.core.errors import BadWebhook, StoreUnavailable, Unverified
from app.core.events import Accepted, Event, Reply, Webhook
from app.gateway import RECEIVER_TIMEOUT, Gateway
from app.inbox import Inbox, NotTaken, read
from app.log import logger
from app.parked import park
from app.web import limits, visitors
from app.web.answers import problem, reply, try_again
from app.web.loopback import is_from_this_machine
from app.web.slashes import AS_WRITTEN
from app.written import recognised_for

blueprint = Blueprint("receive", __name__)
log = logger("receiver")

NOT_FROM_HERE = (
    "This channel is not verified: it takes webhooks from this machine only, sent to a name of loopback, and neither "
    "through a proxy nor from a web page."
)

SENDS_NONE = "Not verified: this destination answers at once and sends no webhooks."


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
    if gateway.settings.channels[name].values.get("verification") == "none" and not is_from_this_machine(request):
        return problem(403, NOT_FROM_HERE)
    return _receive(gateway, name, lambda status, text, field: problem(status, text, field))


@blueprint.route("/destinations/<name>", methods=["POST"])
@blueprint.route("/destinations/<name>/<path:rest>", methods=["POST"])
def destination(name: str, rest: str = "") -> Response:
    """A callback of a destination's platform."""
    gateway = _gateway()
    if name not in gateway.destinations:
        return problem(404, f"There is no destination {name}.")
    if name not in gateway.offers.webhooks:
        return problem(401, SENDS_NONE)
    adapter = gateway.offers.refusals.get(name)

    def refuse(status: int, text: str, field: str) -> Response:
        if adapter is None:
            return problem(status, text, field)
        return reply(adapter.refuse(webhook_of(gateway), status, f"{field}: {text}" if field else text))

    return _receive(gateway, name, refuse)


def webhook_of(gateway: Gateway) -> Webhook:
    """The request as adapters see it: the URL is the public one, never one made from a Host header."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # each look through the proxy is a search
    environ, path = asked.environ, asked.path
    query = environ.get("QUERY_STRING", "")
    url = gateway.settings.gateway["public_url"] + environ.get(AS_WRITTEN, path) + (f"?{query}" if query else "")
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Webhook(asked.method, url, path, headers, asked.get_data())


def _receive(
    gateway: Gateway,
    name: str,
    refuse: Callable[[int, str, str], Response],
) -> Response:
    webhook, adapter = webhook_of(gateway), gateway.offers.webhooks[name]
    try:
        adapter.verify(webhook)
        if giver := gateway.offers.tokens.get(name):
            visitors.check(gateway, name, giver.holder(webhook))
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
    inbox, accepted = Inbox(gateway), list[Accepted]()
    try:
        for event in events:
            accepted.append(inbox.accept(name, event))
        return accepted
    except StoreUnavailable as error:
        error.maybe_done = error.maybe_done or bool(accepted)
        if error.maybe_done:
            error.again = _again(min(recognised_for(gateway, name, event) for event in events))
        raise
    finally:
        gateway.publisher.publish(inbox.wakes)


def _again(window: float) -> int:
    """Seconds after which one whose outcome is unknown should come again: within the window in which it is recognised,
    of which our own waiting has taken a part."""
    return max(1, min(StoreUnavailable.again, int(window - RECEIVER_TIMEOUT) - 1))


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
