"""One head of a status mailbox: tell the platform that a message came from what became of it, ask what it cost, or do
there what no customer has to wait for."""

from __future__ import annotations

from typing import cast

from app.core import errors
from app.core.errors import Failure
from app.core.events import StatusReport
from app.core.status import Status
from app.gateway import Gateway
from app.log import logger
from app.platforms.channel import Channel
from app.platforms.destination import Recorder
from app.store.mailbox import Claim, Settlement
from workers import inbound, lease

ASKED_AGAIN = 6  # times for a price, before the table's stays
ASK_AFTER = 60.0  # seconds; more with each time

log = logger("status")


def work(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    """Work the head for the channel or destination `name`. Raises: Failure, LeaseLost."""
    adapter = gateway.channels.get(name) or gateway.destinations.get(name)
    if adapter is None:
        raise Failure(errors.MISCONFIGURED, f"{name} is no longer configured")
    if claim.kind == "close" and name in gateway.destinations:
        return inbound.close(gateway, name, claim)
    if claim.kind == "record":
        call = claim.item.removeprefix("record ")
        if not (isinstance(adapter, Recorder) and adapter.record(call, claim.uncertain, gateway.http)):
            log.info("not recorded", destination=name, call=call)
        return Settlement(claim, "done")
    if claim.kind == "price" and name in gateway.channels:
        return _price(gateway, gateway.channels[name], claim)
    if claim.message is None:
        return Settlement(claim, "done", lane_effect="none")  # forgotten after its retention: nobody asks any more
    status = cast("Status", claim.item.split(" ")[2])
    error = claim.error if status == "failed" else None
    handles = claim.session.handles if claim.session else {}
    report = StatusReport(claim.message, status, error, claim.status_at, handles, claim.uncertain)
    adapter.report(report, gateway.http)
    return Settlement(claim, "done")


def _price(gateway: Gateway, channel: Channel, claim: Claim) -> Settlement:
    """Ask what a message cost, part by part. While that is not known, the table's price stands."""
    message_id = claim.item.split(" ")[1]
    known = gateway.store.costs.message(message_id)
    nanos = 0
    for ref in known.refs if known else ():
        price = channel.price(ref, gateway.http)
        if price is None:
            return _not_known(gateway, channel, claim)
        if price.currency != gateway.settings.costs.currency:
            gateway.store.lanes.count(f"price:{channel.name}:another currency")
            return Settlement(claim, "done")
        nanos += price.nanos
        lease.remember(gateway, gateway.lanes[f"status:{channel.name}"], claim)
    if known and known.refs:
        gateway.store.costs.reported(message_id, nanos)
    return Settlement(claim, "done")


def _not_known(gateway: Gateway, channel: Channel, claim: Claim) -> Settlement:
    if claim.attempt > ASKED_AGAIN:
        gateway.store.lanes.count(f"price:{channel.name}:never known")
        return Settlement(claim, "done", lane_effect="none")
    error = "the platform does not know it yet"
    return Settlement(claim, "retry", reason="price", error=error, due=ASK_AFTER * claim.attempt, lane_effect="none")
