"""Webhooks: verify, parse, accept, and only then acknowledge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request

from app.core.errors import BadWebhook, StoreUnavailable, Unverified
from app.core.events import Reply, Webhook
from app.gateway import Gateway
from app.inbox import NotTaken, read
from app.log import logger
from app.parked import park
from app.spool import Spool
from app.web import spooling, visitors
from app.web.answers import problem, reply, try_again
from app.web.loopback import is_from_this_machine
from app.web.slashes import AS_WRITTEN

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
    return _answer(gateway, name)


@blueprint.route("/destinations/<name>", methods=["POST"])
@blueprint.route("/destinations/<name>/<path:rest>", methods=["POST"])
def destination(name: str, rest: str = "") -> Response:
    """A callback of a destination's platform."""
    gateway = _gateway()
    if name not in gateway.destinations:
        return problem(404, f"There is no destination {name}.")
    if name not in gateway.offers.webhooks:
        return problem(401, SENDS_NONE)
    return _answer(gateway, name)


def _answer(gateway: Gateway, name: str) -> Response:
    answer = receive(gateway, _spool(), name, webhook_of(gateway))
    return reply(answer) if isinstance(answer, Reply) else answer


def webhook_of(gateway: Gateway) -> Webhook:
    """The request that Flask is at."""
    return as_webhook(gateway, request.environ, request.path, request.get_data())


def as_webhook(gateway: Gateway, environ: Mapping[str, Any], path: str, body: bytes) -> Webhook:
    """A request as adapters see it: the URL is the public one, never one made from a Host header."""
    query = environ.get("QUERY_STRING", "")
    url = gateway.settings.gateway["public_url"] + environ.get(AS_WRITTEN, path) + (f"?{query}" if query else "")
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Webhook(environ["REQUEST_METHOD"].upper(), url, path, headers, body)


def receive(gateway: Gateway, spool: Spool | None, name: str, webhook: Webhook) -> Reply | Response:
    """The answer to a webhook of the channel or destination `name`, its adapter's own if it is acknowledged.
    Raises: StoreUnavailable."""
    adapter = gateway.offers.webhooks[name]
    try:
        adapter.verify(webhook)
        if giver := gateway.offers.tokens.get(name):
            visitors.check(gateway, name, giver.holder(webhook))
    except Unverified as error:
        log.warning("webhook refused", name=name, reason=str(error))
        return _refused(gateway, name, webhook, 401, f"Not verified: {error}.")
    try:
        events = read(gateway, name, webhook)
        accepted = spooling.record(gateway, spool, name, webhook, events)
    except BadWebhook as error:
        return _refused(gateway, name, webhook, 400, error.rule, error.field)
    except NotTaken as error:
        if error.retry_after is None:
            return _refused(gateway, name, webhook, error.status, str(error))
        return try_again(error.status, str(error), error.retry_after)
    except StoreUnavailable:
        raise  # nothing can be recorded, so nothing is acknowledged
    except Exception as error:  # a bug of ours must not lose what the platform said
        letter = park(gateway, name, webhook, error)
        log.error("webhook parked", name=name, letter=letter, exc_info=error)
        return Reply(202, {"parked": letter})
    return adapter.acknowledge(webhook, accepted)


def _refused(gateway: Gateway, name: str, webhook: Webhook, status: int, text: str, field: str = "") -> Response:
    """In the words of its platform, where it has its own."""
    adapter = gateway.offers.refusals.get(name)
    if adapter is None:
        return problem(status, text, field)
    return reply(adapter.refuse(webhook, status, f"{field}: {text}" if field else text))


def _spool() -> Spool | None:
    spool: Spool | None = current_app.extensions["patchbay-spool"]
    return spool


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
