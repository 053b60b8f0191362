"""What an operator's programs may ask, with one of `gateway.api_tokens`; closed while there is none.

Amounts are decimal numbers in strings, days are those of UTC.
"""

from __future__ import annotations

import hmac
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from app.core.address import address_of
from app.core.costs import amount_of, asked_for, summed
from app.core.errors import InvalidInput
from app.core.message import conversation_key
from app.gateway import Gateway
from app.web.answers import problem

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.before_request
def authorise() -> Response | None:
    tokens = _gateway().settings.gateway["api_tokens"]
    if not tokens:
        return problem(403, "The API is closed: gateway.api_tokens names no token.")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    known = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens]  # all of them, always
    if scheme.lower() != "bearer" or not any(known):
        message = "Must be Bearer and one of gateway.api_tokens."
        return problem(401, message, "Authorization", {"WWW-Authenticate": "Bearer"})
    if not _gateway().settings.costs.currency:
        return problem(404, "Nothing is booked: the configuration has no table costs.")
    return None


@blueprint.get("/costs")
def costs() -> Any:
    """Each day and channel with something booked, `from` and `to` included."""
    book = _gateway().store.costs
    try:
        asked = asked_for(request.args.to_dict(), _gateway().channels, book.today())
    except InvalidInput as error:
        return problem(400, error.rule, error.field)
    rows = book.days(asked.first, asked.last, asked.channel)
    return _answer(
        **{"from": asked.first.isoformat(), "to": asked.last.isoformat()},
        total=amount_of(summed(rows, "")[0].total),
        days=[{"date": row.day and row.day.isoformat(), "channel": row.channel, **row.amounts} for row in rows],
    )


@blueprint.get("/costs/messages/<message_id>")
def message_costs(message_id: str) -> Any:
    found = _gateway().store.costs.message(message_id)
    if found is None:
        return problem(404, f"There is no message {message_id} (any more).")
    return _answer(
        message_id=message_id,
        conversation=found.conversation,
        date=found.day and found.day.isoformat(),
        reported=found.reported,
        message=amount_of(found.message),
        turns=amount_of(found.turns),
        total=amount_of(found.message + found.turns),
    )


@blueprint.get("/costs/conversations/<channel>/<path:customer>")
def conversation_costs(channel: str, customer: str) -> Any:
    found = _gateway().store.costs.conversation(conversation_key(channel, address_of(customer)))
    if found is None:
        return problem(404, f"Nothing is booked for {customer} on {channel} (any more).")
    return _answer(channel=channel, customer=customer, **found.amounts)


def _answer(**values: Any) -> Response:
    return jsonify(currency=_gateway().settings.costs.currency, **values)


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
