"""The status ladder: `queued < sent < delivered < read`, or `failed`. Statuses only climb.

The store keeps the same rule in `store/scripts`, because a climb and what follows from it are one atomic
step; a property test holds the two together.
"""

from __future__ import annotations

from typing import Literal

Status = Literal["queued", "sent", "delivered", "read", "failed"]
LADDER: tuple[Status, ...] = ("queued", "sent", "delivered", "read")
STATUSES: tuple[Status, ...] = (*LADDER, "failed")
PROOF: frozenset[Status] = frozenset({"delivered", "read"})


def climbs(current: Status, reported: Status) -> bool:
    """Whether a report changes the status: it must rank higher; only proof of delivery outranks `failed`."""
    if reported == current:
        return False
    if reported == "failed":
        return current not in PROOF
    if current == "failed":
        return reported in PROOF
    return LADDER.index(reported) > LADDER.index(current)
