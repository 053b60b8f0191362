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
from app.platforms.channel import TellsPrices
from app.store.mailbox import Claim, Settlement
from workers import inbound, lease

ASKED_AGAIN = 6  # times for a price, before the table's stays
ASK_AFTER = 60.0  # seconds; more with each time

log = logger("status")


def work(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    """Work the head for the channel or destination `name`. Raises: Failure, LeaseLost."""
    if name not in gateway.channels and name not in gateway.destinations:
        raise Failure(errors.MISCONFIGURED, f"{name} is no longer configured")
    if claim.kind == "close" and name in gateway.offers.threads:
        return inbound.close(gateway, name, claim)
    if claim.kind == "record":
        call = claim.item.removeprefix("record ")
        recorder = gateway.offers.recordings.get(name)
        if not (recorder and recorder.record(call, claim.uncertain, gateway.http)):
            log.info("not recorded", destination=name, call=call)
        return Settlement(claim, "done")
    if claim.kind == "price" and name in gateway.offers.prices:
        return _price(gateway, name, gateway.offers.prices[name], claim)
    reporter = gateway.offers.reports.get(name)
    if claim.message is None or reporter is None:
        return Settlement(claim, "done", lane_effect="none")  # forgotten after its retention, or nobody asks any more
    status = cast("Status", claim.item.split(" ")[2])
    error = claim.error if status == "failed" else None
    handles = claim.session.handles if claim.session else {}
    report = StatusReport(claim.message, status, error, claim.status_at, handles, claim.uncertain)
    reporter.report(report, gateway.http)
    return Settlement(claim, "done")


def _price(gateway: Gateway, name: str, channel: TellsPrices, claim: Claim) -> Settlement:
    """Ask what a message cost, part by part. While that is not known, the table's price stands."""
    message_id = claim.item.split(" ")[1]
    known = gateway.store.costs.message(message_id)
    nanos = 0
    for ref in known.refs if known else ():
        price = channel.price(ref, gateway.http)
        if price is None:
            return _not_known(gateway, name, claim)
        if price.currency != gateway.settings.costs.currency:
            gateway.store.lanes.count(f"price:{name}:another currency")
            return Settlement(claim, "done")
        nanos += price.nanos
        lease.remember(gateway, gateway.lanes[f"status:{name}"], claim)
    if known and known.refs:
        gateway.store.costs.reported(message_id, nanos)
    return Settlement(claim, "done")


def _not_known(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    if claim.attempt > ASKED_AGAIN:
        gateway.store.lanes.count(f"price:{name}:never known")
        return Settlement(claim, "done", lane_effect="none")
    error = "the platform does not know it yet"
    return Settlement(claim, "retry", reason="price", error=error, due=ASK_AFTER * claim.attempt, lane_effect="none")
