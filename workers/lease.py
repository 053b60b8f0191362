"""The lease of a head that is worked: patience while Redis is away, as long as nobody else can have it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from app.core.errors import StoreUnavailable
from app.core.work import Achieved, Claim
from app.gateway import Gateway, Lane
from app.outage import Patience

AGAIN = 0.2  # seconds

T = TypeVar("T")


class LeaseLost(Exception):
    """Another drain holds the mailbox; whatever we did, it decides now."""


def insist(call: Callable[[], T], lane: Lane) -> T:
    """Tell the store what was done at a platform, again and again while Redis is out of reach: to throw it away would
    be to do it twice. Done twice here, the second one is stale and changes nothing.

    Raises:
        StoreUnavailable: for as long as a lease lasts.
    """
    until, patience = time.monotonic() + lane.lease, Patience(AGAIN)
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() > until:
                raise
            patience.failed()
            time.sleep(patience.left)


def remember(gateway: Gateway, lane: Lane, claim: Claim, achieved: Achieved) -> None:
    """Renew the lease, and keep how far the work has come.

    Raises:
        LeaseLost: nothing may be settled any more.
        StoreUnavailable: see `insist`.
    """
    if not insist(lambda: gateway.store.mailboxes.remember(claim, lane.lease, achieved), lane):
        raise LeaseLost
