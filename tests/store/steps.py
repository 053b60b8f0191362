"""What the store's tests do again and again: write messages, drain a lane step by step, look at the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from app.core.acceptance import Acceptance, Entered
from app.core.lane import LaneEffect, Seen
from app.core.message import Direction, Message, Text, split_conversation
from app.core.work import Append, AppendItem, Claim, Done, Item, Outcome, Wake, item_of, item_text, mailbox_of
from app.store import Store
from app.store.mailbox import Solitude, Worked

ANN, BEN = "shop/webchat:ann", "shop/webchat:ben"
BOT, DESK, SHOP = "inbound:bot", "inbound:desk", "outbound:shop"
LANES = dict.fromkeys([BOT, DESK, SHOP, "status:shop", "status:desk"], 50)
DECLARED = {"lanes", *(f"lane:{lane}" for lane in LANES)}  # the keys of lanes that are idle
PREFIX = "{patchbay}:"
SICK = LaneEffect("sick")


def message(number: int, conversation: str = ANN, direction: Direction = "inbound") -> Message:
    channel, customer = split_conversation(conversation)
    return Message(
        id=f"{number:032x}",
        direction=direction,
        channel=channel,
        customer=customer,
        content=Text(f"text {number}"),
        author="customer" if direction == "inbound" else "bot",
        source="shop" if direction == "inbound" else "desk",
        at=1_800_000_000_000,
    )


def entry(
    number: int,
    conversation: str = ANN,
    direction: Direction = "inbound",
    *,
    lane: str = "",
    report_to: str = "",
    live: bool = False,
) -> Append:
    lane = lane or (BOT if direction == "inbound" else SHOP)
    return Append(message(number, conversation, direction), lane, report_to, live)


def declare(store: Store, paces: Mapping[str, int]) -> None:
    """Lanes that have found their pace already, and cannot exceed it."""
    store.lanes.declare(paces)
    for lane, pace in paces.items():
        store.connection.client.hset(key("lane", lane), "pace", pace)


def write(store: Store, number: int, conversation: str = ANN, **options: Any) -> Entered:
    """Accept message `number` from a customer, with that number as its external id."""
    given = {name: options.pop(name) for name in ("direction", "lane", "report_to", "live") if name in options}
    options.setdefault("scope", f"shop:inbound:{number}")
    return store.mailboxes.accept(Acceptance(entry=entry(number, conversation, **given), **options))


def append(
    store: Store, conversation: str, direction: str, lane: str, text: str, *, follow: bool = False, scope: str = ""
) -> tuple[Wake, ...] | None:
    """Put the item with that text into a mailbox."""
    found = AppendItem(mailbox_of(conversation, direction), lane, item_of(text), scope)
    return store.mailboxes.append(found, follow=follow)


class Drain:
    """One drain of one lane; `worked` is the answer to its last step."""

    def __init__(
        self,
        store: Store,
        lane: str = BOT,
        token: str = "a-token",
        *,
        lease: float = 30.0,
        rate: float = 0.0,
        expire_after: float = 0.0,
        rate_each: float = 0.0,
    ) -> None:
        self._store = store
        self.lane = lane
        self.token = token
        self._lease = lease
        self._rate = rate
        self._expire_after = expire_after
        self._rate_each = rate_each
        self.worked = Worked(None, ())

    def step(
        self,
        outcome: Outcome | None = None,
        *,
        go_on: bool = True,
        crowded: bool = False,
        seen: Seen | None = None,
        solitude: Solitude = "kept",
    ) -> Claim | None:
        """Settle and claim; None if nothing was claimed."""
        self.worked = self._store.mailboxes.work(
            *(self.lane, self.token, outcome),
            lease=self._lease,
            rate=self._rate,
            expire_after=self._expire_after,
            rate_each=self._rate_each,
            go_on=go_on,
            crowded=crowded,
            seen=seen,
            solitude=solitude,
        )
        return self.worked.claim

    def claim(self) -> Claim:
        """Claim what must be there."""
        claim = self.step()
        assert claim is not None, "nothing was claimed"
        return claim

    def finish(self) -> list[str]:
        """Work everything that is due, always done; the items in their order."""
        worked = []
        claim = self.step()
        while claim:
            worked.append(item_text(claim.item))
            claim = self.step(Done(claim))
        return worked


def key(*parts: str) -> str:
    return PREFIX + ":".join(parts)


def keys(client: redis.Redis, pattern: str = "*") -> set[str]:
    """The names of the keys, without their prefix."""
    return {name.removeprefix(PREFIX) for name in client.keys(PREFIX.replace("{", "[{]") + pattern)}


def item(number: int) -> str:
    """The text of a message's item."""
    return f"message {number:032x}"


def items(*texts: str) -> tuple[Item, ...]:
    return tuple(item_of(text) for text in texts)


def queued(client: redis.Redis, mailbox: str) -> list[str]:
    return list(client.lrange(key("q", mailbox), 0, -1))


def lanes_of(wakes: tuple[Wake, ...]) -> list[str]:
    return [wake.lane for wake in wakes]


READ = """
local READ = {
    string = function(key) return redis.call('GET', key) end,
    hash = function(key) return redis.call('HGETALL', key) end,
    list = function(key) return redis.call('LRANGE', key, 0, -1) end,
    zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
    set = function(key) return redis.call('SMEMBERS', key) end,
    stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
}
local held = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
    local kind = redis.call('TYPE', key).ok
    held[#held + 1] = {key, kind, redis.call('TTL', key), READ[kind](key)}
end
return held
"""


@dataclass(frozen=True)
class Held:
    """Everything that the store holds, by the keys' names without their prefix; `expiries` in seconds, -1 for never.
    Hashes are dicts, sorted sets are dicts of scores."""

    values: dict[str, Any]
    expiries: dict[str, int]

    def scores(self, *name: str) -> dict[str, int]:
        return {member: int(score) for member, score in self.values.get(":".join(name), {}).items()}

    def named(self, prefix: str) -> set[str]:
        return {name for name in self.values if name.startswith(prefix)}


def held(client: redis.Redis) -> Held:
    """In one round trip: state machines ask after each step."""
    rows = client.eval(READ, 0, PREFIX.replace("{", "[{]") + "*")
    names = [row[0].removeprefix(PREFIX) for row in rows]
    values = [_paired(row[3]) if row[1] in ("hash", "zset") else row[3] for row in rows]
    return Held(dict(zip(names, values, strict=True)), dict(zip(names, [row[2] for row in rows], strict=True)))


def snapshot(client: redis.Redis) -> dict[str, Any]:
    """To see that nothing changed."""
    return held(client).values


def _paired(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
