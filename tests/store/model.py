"""The engine as plain Python: what the scripts must do, written a second time without Redis.

Every method answers what the store must answer; tokens and owners are named by the store and told to the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import ceil

from app.core.acceptance import Place
from app.core.lane import Seen
from app.core.status import Status, climbs
from app.core.work import (
    Append,
    AppendItem,
    Behind,
    Claim,
    Dead,
    Outcome,
    Reroute,
    Retry,
    SessionChange,
    ThreadState,
    item_text,
)
from app.store.limits import Limits
from app.store.mailbox import Solitude
from tests.store.paces import MOST, Pace

WAKE_MS = 5_000
LOOK_AGAIN_MS = 3_600_000
POISON_TRIES = 3
SET_ASIDE_MS = 1_000
BULK_EVERY = 10


@dataclass
class Box:
    """A mailbox that holds something: `until` is the end of its lease, if `owner` has one."""

    lane: str
    due: int
    items: list[str] = field(default_factory=list)
    owner: str | None = None
    until: int = 0
    claims: int = 0
    alone: int = 0  # tries of those in which nothing else was in hand
    attempts: int = 0
    uncertain: bool = False
    progress: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # the head and the messages behind it that are asked with it

    def drop_head(self) -> str:
        self.asked = []
        self.claims, self.alone, self.attempts, self.uncertain, self.progress = 0, 0, 0, False, {}
        self.owner = None
        return self.items.pop(0)


@dataclass
class Lane:
    pace: Pace
    rate: float = 0.0
    expire: int = 0  # ms after which what waits in it expires
    drains: dict[str, int] = field(default_factory=dict)
    paused_until: int = 0
    failures: int = 0
    opened: int = 0
    probe: int = 0
    prober: str = ""
    tokens: float | None = None
    tokens_at: int = 0
    bulk: int | None = None  # replies since the last broadcast, while some wait

    @property
    def limit(self) -> int:
        """While the breaker is open, one probe after the other decides."""
        return self.pace.cap if self.opened else self.pace.limit


@dataclass
class Known:
    """A message: `state` is `waiting`, `settled`, `dead` or `discarded`; `told` the reports appended about it. `price`
    is what it costs by itself once that is known, `turns` what questions with it cost."""

    id: str
    conversation: str
    direction: str
    report_to: str
    status: Status = "queued"
    state: str = "waiting"
    exempt: bool = False
    is_command: bool = False
    bulk: bool = False
    since: int | None = None  # it waits; None: it never expires
    told: list[str] = field(default_factory=list)
    price: int | None = None
    reported: bool = False
    turns: int = 0

    @property
    def mailbox(self) -> str:
        return f"{self.conversation}|{'bulk' if self.bulk else self.direction}"

    @property
    def cost(self) -> int:
        failed = self.direction == "outbound" and self.status == "failed" and not self.reported
        return self.turns + (0 if failed else self.price or 0)


@dataclass(frozen=True)
class DeadLetter:
    """`also` are the messages that were asked with its own."""

    mailbox: str
    lane: str
    item: str
    also: tuple[str, ...] = ()

    @property
    def messages(self) -> list[str]:
        return [self.item.removeprefix("message "), *self.also]


@dataclass(frozen=True)
class Held:
    """A session; `chat` is the one that it has open."""

    destination: str
    version: int
    chat: str = ""


@dataclass
class Chat:
    """A destination's chat: `carried` are the numbers of the messages that went to the customer's mailbox, in that
    order; `early` those of them that came behind a gap while nobody looked at the chat."""

    seen: int | None = None
    read: int = -1
    carried: list[int] = field(default_factory=list)
    early: set[int] = field(default_factory=set)

    def leaves_gap(self, index: int) -> bool:
        return self.seen is not None and index > self.seen + 1

    def saw(self, index: int) -> None:
        self.seen = index if self.seen is None else max(self.seen, index)


class Model:
    def __init__(
        self,
        lanes: dict[str, int | None],
        rates: dict[str, float],
        limits: Limits,
        now: int,
        expire: Mapping[str, float],
        each: Mapping[str, float],
    ) -> None:
        self.limits = limits
        self.now = now
        self.lanes = {
            name: Lane(Pace(cap or MOST), rates.get(name, 0.0), int(expire.get(name, 0) * 1000))
            for name, cap in lanes.items()
        }
        self.boxes: dict[str, Box] = {}
        self.each, self.made_up = each, dict[tuple[str, str], float]()
        self.messages: dict[str, Known] = {}
        self.forgotten: list[Known] = []  # with their dead letters
        self.seen: dict[str, str] = {}
        self.named: dict[str, str] = {}  # a platform's own id -> ours
        self.early: dict[str, list[Status]] = {}
        self.letters: list[DeadLetter] = []
        self.sessions: dict[str, Held] = {}
        self.chats: dict[str, Chat] = {}
        self.watch: dict[str, int] = {}
        self.out: set[str] = set()  # conversations whose customers want no messages
        self.woken: list[str] = []  # lanes for which the step that runs owes a drain

    # what the store's callers ask

    def accept(
        self,
        known: Known,
        scope: str,
        lane: str,
        *,
        follow: bool = False,
        take: str = "",
        place: Place | None = None,
        price: int | None = None,
    ) -> str:
        if scope in self.seen:
            return "duplicate"
        if place and self._comes_later(known.conversation, place):
            return "later"
        self.seen[scope] = known.id
        self.messages[known.id] = known
        session = self.sessions.get(known.conversation)
        if follow and session:
            lane = f"inbound:{session.destination}"
        if take and (session is None or session.destination != take):
            self.sessions[known.conversation] = Held(take, session.version + 1 if session else 1)
        self._enter(known, lane)
        if price is not None:
            known.price = price
            self._ask(known)
        return "ok"

    def consent(self, conversation: str, wants: bool) -> None:
        (self.out.discard if wants else self.out.add)(conversation)

    def look(self, conversation: str, place: Place) -> None:
        chat = self.chats.setdefault(place.name, Chat())
        if place.index is None or chat.leaves_gap(place.index):
            self._ask_for_a_look(conversation, place.lane)
        else:
            chat.saw(place.index)

    def report(self, message: str | None, scope: str, status: Status) -> str:
        """About one of our ids, or None, and a platform's own."""
        found = message or self.named.get(scope)
        if found is None:
            self.early.setdefault(scope, []).append(status)
            self.early[scope] = self.early[scope][-20:]
            return "early"
        return "climbed" if self._climb(found, status) else "unchanged"

    def price(self, message: str, nanos: int) -> bool:
        """What its platform charged for a message; False if nothing can be replaced."""
        known = self.messages[message]
        if known.price is not None:
            known.price, known.reported = nanos, True
        return known.price is not None

    def owns(self, claim: Claim) -> bool:
        box = self.boxes.get(claim.mailbox)
        return box is not None and box.owner == claim.owner

    def settle(self, s: Outcome, seen: Seen | None = None) -> None:
        """Only for a claim whose lease is held."""
        mailbox = s.claim.mailbox
        box = self.boxes[mailbox]
        known = self.messages.get(item_text(s.claim.item).removeprefix("message "))
        self._breaker(box.lane, s, seen.late if seen else 1.0)
        box.owner = None
        if isinstance(s, Retry):
            spent = box.claims - 1 + (s.counts and not self.lanes[box.lane].opened)
            box.attempts += spent
            box.uncertain = box.uncertain or s.uncertain or box.claims > 1
            box.claims = box.alone = 0
            box.due = self.now + int(s.due * 1000)
            return
        if isinstance(s, Reroute):
            self.boxes[mailbox] = Box(s.to, self.now, box.items)
            self._wake(s.to)
            return
        if isinstance(s, Behind):
            box.claims, box.alone, box.attempts, box.uncertain, box.progress, box.asked = 0, 0, 0, False, {}, []
            box.items[:0] = map(item_text, s.front)
            box.due = self.now
            return
        item, others = self._drop_question(box)
        if isinstance(s, Dead):
            self._bury(mailbox, box.lane, item, others)
        elif known:
            known.state = "settled"
            if s.cost and s.cost.what.startswith("turn:"):
                known.turns += s.cost.nanos
            elif s.cost:
                known.price = s.cost.nanos
            if s.scope:
                self.named[s.scope] = known.id
                for status in self.early.pop(s.scope, []):
                    self._climb(known.id, status)
            if s.status:
                self._climb(known.id, s.status)
            for other in others:
                self.messages[other].state = "settled"
                if s.status:
                    self._climb(other, s.status)
        if s.session:
            self._write_session(s.claim.conversation, s.session)
        if s.poll_in == 0:
            self.watch.pop(s.claim.conversation, None)
        elif s.poll_in:
            self.watch[s.claim.conversation] = self.now + int(s.poll_in * 1000)
        if s.thread and s.thread.seen is not None:
            chat = self.chats.setdefault(s.thread.name, Chat())
            chat.saw(s.thread.seen)
            chat.read = s.thread.read
        front = [item_text(item) for item in s.front]
        box.items[:0] = front
        for again in front:
            if again.startswith("message "):
                self.messages[again.removeprefix("message ")].state = "waiting"
        for entry in s.append:
            if isinstance(entry, AppendItem):
                self._append_item(entry)
            elif entry.message.id not in self.messages and entry.scope not in self.seen:
                self.append(entry)
        self._release(mailbox, self.now)

    def claim(
        self,
        name: str,
        token: str,
        lease: int,
        *,
        go_on: bool = True,
        crowded: bool = False,
        seen: Seen | None = None,
        solitude: Solitude = "kept",
    ) -> tuple[str, str]:
        """(`claimed`, mailbox), (`more`, '') or (`idle`, ''). `seen`: by a worker whose call went well."""
        lane = self.lanes[name]
        if crowded:
            lane.pace = lane.pace.fallen("no thread", self._leased(name), self.now)
            return self._leave(lane, token)
        self._forget_drains(lane)
        if token not in lane.drains and len(lane.drains) >= lane.limit:
            return "idle", ""
        if self._leased(name) >= lane.limit:
            return self._leave(lane, token)
        if not go_on:
            if not self._due(name):
                return self._leave(lane, token)
            lane.drains[token] = self.now + WAKE_MS
            return "more", ""
        if lane.paused_until > self.now or (lane.opened and lane.probe > self.now):
            return self._leave(lane, token)
        calls = lane.rate and self._due(name)
        if calls and not self._spend(lane):
            return self._leave(lane, token)
        if seen and self._leased(name) + 1 >= lane.limit and lane.pace.may_rise(seen, lane.limit, self.now):
            before, lane.pace = lane.pace.limit, lane.pace.looked(seen, self.now)
            for _ in range(lane.pace.limit - before):
                self._wake(name)
        waits = self._broadcasts(name)
        mailbox = self._next_due(name, solitude)
        self._count_turn(name, mailbox, waited=waits)
        if mailbox is None and calls:
            lane.tokens = (lane.tokens or 0) + 1
        if mailbox is None:
            return self._leave(lane, token)
        box = self.boxes[mailbox]
        box.owner, box.until = "?", self.now + lease  # the store names the owner
        if not box.claims or solitude != "possible":  # else it counts once it begins
            box.claims, box.alone = box.claims + 1, box.alone + (solitude == "kept")
        lane.drains[token] = self.now + lease
        if lane.opened:
            lane.probe, lane.prober = self.now + lease, "?"
        return "claimed", mailbox

    def claimed_by(self, mailbox: str, owner: str) -> None:
        box = self.boxes[mailbox]
        box.owner = owner
        lane = self.lanes[box.lane]
        if lane.prober == "?":
            lane.prober = owner

    def remember(
        self,
        claim: Claim,
        lease: int,
        *,
        progress: dict[str, int] | None = None,
        session: SessionChange | None = None,
        chat: ThreadState | None = None,
        watch: float = 0.0,
    ) -> None:
        box = self.boxes[claim.mailbox]
        box.until = self.now + lease
        if progress is not None:
            box.progress = progress
        if session:
            self._write_session(claim.conversation, session)
        if chat and chat.seen is not None:
            self.chats.setdefault(chat.name, Chat()).saw(chat.seen)
        if watch:
            self.watch[claim.conversation] = self.now + int(watch * 1000)

    def begin(self, claim: Claim, lease: int) -> None:
        """A suspect is tried alone."""
        box = self.boxes[claim.mailbox]
        box.claims, box.alone = box.claims + 1, box.alone + 1
        self.remember(claim, lease)

    def behind(self, claim: Claim) -> tuple[list[str], int]:
        """The messages directly behind the head, and how many items there are."""
        items = self.boxes[claim.mailbox].items[1:]
        return [item.removeprefix("message ") for item in takewhile(_is_message, items)], len(items)

    def ask(self, claim: Claim, lease: int, asked: list[str]) -> None:
        self.boxes[claim.mailbox].asked = asked
        self.remember(claim, lease)

    def sweep(self) -> None:
        for conversation in [one for one, due in self.watch.items() if due <= self.now]:
            del self.watch[conversation]
            if conversation in self.sessions:
                self.watch[conversation] = self.now + LOOK_AGAIN_MS
                self._ask_for_a_look(conversation, f"inbound:{self.sessions[conversation].destination}")
        for name in self.lanes:
            for mailbox in [m for m, b in self.boxes.items() if b.lane == name and b.owner and b.until <= self.now]:
                self.boxes[mailbox].owner = None
                self.boxes[mailbox].due = self.now
            lane = self.lanes[name]
            for _ in range(1 if lane.opened else max(4, ceil(lane.pace.limit / 2))):
                self._wake(name)

    def replay(self, number: int) -> None:
        letter = self.letters.pop(number)
        for known in [self.messages[one] for one in letter.messages if one in self.messages]:
            known.state = "waiting"
            if known.status == "failed":
                known.status = "queued"
                known.told.clear()
                known.since = known.since and self.now
        for item in (letter.item, *(f"message {one}" for one in letter.also)):
            self._push(letter.mailbox, letter.lane, item)

    def discard(self, number: int) -> None:
        for known in [self.messages[one] for one in self.letters.pop(number).messages if one in self.messages]:
            if self._is_needed(known):
                known.state = "discarded"
            else:
                self.forgotten.append(self.messages.pop(known.id))

    def _is_needed(self, known: Known) -> bool:
        """Whether a report about it or its price still waits."""
        reports = self.boxes.get(f"{known.conversation}|status:{known.report_to}")
        told = any(item.startswith(f"status {known.id} ") for item in reports.items) if reports else False
        return told or f"{known.conversation}|price-{known.id}" in self.boxes

    def cancel(self, known: Known) -> bool:
        """Whether it was in time."""
        mailbox, item = known.mailbox, f"message {known.id}"
        box = self.boxes.get(mailbox)
        if box is None or item not in box.items:
            return False
        begun = box.owner or box.claims or box.uncertain or box.progress
        if item == box.items[0] and begun:
            return False
        first = item == box.items[0]
        if first:
            box.drop_head()
        else:
            box.items.remove(item)
        known.state = "settled"
        self._climb(known.id, "failed")
        if not box.items:
            del self.boxes[mailbox]
        elif first:
            box.due = self.now
            self._wake(box.lane)
        return True

    # what follows from it

    def _comes_later(self, conversation: str, place: Place) -> bool:
        """Whether a message waits for the look that is asked for; else it is carried over now."""
        assert place.index is not None
        chat = self.chats.setdefault(place.name, Chat())
        if not chat.leaves_gap(place.index):
            chat.saw(place.index)
        elif self._has(conversation, place.name):
            self._ask_for_a_look(conversation, place.lane)
            return True
        else:
            chat.early.add(place.index)
        chat.carried.append(place.index)
        return False

    def _has(self, conversation: str, chat: str) -> bool:
        held = self.sessions.get(conversation)
        return held is not None and bool(held.chat) and f"{held.destination}:{held.chat}" == chat

    def _ask_for_a_look(self, conversation: str, lane: str) -> None:
        box = self.boxes.get(f"{conversation}|inbound")
        if box and box.items[-1] == "check" and (len(box.items) > 1 or not box.owner):
            return
        self._push(f"{conversation}|inbound", lane, "check")

    def append(self, entry: Append) -> None:
        message = entry.message
        known = Known(message.id, message.conversation, message.direction, entry.report_to, exempt=entry.exempt)
        self.messages[message.id] = known
        if entry.scope:
            self.seen[entry.scope] = message.id
            self.chats[message.metadata["chat"]].carried.append(message.metadata["index"])
        self._enter(known, entry.lane)

    def _enter(self, known: Known, lane: str) -> None:
        known.since = None if known.exempt or known.is_command else self.now
        if self._is_unwanted(known):
            self._refuse(known)
        else:
            self._push(known.mailbox, lane, f"message {known.id}")

    def _is_unwanted(self, known: Known) -> bool:
        return known.direction == "outbound" and not known.exempt and known.conversation in self.out

    def _refuse(self, known: Known) -> None:
        known.state = "settled"
        self._climb(known.id, "failed")

    def _append_item(self, entry: AppendItem) -> None:
        if entry.scope in self.seen:
            return
        if entry.scope:
            self.seen[entry.scope] = ""
        self._push(entry.mailbox, entry.lane, item_text(entry.item))

    def _push(self, mailbox: str, lane: str, item: str) -> None:
        box = self.boxes.setdefault(mailbox, Box(lane, self.now))
        box.items.append(item)
        if len(box.items) == 1:  # an item behind others makes nothing due
            self._wake(box.lane)

    def _release(self, mailbox: str, due: int) -> None:
        if self.boxes[mailbox].items:
            self.boxes[mailbox].due = due
        else:
            del self.boxes[mailbox]

    def _wake(self, name: str) -> None:
        lane = self.lanes[name]
        self._forget_drains(lane)
        leased = self._leased(name)
        if len(lane.drains) >= lane.limit or leased >= lane.limit:
            return
        if lane.paused_until > self.now or (lane.opened and lane.probe > self.now):
            return
        due = len(self._due(name))
        if due and len(lane.drains) - leased < due:
            lane.drains[f"owed {len(self.woken)}"] = self.now + WAKE_MS
            self.woken.append(name)

    def _climb(self, message: str, status: Status) -> bool:
        known = self.messages[message]
        if not climbs(known.status, status):
            return False
        known.status = status
        if known.direction == "outbound" and known.price is not None:
            self._ask(known)
        if known.report_to:
            known.told.append(status)
            name = f"status:{known.report_to}"
            self._push(f"{known.conversation}|{name}", name, f"status {message} {status}")
        return True

    def _ask(self, known: Known) -> None:
        mailbox = f"{known.conversation}|price-{known.id}"
        if not known.reported and mailbox not in self.boxes:
            self._push(mailbox, "status:shop", f"price {known.id}")

    def _drop_question(self, box: Box) -> tuple[str, list[str]]:
        """The head, and the messages that were asked with it."""
        others = box.asked[1:]
        item = box.drop_head()
        del box.items[: len(others)]
        return item, others

    def _bury(self, mailbox: str, lane: str, item: str, others: list[str]) -> None:
        letter = DeadLetter(mailbox, lane, "handoff again" if item == "handoff" else item, tuple(others))
        self.letters.append(letter)
        for known in [self.messages[one] for one in letter.messages if one in self.messages]:
            known.state = "dead"
            self._climb(known.id, "failed")

    def _write_session(self, conversation: str, change: SessionChange) -> None:
        held, session = self.sessions.get(conversation), change.session
        version = held.version if held else 0
        if version == session.version:
            version += change.changes_hands
            self.sessions[conversation] = Held(session.destination, version, session.thread)

    def _breaker(self, name: str, s: Outcome, late: float) -> None:
        lane, limits, at_once = self.lanes[name], self.limits, self._leased(name)
        probing = lane.prober == s.claim.owner
        if s.lane.kind == "ok":
            if lane.failures:
                self.lanes[name] = replace(lane, failures=0, opened=0, probe=0, prober="")
                return
        elif s.lane.kind == "sick":
            lane.failures += 1
            if probing or (not lane.opened and lane.failures >= limits.breaker_failures):
                lane.opened += 1
                lane.pace = lane.pace.fallen("sick", at_once, self.now)
                pause = min(limits.breaker_pause * 2 ** (lane.opened - 1), limits.max_breaker_pause)
                lane.paused_until = max(lane.paused_until, self.now + int(pause * 1000))
            elif s.lane.falls and not lane.opened:
                lane.pace = lane.pace.fallen(s.lane.falls, at_once, self.now, s.claim.turn, late)
        elif s.lane.kind == "pause":
            lane.paused_until = max(lane.paused_until, self.now + int(s.lane.seconds * 1000))
            if s.lane.falls:
                lane.pace = lane.pace.fallen(s.lane.falls, at_once, self.now, s.claim.turn, late)
        if probing:
            lane.probe, lane.prober = 0, ""

    def _spend(self, lane: Lane) -> bool:
        burst = max(1.0, lane.rate)
        tokens = burst if lane.tokens is None else lane.tokens + (self.now - lane.tokens_at) * lane.rate / 1000
        lane.tokens, lane.tokens_at = min(burst, tokens), self.now
        if lane.tokens < 1:
            lane.paused_until = self.now + ceil((1 - lane.tokens) * 1000 / lane.rate)
            return False
        lane.tokens -= 1
        return True

    def _next_due(self, name: str, solitude: Solitude) -> str | None:
        while due := self._due(name):
            broadcasts = [one for one in due if is_bulk(one)]
            first = (self.lanes[name].bulk or 0) + 1 >= BULK_EVERY
            due = broadcasts if broadcasts and first else [one for one in due if not is_bulk(one)] or broadcasts
            mailbox = min(due, key=lambda one: (self.boxes[one].due, one))
            box = self.boxes[mailbox]
            known = self.messages.get(box.items[0].removeprefix("message "))
            unwanted = known if known and self._is_unwanted(known) else None
            poison = box.alone >= POISON_TRIES
            if not unwanted and not poison and not self._has_expired(name, box, known):
                later = self._later(name, mailbox, solitude)
                if later is None:
                    return mailbox
                box.due = later
                continue
            item, others = self._drop_question(box)
            if unwanted:
                self._refuse(unwanted)
            else:
                self._bury(mailbox, name, item, others)
                if item == "handoff":
                    box.items.insert(0, "lost handoff")  # a worker leads the conversation back
            self._release(mailbox, self.now)
        return None

    def _later(self, name: str, mailbox: str, solitude: Solitude) -> int | None:
        """When the head may be handed out, if not now; else its conversation has it."""
        if self.boxes[mailbox].claims and solitude == "impossible":
            return self.now + SET_ASIDE_MS
        return self._held_until(name, mailbox)

    def _held_until(self, name: str, mailbox: str) -> int | None:
        """When the conversation may have its next message, if not now; else it has it."""
        each = self.each.get(name, 0.0)
        if not each or not _is_message(self.boxes[mailbox].items[0]):
            return None
        which, every = (name, mailbox.rpartition("|")[0]), 1000 / each
        made_up = max(self.now, self.made_up.get(which, 0))
        if made_up > self.now + max(1.0, each) * every + 1:
            made_up = self.now
        start = ceil(made_up - (max(1.0, each) - 1) * every)
        if start > self.now:
            return start
        self.made_up[which] = made_up + every
        return None

    def _broadcasts(self, name: str) -> bool:
        return any(is_bulk(m) and b.lane == name and not b.owner for m, b in self.boxes.items())

    def _count_turn(self, name: str, mailbox: str | None, *, waited: bool) -> None:
        lane = self.lanes[name]
        if not waited and lane.bulk is None:
            return
        if mailbox:
            self.boxes[mailbox].owner = "?"
        if not self._broadcasts(name):
            lane.bulk = None
        elif mailbox:
            lane.bulk = 0 if is_bulk(mailbox) else (lane.bulk or 0) + 1

    def _has_expired(self, name: str, box: Box, known: Known | None) -> bool:
        """Whether the head has; what was begun, with progress, is finished."""
        longest = self.lanes[name].expire
        return bool(longest and known and known.since and not box.progress and self.now - known.since > longest)

    def _leave(self, lane: Lane, token: str) -> tuple[str, str]:
        lane.drains.pop(token, None)
        return "idle", ""

    def _due(self, name: str) -> list[str]:
        return [m for m, b in self.boxes.items() if b.lane == name and not b.owner and b.due <= self.now]

    def _leased(self, name: str) -> int:
        return sum(1 for box in self.boxes.values() if box.lane == name and box.owner)

    def _forget_drains(self, lane: Lane) -> None:
        for token in [token for token, until in lane.drains.items() if until <= self.now]:
            del lane.drains[token]


def is_bulk(mailbox: str) -> bool:
    return mailbox.endswith("|bulk")


def _is_message(item: str) -> bool:
    return item.startswith("message ")
