"""One head of a mailbox in the lane of reports: tell the platform that a message came from what became of it, ask what
it cost, or do there what no customer has to wait for."""

from __future__ import annotations

from app.core import errors
from app.core.errors import Failure
from app.core.events import StatusReport
from app.core.lane import SILENT
from app.core.message import Message
from app.core.status import Status
from app.core.work import Achieved, AskPrice, Claim, Close, Done, Outcome, Record, Report, Retry
from app.gateway import Gateway
from app.log import logger
from app.platforms.offers import Reports
from workers import lease, threads

MAX_ASKED_AGAIN = 6  # times for a price, before the table's stays
ASK_AFTER = 60.0  # seconds; more with each time

log = logger("status")


def work(gateway: Gateway, name: str, claim: Claim) -> Outcome:
    """Work the head for the channel or destination `name`. Raises: Failure, LeaseLost."""
    if name not in gateway.channels and name not in gateway.destinations:
        raise Failure(errors.MISCONFIGURED, f"{name} is no longer configured")
    match claim.item:
        case Report(_, status) if claim.message and name in gateway.offers.reports:
            return _report(gateway, gateway.offers.reports[name], claim, claim.message, status)
        case Close() as close if name in gateway.offers.threads:
            return threads.closed(gateway, name, claim, close)
        case Record(call):
            return _record(gateway, name, claim, call)
        case AskPrice(message_id) if name in gateway.offers.prices:
            return _price(gateway, name, claim, message_id)
    return Done(claim, lane=SILENT)  # forgotten after its retention, or nobody asks any more


def _report(gateway: Gateway, reporter: Reports, claim: Claim, message: Message, status: Status) -> Outcome:
    error = claim.error if status == "failed" else None
    handles = claim.session.handles if claim.session else {}
    told = StatusReport(message, status, error, claim.status_at, handles, claim.uncertain)
    reporter.report(told, gateway.http)
    return Done(claim)


def _record(gateway: Gateway, name: str, claim: Claim, call: str) -> Outcome:
    recorder = gateway.offers.recordings.get(name)
    if not (recorder and recorder.record(call, claim.uncertain, gateway.http)):
        log.info("not recorded", destination=name, call=call)
    return Done(claim)


def _price(gateway: Gateway, name: str, claim: Claim, message_id: str) -> Outcome:
    """Ask what a message cost, part by part. While that is not known, the table's price stands."""
    known = gateway.store.costs.message(message_id)
    nanos = 0
    for ref in known.refs if known else ():
        price = gateway.offers.prices[name].price(ref, gateway.http)
        if price is None:
            return _not_known(gateway, name, claim)
        if price.currency != gateway.settings.costs.currency:
            gateway.store.lanes.count(f"price:{name}:another currency")
            return Done(claim)
        nanos += price.nanos
        lease.remember(gateway, gateway.lanes[f"status:{name}"], claim, Achieved())
    if known and known.refs:
        gateway.store.costs.reported(message_id, nanos)
    return Done(claim)


def _not_known(gateway: Gateway, name: str, claim: Claim) -> Outcome:
    if claim.attempt > MAX_ASKED_AGAIN:
        gateway.store.lanes.count(f"price:{name}:never known")
        return Done(claim, lane=SILENT)
    error = "the platform does not know it yet"
    return Retry(claim, reason="price", error=error, due=ASK_AFTER * claim.attempt, lane=SILENT)
