"""What a worker does now and then beside its work: it looks at Redis, and drops dead letters beyond their bounds."""

from __future__ import annotations

from app.gateway import Gateway
from app.log import logger
from app.store.server import faults_of

log = logger("care")


def look_after(gateway: Gateway) -> None:
    """Say what an operator must know. Raises: StoreUnavailable."""
    for fault in faults_of(gateway.store.server.facts(), gateway.settings.gateway["redis_checks"]):
        if fault.refused:  # it was away when we started, or it is another one now
            log.error("Redis is not fit", error=fault.sentence)
    while forgotten := gateway.store.dead_letters.trim():
        for lane, count in forgotten.items():
            log.warning("dead letters forgotten", lane=lane, count=count)
