"""Histories of a few people, made of random steps: what the tests of forgetting let happen to them before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import orjson
import redis
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Place, Responder
from app.core.costs import Cost
from app.core.message import Direction, Message, Profile, Text, split_conversation
from app.core.session import Session
from app.core.status import STATUSES
from app.core.work import (
    WELL,
    Achieved,
    Append,
    Claim,
    Close,
    Dead,
    Deliver,
    Done,
    Handoff,
    LaneEffect,
    Outcome,
    Retry,
    SessionChange,
    ThreadState,
    item_text,
)
from app.store import Store
from app.store.buckets import Bucket
from app.store.limits import Limits
from tests.store.steps import BOT, DESK, LANES, SHOP, Drain, Held, append, declare, held, key
from tests.support.gateway import Clock

ANN, PHONE = "shop/webchat:zqann", "shop/webchat:zqann.phone"  # two addresses of one person
LONGER, BEN = "shop/webchat:zqannabel", "shop/webchat:zqben"
EVERYBODY = (ANN, PHONE, LONGER, BEN)
THEIRS = re.compile(r"zqann(?!abel)")  # in all that is said, or known, of Ann
Step = tuple[str, int, int]  # which, who, and a number that decides the rest


def opened(client: redis.Redis, clock: Clock) -> Store:
    return Store(client, Limits(session_keep=10**6), clock, {"shop": ["AC1"]})


def name_of(conversation: str) -> str:
    """Under which destinations and platforms know somebody: never one address's alone."""
    return conversation.partition(":")[2].removesuffix(".phone")


