"""Mailboxes: accept into them, claim their heads, settle what was done. The engine's verbs, one script call each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import orjson
from msgspec import Struct, field

from app.core import session as sessions
from app.core.consent import State
from app.core.costs import Cost
from app.core.message import Message, decode, encode
from app.core.session import Session
from app.core.status import Status
from app.store.connection import Connection
from app.store.keys import EXTERNAL_ID, THREAD

LOOK_AGAIN = 3_600.0  # seconds, as in `scripts/sweep.lua`


class Wake(Struct, frozen=True):
    """A drain that is owed: publish it; if it gets lost, the sweep will owe another one."""

    lane: str
    token: str


class Limits(Struct, frozen=True):
    """Seconds and counts that bound what is kept. `windows`: the `dedup_window` of channels and destinations that have
    one of their own. A lane keeps `letters` dead letters, with `letters_bytes` of messages and webhooks, for
    `letters_keep` seconds. Nothing lies further ahead than `lease_most`, `delay_most`, `watch_most` seconds, unless the
    clock was set back."""

    retention: int = 72 * 3600
    dedup_window: float = 72 * 3600
    windows: Mapping[str, float] = field(default_factory=dict)
    session_keep: int = 30 * 86_400
    mailbox: int = 1_000
    lane: int = 200_000
    breaker_failures: int = 5
    breaker_pause: float = 5.0
    breaker_pause_most: float = 60.0
    letters: int = 10_000
    letters_bytes: int = 32 * 1024 * 1024
    letters_keep: int = 30 * 86_400
    lease_most: float = 3_600.0
    delay_most: float = 3_600.0
    watch_most: float = LOOK_AGAIN

    def window_ms(self, scope: str) -> int:
        """How long an external id is remembered; a name space begins with whose it is."""
        return int(self.windows.get(scope.partition(":")[0], self.dedup_window) * 1000)


class Append(Struct, frozen=True):
    """A message for a mailbox. `report_to` names who hears of its status; `live` shows it in the customer's stream.
    `scope` is its external id with its name space, where a webhook may bring the same message. `exempt`: it goes to a
    customer who opted out, too, because it confirms just that."""

    message: Message
    lane: str
    report_to: str = ""
    live: bool = False
    scope: str = ""
    exempt: bool = False

    @property
    def mailbox(self) -> str:
        return mailbox_of(self.message.conversation, self.message.direction)


class AppendItem(Struct, frozen=True):
    """Something that is no message (`ended ID`) for a mailbox, once for each `scope` (a name with its name space, '' =
    always)."""

    mailbox: str
    lane: str
    item: str
    scope: str = ""


class Stated(Struct, frozen=True):
    """What a customer says of their consent with a message (None: nothing new), and the answer that they get for it."""

    state: State | None
    by: str
    answer: Append | None = None


class Take(Struct, frozen=True):
    """The destination that is active in the conversation; with `seize` it holds it from now on."""

    destination: str
    mode: str = "human"
    seize: bool = True


class Place(Struct, frozen=True):
    """A message's number in a destination's chat (`name`: both names); `lane` is where a gap is looked into. Without
    `index`: something else changed in that chat. With `more`, the number is done only with a later part."""

    name: str
    lane: str
    index: int | None = None
    more: bool = False


class ChatState(Struct, frozen=True):
    """Up to which number a destination's chat was carried over to the customer (`seen`) and read by people (`read`).
    -1: not at all; `seen` is None where nobody knows."""

    name: str
    seen: int | None = -1
    read: int = -1


class Entered(Struct, frozen=True):
    """`later`: there is a gap before the message; it was not recorded, but a look at the chat that will find it was."""

    state: Literal["ok", "duplicate", "later", "mailbox_full", "lane_full"]
    message_id: str
    wakes: tuple[Wake, ...] = ()


class Claim(Struct, frozen=True):
    """The right to work one head: the item, what its message is and was, and how often it was tried.

    `attempt` counts this try (1, 2, ...). `uncertain`: an earlier try may have been carried out. `progress` is what an
    earlier try remembered. In Unix ms: `now` is Redis's clock, `first_at` when it was first claimed, `status_at` when
    its message last climbed. `to` is the address that the customer last wrote from, where they have several.
    """

    mailbox: str
    owner: str
    item: str
    conversation: str
    now: int
    attempt: int = 1
    uncertain: bool = False
    progress: Mapping[str, Any] = field(default_factory=dict)
    message: Message | None = None
    status: Status = "queued"
    error: str = ""
    first_at: int = 0
    status_at: int = 0
    session: Session | None = None
    to: str = ""

    @property
    def kind(self) -> str:
        return self.item.partition(" ")[0]


class SessionChange(Struct, frozen=True):
    """Written only if the session still is the one that was read."""

    session: Session
    changes_hands: bool = False


class Settlement(Struct, frozen=True):
    """The outcome of one claim and all that follows from it.

    `lane_effect`: `ok` closes the breaker, `sick` feeds it, `pause` rests the lane for `pause` seconds, `none` says
    nothing. `scope` is the external id that the platform gave, with its name space; `parts` are those of a message that
    went out in several, and has come as far as the one that is behind. `front` goes before what waits in
    the same mailbox, `append` behind what waits in others. `event` is shown in the live stream. `chat` is how far the
    destination's chat is known now, `watch` the seconds until the next look at it (0: no
    more, None: as it was). `cost` is booked for the head's message, if it is done.
    """

    claim: Claim
    outcome: Literal["done", "retry", "dead", "reroute", "behind"]
    status: Status | None = None
    error: str = ""
    reason: str = ""
    due: float = 0.0
    counts: bool = True
    uncertain: bool = False
    to: str = ""
    scope: str = ""
    parts: tuple[str, ...] = ()
    session: SessionChange | None = None
    front: tuple[str, ...] = ()
    append: tuple[Append | AppendItem, ...] = ()
    chat: ChatState | None = None
    watch: float | None = None
    show: bool = False
    event: str = ""
    lane_effect: Literal["ok", "sick", "pause", "none"] = "ok"
    pause: float = 0.0
    cost: Cost | None = None


class Worked(Struct, frozen=True):
    """`stale`: the lease was lost and the settlement changed nothing. `more`: the time slice ended before the work.
    `poisoned`: so many heads became dead letters in place of being claimed."""

    claim: Claim | None
    wakes: tuple[Wake, ...]
    stale: bool = False
    more: bool = False
    poisoned: int = 0


def mailbox_of(conversation: str, direction: str) -> str:
    return f"{conversation}|{direction}"


class Mailboxes:
    """`lists`: for each channel, the lists in which its messages stand."""

    def __init__(
        self, connection: Connection, limits: Limits, lists: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._lists = lists

    def accept(
        self,
        entry: Append,
        *,
        scope: str,
        also: str = "",
        window: float | None = None,
        follow: bool = False,
        take: Take | None = None,
        place: Place | None = None,
        show: bool = False,
        stated: Stated | None = None,
        more: Sequence[Append] = (),
        cost: Cost | None = None,
        names: Sequence[str] = (),
    ) -> Entered:
        """Record a message once and put it into its mailbox.

        Args:
            scope: external id with its name space; the second one within `window` seconds (None: as for all of its
                sender's) is a duplicate. '' = none.
            also: a second name of the message; it is a duplicate where either is known.
            follow: use the lane of the session's destination if there is a session.
            take: who is active in the conversation, and may hold it from now on.
            place: where the message stands in the destination's chat.
            show: show the message in the live stream at once.
            stated: what the customer says of their consent with it.
            more: messages that come with it; they stand behind it.
            cost: what it costs; booked with it.
            names: the conversations that the customer's other addresses would have. From now on all of them are one.

        Raises:
            StoreUnavailable: nothing was recorded, unless it says `maybe_done`.
        """
        limits = self._limits
        request: dict[str, Any] = {
            "scope": scope,
            "window_ms": int(window * 1000) if window else limits.window_ms(scope),
            "rec": self._record(entry),
            "mailbox": entry.mailbox,
            "lane": entry.lane,
            "most": limits.mailbox,
            "most_lane": limits.lane,
            "follow": follow,
            "show": show,
            "session_keep": limits.session_keep,
        }
        if take:
            request["take"] = {"destination": take.destination, "mode": take.mode, "seize": take.seize}
        if place:
            request["chat"] = self._place(place)
        if also:
            request["also"] = also
        if stated and stated.state:
            request["consent"] = {"state": stated.state, "by": stated.by}
            if entry.live:  # whoever opens a chat is a new customer; nobody comes back to it after that time
                request["consent"]["keep"] = limits.session_keep
        if stated and stated.answer:
            more = [*more, stated.answer]
        if more:
            request["more"] = [self._append(entry) for entry in more]
        if cost:
            request["cost"] = self._cost(cost)
        if names:
            request["names"] = list(names)
        state, message_id, *wakes = self._connection.run("accept", request)
        return Entered(state, message_id, _wakes(wakes))

    def known(self, scope: str) -> str | None:
        """The id of the message that was accepted under that name (see `accept`), for as long as its window lasts."""
        client, key = self._connection.client, self._connection.key(EXTERNAL_ID, scope)
        found: str | None = self._connection.guard(lambda: client.get(key))
        return found

    def append(
        self, conversation: str, direction: str, lane: str, item: str, *, follow: bool = False, scope: str = ""
    ) -> tuple[Wake, ...] | None:
        """Put an event that is no message (`typing @ms`, `ended`) into a mailbox, once for each `scope` (an external id
        with its name space, '' = always); None if it is full."""
        request = {
            "mailbox": mailbox_of(conversation, direction),
            "lane": lane,
            "item": item,
            "cv": conversation,
            "follow": follow,
            "most": self._limits.mailbox,
            "scope": scope,
            "window_ms": self._limits.window_ms(scope),
        }
        state, *wakes = self._connection.run("append", request)
        return _wakes(wakes) if state == "ok" else None

    def look(self, conversation: str, place: Place) -> tuple[Wake, ...]:
        """Hear of a destination's chat what is no message for the customer; see `Place`."""
        return _wakes(self._connection.run("chat", {"cv": conversation, **self._place(place)}))

    def chat(self, name: str) -> ChatState:
        """How far a destination's chat is known."""
        client, key = self._connection.client, self._connection.key(THREAD, name)
        seen, read = self._connection.guard(lambda: client.hmget(key, ["seen", "read"]))
        return ChatState(name, None if seen is None else int(seen), -1 if read is None else int(read))

    def work(
        self,
        lane: str,
        token: str,
        settlement: Settlement | None,
        *,
        lease: float,
        rate: float = 0.0,
        go_on: bool = True,
    ) -> Worked:
        """Settle the last claim and take the next one.

        Args:
            lease: seconds; must outlast the slowest attempt of the lane.
            rate: calls a second that the lane may make, 0 = no limit.
            go_on: False when the time slice is over: nothing is claimed, and `more` says whether work is left.
        """
        settled, state, poisoned, count, *rest = self._connection.run(
            "work",
            self._settlement(settlement) if settlement else "",
            lane,
            token,
            int(lease * 1000) if go_on else 0,
            rate,
            self._limits.retention,
        )
        return Worked(
            claim=_claim(rest[:count]) if state == "claimed" else None,
            wakes=_wakes(rest[count:]),
            stale=settled == "stale",
            more=state == "more",
            poisoned=poisoned,
        )

    def settle(self, settlement: Settlement) -> Worked:
        """Settle without claiming more."""
        settled, _, _, _, *wakes = self._connection.run("work", self._settlement(settlement), "", "", 0, 0, 0)
        return Worked(None, _wakes(wakes), stale=settled == "stale")

    def remember(
        self,
        claim: Claim,
        lease: float,
        *,
        progress: Mapping[str, Any] | None = None,
        aliases: Sequence[str] = (),
        session: Session | None = None,
        chat: ChatState | None = None,
        watch: float = 0.0,
    ) -> bool:
        """Keep how far the work has come; False if the lease is lost and the work must stop.

        Args:
            progress: for the next try of this work; None = as it was. The others outlive this work.
        """
        request: dict[str, Any] = {
            "mailbox": claim.mailbox,
            "owner": claim.owner,
            "aliases": list(aliases),
            "cv": claim.conversation,
            "keep": self._limits.session_keep,
            "lease_ms": int(lease * 1000),
        }
        if progress is not None:
            request["progress"] = orjson.dumps(dict(progress)).decode()
        if session:
            request["session"] = self._session(SessionChange(session))
        if chat:
            request["chat"] = self._chat(chat)
        if watch:
            request["watch_ms"] = self._ahead(watch, self._limits.watch_most)
        return bool(self._connection.run("remember", request))

    def sweep(self) -> tuple[Wake, ...]:
        """Free what dead workers held, bring back what only a clock that was set back can have put so far ahead; the
        drains that are owed now."""
        limits = self._limits
        longest = {"lease": limits.lease_most, "delay": limits.delay_most, "watch": limits.watch_most}
        request = {f"{what}_ms": int(seconds * 1000) for what, seconds in longest.items()}
        return _wakes(self._connection.run("sweep", request))

    def _record(self, entry: Append) -> dict[str, Any]:
        record: dict[str, Any] = {
            "id": entry.message.id,
            "body": encode(entry.message).decode(),
            "cv": entry.message.conversation,
            "dr": entry.message.direction,
            "rp": entry.report_to,
            "lv": str(self._limits.retention) if entry.live else "",
            "retention": self._limits.retention,
        }
        if entry.exempt:
            record["ex"] = True
        if parts := entry.message.parts:
            record["parts"] = parts
        if entry.message.channel in self._lists:
            record["ix"] = list(self._lists[entry.message.channel])
        return record

    def _settlement(self, s: Settlement) -> dict[str, Any]:
        """The script's argument; only what the outcome needs, because it travels with every message."""
        limits = self._limits
        request: dict[str, Any] = {
            "mailbox": s.claim.mailbox,
            "owner": s.claim.owner,
            "item": s.claim.item,
            "cv": s.claim.conversation,
            "outcome": s.outcome,
            "retention": limits.retention,
            "lane": s.lane_effect,
            "error": s.error,
            "front": s.front,
            "append": [self._append(entry) for entry in s.append],
        }
        if s.outcome == "retry":
            request |= {"due_ms": self._ahead(s.due, limits.delay_most), "counts": s.counts, "uncertain": s.uncertain}
        if s.outcome == "dead":
            request["reason"] = s.reason
        if s.outcome == "reroute":
            request["to"] = s.to
        if s.lane_effect in ("sick", "pause"):
            request |= {
                "why": f"{s.reason}: {s.error}",
                "pause_ms": self._ahead(s.pause, limits.delay_most),
                "threshold": limits.breaker_failures,
                "cooldown_ms": int(limits.breaker_pause * 1000),
                "cooldown_most_ms": int(limits.breaker_pause_most * 1000),
            }
        if s.status:
            request["status"] = s.status
        if s.scope:
            request["scope"] = s.scope
        if s.parts:
            request["parts"] = s.parts
        if s.show:
            request["show"] = True
        if s.event:
            request |= {"live": limits.retention, "live_kind": s.event}
        if s.session:
            request["session"] = self._session(s.session, s.claim.session)
        if s.chat:
            request["chat"] = self._chat(s.chat)
        if s.watch is not None:
            request["watch_ms"] = self._ahead(s.watch, limits.watch_most)
        if s.cost:
            request["cost"] = self._cost(s.cost)
        return request

    @staticmethod
    def _ahead(seconds: float, most: float) -> int:
        """In ms, and no further ahead than the sweep lets stand."""
        return int(min(seconds, most) * 1000)

    def _cost(self, cost: Cost) -> dict[str, Any]:
        """A conversation's sums outlive the records of its messages, so that what is booked can be corrected."""
        keep = max(self._limits.session_keep, self._limits.retention)
        request: dict[str, Any] = {"what": cost.what, "nanos": cost.nanos, "keep": keep}
        return {**request, "refs": orjson.dumps(cost.refs).decode()} if cost.refs else request

    def _session(self, change: SessionChange, read: Session | None = None) -> dict[str, Any]:
        """`read` is the very session that came with the claim: if it goes back as it is, it is only dated."""
        return {
            "version": change.session.version,
            "fields": [] if change.session is read else _flat(sessions.to_fields(change.session)),
            "changes_hands": change.changes_hands,
            "keep": self._limits.session_keep,
        }

    def _chat(self, chat: ChatState) -> dict[str, Any]:
        return {"name": chat.name, "seen": chat.seen, "read": chat.read, "keep": self._limits.session_keep}

    def _place(self, place: Place) -> dict[str, Any]:
        request: dict[str, Any] = {"name": place.name, "lane": place.lane, "keep": self._limits.session_keep}
        return request if place.index is None else {**request, "index": place.index, "more": place.more}

    def _append(self, entry: Append | AppendItem) -> dict[str, Any]:
        request: dict[str, Any] = {"mailbox": entry.mailbox, "lane": entry.lane}
        if isinstance(entry, AppendItem):
            request["item"] = entry.item
        else:
            request |= {"rec": self._record(entry), "item": f"message {entry.message.id}"}
        if entry.scope:
            request |= {"scope": entry.scope, "window_ms": self._limits.window_ms(entry.scope)}
        return request


def _wakes(flat: Sequence[Any]) -> tuple[Wake, ...]:
    return tuple(Wake(lane, token) for lane, token in zip(flat[::2], flat[1::2], strict=True))


def _claim(raw: Sequence[Any]) -> Claim:
    (
        mailbox,
        owner,
        item,
        claims,
        attempts,
        progress,
        uncertain,
        conversation,
        now,
        body,
        status,
        error,
        first,
        at,
        to,
        *session,
    ) = raw
    return Claim(
        mailbox=mailbox,
        owner=owner,
        item=item,
        conversation=conversation,
        now=int(now),
        attempt=int(attempts) + int(claims),
        uncertain=bool(uncertain) or int(claims) > 1,
        progress=orjson.loads(progress) if progress else {},
        message=decode(body) if body else None,
        status=status or "queued",
        error=error,
        first_at=int(first),
        status_at=int(at or 0),
        session=sessions.from_fields(_pairs(session)),
        to=to,
    )


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def _pairs(flat: Sequence[Any]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
