"""How often callers may come: whoever may open a chat must not fill the memory, nor take it from other channels.

A channel whose callers need no credentials has limits by default, others where their tables say so: what is signed
costs no look at a bucket. A caller who meets a limit hears which one, and when to come again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from flask import current_app

from app.core.events import Event
from app.gateway import Gateway
from app.inbox import NotTaken
from app.store.buckets import Bucket
from app.web.caller import address_of_caller

TOKEN_BYTES = 1024  # a larger request takes a token for each of them
# What a visitor reads is bounded by their own bucket and by the places for streams. Behind one address there may be an
# office with many idle windows: they must not use up what its people write with.
READS = ("ticket", "stream")
WHOSE = {
    "visitor": "Too many requests of this visitor",
    "address": "Too many requests from this address",
    "channel": "Too many requests on this channel",
}


def ask(name: str, what: str, visitor: str = "", size: int = 0) -> None:
    """Take what one request costs from all the buckets that it belongs to: the visitor's, and unless it only reads
    those of the address and the channel.

    Args:
        name: of the channel.
        what: `message`, `visitor` (a new token), `forget`, `ticket` or `stream`; each has buckets of its own.
        visitor: the customer's address, '' before there is one.
        size: bytes that are to be kept.

    Raises:
        NotTaken: one of them holds too little.
        StoreUnavailable
    """
    gateway: Gateway = current_app.extensions["patchbay"]
    limits = gateway.call_limits[name]
    if not limits:
        return
    who = {"visitor": visitor, "address": address_of_caller(), "channel": name}
    cost = max(1, ceil(size / TOKEN_BYTES))
    buckets = [
        Bucket(f"{name}:{what}:{kind}:{who[kind]}", a_minute, cost, f"limited:{name}:{kind}")
        for kind, a_minute in limits.items()
        if who[kind] and (kind == "visitor" or what not in READS)
    ]
    if not buckets:
        return
    short = gateway.store.buckets.take(buckets)
    if short:
        kind = short.bucket.counted.rpartition(":")[2]
        counted = f", and one of {cost} KB counts as {cost}" if cost > 1 else ""
        sentence = f"{WHOSE[kind]}: at most {short.bucket.a_minute} a minute{counted}."
        raise NotTaken(429, sentence, ceil(short.seconds))


def ask_for(name: str, events: Sequence[Event], size: int) -> None:
    """Ask for a webhook of a channel, whose body has `size` bytes. Raises: as `ask`."""
    customers = (getattr(event, "customer", None) for event in events)
    ask(name, "message", next(filter(None, customers), ""), size)