class Lives:
    """`in_hand` is what workers have claimed and not settled; `ids` are those of Ann's messages."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.client, self.store, self.clock = store.connection.client, store, clock
        self.client.flushall()
        declare(self.store, LANES)
        self.in_hand: list[Claim] = []
        self.ids = set[str]()
        self.said: dict[str, list[str]] = {one: [] for one in EVERYBODY}
        self._made = 0

    def live(self, steps: list[Step]) -> None:
        for what, who, number in steps:
            STEPS[what](self, EVERYBODY[who % len(EVERYBODY)], number)

    def message(self, who: str, direction: Direction, words: str = "says") -> Message:
        self._made += 1
        channel, customer = split_conversation(who)
        made = Message(
            id=sha256(f"message {self._made}".encode()).hexdigest()[:32],
            direction=direction,
            channel=channel,
            customer=customer,
            content=Text(f"{name_of(who)} {words} {self._made}"),
            author="customer" if direction == "inbound" else "agent",
            source="shop" if direction == "inbound" else "desk",
            at=self.clock(),
            external_id=f"EX-{name_of(who)}-{self._made}",
            profile=Profile(name=f"Ms {name_of(who)}"),
        )
        self.said.setdefault(who, []).append(made.id)
        self.ids |= {made.id} if THEIRS.search(who) else set()
        return made

    # what comes in

    def writes(self, who: str, number: int) -> None:
        made = self.message(who, "inbound")
        same = (PHONE,) if who == ANN and number % 3 == 0 else ()
        self.store.mailboxes.accept(
            Acceptance(
                entry=Append(made, BOT, report_to="shop", live=True),
                scope=f"{made.channel}:inbound:{made.customer}/{number}",
                second_scope=f"shop:token:{number}-{self._made}",
                follow=True,
                show=True,
                cost=Cost("inbound", 5, (f"SM-{name_of(who)}",)),
                same_person=same,
            )
        )

    def is_answered(self, who: str, number: int) -> None:
        """By an agent, in a thread that counts, perhaps behind a gap."""
        thread = f"CH-{name_of(who)}"
        made = replace(self.message(who, "outbound"), metadata={"chat": thread, "index": number % 5})
        self.store.mailboxes.accept(
            Acceptance(
                entry=Append(made, SHOP, report_to="desk", live=True),
                scope=f"desk:written:{thread}/{number % 5}",
                responder=Responder("desk", seize=number % 2 == 0),
                place=Place(f"desk:{thread}", DESK, number % 5),
            )
        )

    def is_sent_something(self, who: str, number: int) -> None:
        """By an application, with a key that it may repeat; perhaps to many."""
        scope = f"AC1:create:{sha256(str(number).encode()).hexdigest()}"
        entry = Append(self.message(who, "outbound"), SHOP, report_to="desk", bulk=number % 3 == 0)
        self.store.mailboxes.accept(Acceptance(entry=entry, scope=scope, second_scope=f"{scope}:{number}"))

    def opts(self, who: str, number: int) -> None:
        answer = replace(Append(self.message(who, "outbound"), SHOP, live=True), exempt=True)
        stated = ConsentStatement("out" if number % 2 else "in", f"the customer {name_of(who)}", answer)
        entry = Append(self.message(who, "inbound"), BOT)
        self.store.mailboxes.accept(Acceptance(entry=entry, follow=True, consent=stated))

    def is_reported(self, who: str, number: int) -> None:
        """By our id, by the platform's, or one that nobody knows yet."""
        ours = self.said[who][number % len(self.said[who])] if self.said[who] else f"of-{name_of(who)}"
        thread, reports = f"CH-{name_of(who)}", [(ours, f"shop:outbound:its-{ours}")]
        if self.store.sessions.resolve("desk", thread):
            reports.append((f"{thread}/{number % 5}", f"desk:inbound:{thread}/{number % 5}"))
        for ref, scope in reports:
            direction = scope.split(":")[1]
            self.store.messages.report(ref, STATUSES[number % 5], scope=scope, direction=direction, owner="", error=who)

    def ends(self, who: str, number: int) -> None:
        close = Close("customer", {"chat": f"CH-{name_of(who)}"})
        append(self.store, who, "status:desk", "status:desk", item_text(close), scope="")
        append(self.store, who, "inbound", BOT, "ended", follow=True, scope=f"shop:ended:forgotten:{who[5:]}")

    def visits(self, who: str, number: int) -> None:
        self.store.buckets.take(
            [Bucket(f"shop:message:visitor:{who[5:]}", 1), Bucket("shop:message:channel:shop", 1)]  # lapse in a minute
        )
        if number % 2:
            self.store.revocations.revoke(who, 5.0, 1_000)

    def is_not_understood(self, who: str, number: int) -> None:
        named = {"from": {"id": who[5:]}, "text": f"{name_of(who)} was here"}
        thread = {"ChannelSid": f"CH-{name_of(who)}"}
        where, body = ("shop", named) if number % 2 else ("desk", thread)
        kept = {"method": "POST", "url": "http://gw/x", "path": "", "headers": {}, "body": orjson.dumps(body).decode()}
        met = where == "shop" or self.store.sessions.resolve("desk", f"CH-{name_of(who)}")
        if met:  # who has no thread there by now cannot be told by it
            self.store.dead_letters.keep_webhook(orjson.dumps(kept).decode(), where, "unexpected", "oops")

    def is_damaged(self, who: str, number: int) -> None:
        self.client.delete(key("s", who), key("t", who))
        self.client.rpush(key("s", who), f"{name_of(who)} was here")
        self.writes(who, number)

    # what is done about it

    def is_worked(self, who: str, number: int) -> None:
        """One head of some lane; perhaps it stays in hand."""
        lane = list(LANES)[number % len(LANES)]
        each = 0.02 if number % 2 else 0.0  # it lapses in a minute
        drain = Drain(self.store, lane, f"drain-{self._made}-{number}", rate_each=each)
        claim = drain.step()
        if claim and number % 7 == 0:
            self.in_hand.append(claim)
        elif claim:
            self._achieve(claim, number)
            self.store.mailboxes.settle(self.outcome(claim, number))

    def is_asked_as_one(self, who: str, number: int) -> None:
        """What waits behind a head, with it; perhaps it stays in hand."""
        claim = Drain(self.store, BOT, f"burst-{self._made}-{number}").step()
        if claim and isinstance(claim.item, Deliver):
            behind = self.store.mailboxes.following(claim, 3).messages
            asked = (claim.item.message_id, *(one.id for one in behind))
            assert self.store.mailboxes.remember(claim, 30.0, Achieved(asked=asked))
        if claim and number % 3 == 0:
            self.in_hand.append(claim)
        elif claim:
            self._achieve(claim, number)
            self.store.mailboxes.settle(self.outcome(claim, number))

    def _achieve(self, claim: Claim, number: int) -> None:
        if number % 3 and claim.mailbox.endswith("|inbound"):
            thread = f"CH-{name_of(claim.conversation)}"
            version = claim.session.version if claim.session else 0
            self.store.mailboxes.remember(
                claim,
                30.0,
                Achieved(
                    progress={"told": name_of(claim.conversation)},
                    aliases=(f"desk:{thread}", f"desk:contact-{name_of(claim.conversation)}"),
                    session=Session("desk", "human", {"chat": thread}, {"who": claim.conversation}, version=version),
                    thread=ThreadState(f"desk:{thread}", -1),
                    poll_in=2.0,
                ),
            )

    def outcome(self, claim: Claim, number: int) -> Outcome:
        words = name_of(claim.conversation)
        lane = LaneEffect("pause", 1.0, f"throttled: {words} wrote too much") if number % 11 == 0 else WELL
        if number % 5 == 0:
            return Dead(claim, reason="rejected", error=f"no {words}", lane=lane)
        if number % 5 == 1:
            return Retry(claim, due=0.5, error=f"later, {words}", lane=lane)
        inbound = claim.mailbox.endswith("|inbound")
        thread = f"CH-{words}"
        return Done(
            claim,
            status="sent" if number % 2 else None,
            scope=f"{'desk:inbound' if inbound else 'shop:outbound'}:its-{self._id(claim)}",
            append=(Append(self.message(claim.conversation, "outbound"), SHOP, "desk", live=True),) if inbound else (),
            session=SessionChange(claim.session, changes_hands=True) if inbound and claim.session else None,
            thread=ThreadState(f"desk:{thread}", number % 4, 0) if inbound and number % 3 else None,
            poll_in=1.0 if inbound and number % 2 else None,
            front=(Handoff(),) if inbound and number % 4 == 3 else (),
            cost=Cost("turn:bot" if inbound else "outbound", 3, (f"SM-{words}",)) if self._id(claim) else None,
            show=True,
        )

    def _id(self, claim: Claim) -> str:
        return claim.item.message_id if isinstance(claim.item, Deliver) else ""

    def time_passes(self, who: str, number: int) -> None:
        self.clock.advance(number % 5)
        self.store.mailboxes.sweep()

    def work_everything(self) -> None:
        """Whatever waits is worked, until nothing does."""
        for _ in range(60):
            self.clock.advance(40)
            self.store.mailboxes.sweep()
            for lane in LANES:
                Drain(self.store, lane, f"last-{lane}").finish()
            if not held(self.client).named("q:"):
                return
        raise AssertionError("something is stranded")


