"""The leases of the heads that this process has in hand: short ones, which the tick renews.

So what a killed worker held is free within seconds, however long a call of its lane may take. While Redis is away
nobody can renew or settle anything, so whoever sweeps first afterwards spares what ran out meanwhile (`workers.tick`),
and what was done at a platform is told again and again: to throw it away would be to do it twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from app.core.errors import StoreUnavailable
from app.core.work import Achieved, Claim
from app.gateway import Gateway, Lane
from app.outage import Patience

SHORT = 8.0  # seconds
RENEW_EVERY = SHORT / 4
AGAIN = 0.2  # seconds
LAST_TRIES = 2.0  # seconds for which a worker that is to end still tries to reach Redis

T = TypeVar("T")


class LeaseLost(Exception):
    """Another drain holds the mailbox; whatever we did, it decides now."""


class Hands:
    """What this process has in hand. A head that takes longer than it ever may is let go of."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Claim, float]] = {}  # by owner, with the time until which it may take

    def hold(self, claim: Claim, lane: Lane) -> None:
        self._held[claim.owner] = (claim, time.monotonic() + lane.lease)

    def let_go(self, claim: Claim) -> None:
        self._held.pop(claim.owner, None)

    def renew(self, gateway: Gateway) -> None:
        """Raises: StoreUnavailable."""
        for claim, until in [*self._held.values()]:
            if time.monotonic() < until:
                gateway.store.mailboxes.remember(claim, SHORT, Achieved())


HANDS = Hands()
stopping = threading.Event()
"""This process is to end; see `ends`."""
ends_at = float("inf")


def ends() -> None:
    """What is in hand is finished, no more; Redis is waited for only a little."""
    global ends_at
    ends_at = time.monotonic() + LAST_TRIES
    stopping.set()


def lease_of(lane: Lane) -> float:
    """Seconds."""
    return min(SHORT, lane.lease)


def insist(call: Callable[[], T], *, for_ever: bool = False) -> T:
    """Tell the store what was done at a platform, again and again while Redis is out of reach. Done twice here, the
    second one is stale and changes nothing.

    Args:
        for_ever: until somebody kills this process.

    Raises:
        StoreUnavailable: this process ends.
    """
    patience = Patience(AGAIN)
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() > ends_at and not for_ever:
                raise
            patience.failed()
            time.sleep(patience.left)


def remember(gateway: Gateway, lane: Lane, claim: Claim, achieved: Achieved) -> None:
    """Renew the lease, and keep how far the work has come.

    Raises:
        LeaseLost: nothing may be settled any more.
        StoreUnavailable: see `insist`.
    """
    HANDS.hold(claim, lane)
    if not insist(lambda: gateway.store.mailboxes.remember(claim, lease_of(lane), achieved)):
        raise LeaseLost
