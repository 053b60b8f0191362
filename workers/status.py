"""One head of a status mailbox: tell the platform that a message came from what became of it, or do there what no
customer has to wait for."""

from __future__ import annotations

from typing import cast

from app.core import errors
from app.core.errors import Failure
from app.core.events import StatusReport
from app.core.status import Status
from app.destinations.base import Recorder
from app.gateway import Gateway
from app.log import logger
from app.store.mailbox import Claim, Settlement
from workers import inbound

log = logger("status")


def work(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    """Work the head for the channel or destination `name`. Raises: Failure."""
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
    if claim.message is None:
        return Settlement(claim, "done", lane_effect="none")  # forgotten after its retention: nobody asks any more
    status = cast("Status", claim.item.split(" ")[2])
    error = claim.error if status == "failed" else None
    handles = claim.session.handles if claim.session else {}
    report = StatusReport(claim.message, status, error, claim.status_at, handles, claim.uncertain)
    adapter.report(report, gateway.http)
    return Settlement(claim, "done")