STEPS: Mapping[str, Callable[[Lives, str, int], None]] = {
    "writes": Lives.writes,
    "is answered": Lives.is_answered,
    "is sent something": Lives.is_sent_something,
    "opts": Lives.opts,
    "is reported": Lives.is_reported,
    "ends": Lives.ends,
    "visits": Lives.visits,
    "is not understood": Lives.is_not_understood,
    "is damaged": Lives.is_damaged,
    "is worked": Lives.is_worked,
    "is worked at once": Lives.is_worked,
    "is worked soon": Lives.is_worked,
    "is asked as one": Lives.is_asked_as_one,
    "time passes": Lives.time_passes,
}


def is_theirs(text: str, ids: set[str]) -> bool:
    """Whether a key, field or value speaks of Ann."""
    return bool(THEIRS.search(text)) or any(one in ids for one in re.findall("[0-9a-f]{32}", text))


def texts(value: Any) -> list[str]:
    """All that stands in a value, however deep."""
    if isinstance(value, Mapping):
        return [one for pair in value.items() for part in pair for one in texts(part)]
    if isinstance(value, list | tuple | set):
        return [one for part in value for one in texts(part)]
    return [str(value)]


def left_of(found: Held, ids: set[str]) -> list[str]:
    """Every key whose name, fields or values speak of Ann."""
    return [name for name, value in found.values.items() if is_theirs(" ".join([name, *texts(value)]), ids)]


def without_theirs(found: Held, ids: set[str]) -> dict[str, Any]:
    """All that is not Ann's; of lanes without what is counted over everybody's work."""
    letters = {name[2:] for name, value in found.values.items() if name.startswith("d:") and _any(value, ids)}
    kept: dict[str, Any] = {}
    for name, value in found.values.items():
        if name in ("counts", "letters") or is_theirs(name, ids) or name[2:] in letters:
            continue
        if isinstance(value, str) and is_theirs(value, ids):
            continue
        if name.startswith("lane:"):
            value = {one: of for one, of in value.items() if one not in ("backlog", "probe", "prober", "paused_why")}
        elif isinstance(value, Mapping) and not name.startswith(("m:", "d:", "s:")):
            value = {one: of for one, of in value.items() if not is_theirs(one, ids) and one not in letters}
        if value:
            kept[name] = value
    return kept


def _any(value: Any, ids: set[str]) -> bool:
    return any(is_theirs(one, ids) for one in texts(value))
