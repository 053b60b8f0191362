"""How values travel to the scripts and back: the dicts that they are asked with, the lists that they answer with.

Only what a request needs stands in it, because it travels with every message. The headers of the scripts name what the
short keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

import orjson

from app.core import session as sessions
from app.core.acceptance import Acceptance, ConsentStatement, Place
from app.core.costs import Cost
from app.core.lane import LaneEffect, Seen
from app.core.message import Message, decode, encode
from app.core.session import Session
from app.core.status import Status
from app.core.work import (
    Achieved,
    Append,
    AppendItem,
    Behind,
    Claim,
    Dead,
    Deliver,
    Done,
    Outcome,
    Reroute,
    Retry,
    SessionChange,
    ThreadState,
    Wake,
    item_of,
    item_text,
)
from app.store.limits import Limits

Request = dict[str, Any]
GARBLED = "\ufffd"  # what a byte that is no text was read as


class Claimed(NamedTuple):
    """What `work.lua` says of a head that it gives out, in its order; behind it stand the session's fields. Numbers may
    be text; '' is nothing."""

    mailbox: str
    owner: str
    item: str
    claims: int | str
    attempts: int | str
    progress: str
    uncertain: str
    conversation: str
    now: str
    body: str
    status: str
    error: str
    first_at: str
    status_at: str
    to: str
    asked: str
    turn: str
    suspect: str = ""


def claim_of(answer: Sequence[Any]) -> Claim:
    """The claim that a script's list says. Whoever has it must settle it, though what is kept of it be damaged."""
    size = len(Claimed._fields)
    said = Claimed._make(answer[:size])
    try:
        return _claim(said, dict(_pairs(answer[size:])))
    except (ValueError, TypeError, AttributeError) as error:  # of JSON that is none, or is something else
        attempt = int(said.attempts) + int(said.claims)
        item, damaged = item_of(said.item), f"{type(error).__name__}: {error}"
        return Claim(said.mailbox, said.owner, item, said.conversation, int(said.now), attempt, damaged=damaged)


def _claim(said: Claimed, session: Mapping[str, str]) -> Claim:
    return Claim(
        mailbox=said.mailbox,
        owner=said.owner,
        item=item_of(said.item),
        conversation=said.conversation,
        now=int(said.now),
        attempt=int(said.attempts) + int(said.claims),
        uncertain=bool(said.uncertain) or int(said.claims) > 1,
        progress=orjson.loads(said.progress) if said.progress else {},
        message=decode(said.body) if said.body else None,
        status=cast("Status", said.status or "queued"),
        error=said.error,
        first_at=int(said.first_at),
        status_at=int(said.status_at or 0),
        session=sessions.from_fields(session),
        to=said.to,
        asked=tuple(said.asked.split()),
        turn=int(said.turn),
        suspect=bool(said.suspect),
    )


def readable(bodies: Sequence[str]) -> Iterator[Message]:
    """The messages before the first that cannot be read."""
    with suppress(ValueError):
        yield from map(decode, bodies)


def wakes_of(answer: Sequence[Any]) -> tuple[Wake, ...]:
    return tuple(Wake(lane, token) for lane, token in _pairs(answer))


class Wire:
    """Writes requests. `lists`: for each channel, the lists in which its messages stand."""

    def __init__(self, limits: Limits, lists: Mapping[str, Sequence[str]]) -> None:
        self._limits = limits
        self._lists = lists

    def acceptance(self, a: Acceptance) -> Request:
        limits, entry = self._limits, a.entry
        request: Request = {
            "scope": a.scope,
            "window_ms": int(a.window * 1000) if a.window else limits.window_ms(a.scope),
            "rec": self._record(entry),
            "mailbox": entry.mailbox,
            "lane": entry.lane,
            "max_mailbox": limits.mailbox,
            "max_lane": limits.lane,
            "follow": a.follow,
            "show": a.show,
            "session_keep": limits.session_keep,
        }
        if who := a.responder:
            request["take"] = {"destination": who.destination, "mode": who.mode, "seize": who.seize}
        if a.place:
            request["thread"] = self.place(a.place)
        if a.second_scope:
            request["also"] = a.second_scope
        more = a.more
        if a.consent:
            request |= self._consent(a.consent, live=entry.live)
            more += (a.consent.answer,) if a.consent.answer else ()
        if more:
            request["more"] = [self._append(one) for one in more]
        if a.cost:
            request["cost"] = self._cost(a.cost)
        if a.same_person:
            request["names"] = list(a.same_person)
        return request

    def item(self, entry: AppendItem, *, follow: bool) -> Request:
        return {
            "mailbox": entry.mailbox,
            "lane": entry.lane,
            "item": item_text(entry.item),
            "cv": entry.mailbox.rpartition("|")[0],
            "follow": follow,
            "max_mailbox": self._limits.mailbox,
            "scope": entry.scope,
            "window_ms": self._limits.window_ms(entry.scope),
        }

    def place(self, place: Place) -> Request:
        request: Request = {"name": place.name, "lane": place.lane, "keep": self._limits.session_keep}
        return request if place.index is None else {**request, "index": place.index, "more": place.more}

    def outcome(self, outcome: Outcome, seen: Seen | None = None) -> Request:
        claim, limits, item = outcome.claim, self._limits, item_text(outcome.claim.item)
        request: Request = {
            "mailbox": claim.mailbox,
            "owner": claim.owner,
            "item": item,
            "cv": claim.conversation,
            "outcome": outcome.name,
            "retention": limits.retention,
            "lane": outcome.lane.kind,
            "error": "",
            "front": (),
            "append": [],
        }
        match outcome:
            case Done():
                request |= self._done(outcome)
                request |= self._consequences(outcome)
            case Dead():
                request |= {"error": outcome.error, "reason": outcome.reason}
                request |= self._consequences(outcome)
            case Retry():
                request |= {
                    "error": outcome.error,
                    "due_ms": _ahead(outcome.due, limits.max_delay),
                    "counts": outcome.counts,
                    "uncertain": outcome.uncertain,
                }
            case Reroute():
                request["to"] = outcome.to
            case Behind():
                request["front"] = [item_text(item) for item in outcome.front]
        request |= self._lane(outcome, seen)
        if GARBLED in item:  # the script takes the head as it stands
            request["garbled"] = True
        return request

    def achieved(self, claim: Claim, achieved: Achieved, lease: float) -> Request:
        request: Request = {
            "mailbox": claim.mailbox,
            "owner": claim.owner,
            "aliases": list(achieved.aliases),
            "cv": claim.conversation,
            "keep": self._limits.session_keep,
            "lease_ms": int(lease * 1000),
        }
        if achieved.progress is not None:
            request["progress"] = orjson.dumps(dict(achieved.progress)).decode()
        if achieved.asked:
            request["asked"] = " ".join(achieved.asked)
        if achieved.session:
            request["session"] = self._session(SessionChange(achieved.session))
        if achieved.thread:
            request["thread"] = self._thread(achieved.thread)
        if achieved.poll_in:
            request["poll_ms"] = _ahead(achieved.poll_in, self._limits.max_poll)
        return request

    def longest(self) -> Request:
        """How far ahead anything may lie."""
        limits = self._limits
        longest = {"lease": limits.max_lease, "delay": limits.max_delay, "poll": limits.max_poll}
        return {f"{what}_ms": int(seconds * 1000) for what, seconds in longest.items()}

    def _done(self, done: Done) -> Request:
        request: Request = {"error": done.error}
        if done.status:
            request["status"] = done.status
        if done.scope:
            request["scope"] = done.scope
        if done.parts:
            request["parts"] = done.parts
        if done.show:
            request["show"] = True
        if done.event:
            request |= {"live": self._limits.retention, "live_kind": done.event}
        if done.cost:
            request["cost"] = self._cost(done.cost)
        return request

    def _lane(self, outcome: Outcome, seen: Seen | None) -> Request:
        """What it says of its lane: to the breaker, and to the pace."""
        effect = outcome.lane
        request = self._breaker(effect) if effect.kind in ("sick", "pause") else {}
        if effect.falls:
            return request | {"falls": effect.falls, "turn": outcome.claim.turn, "late": seen.late if seen else 1.0}
        if seen and effect.kind == "ok":
            return request | {"turn": seen.turn, "calls": seen.calls, "mean": seen.mean}
        return request

    def _breaker(self, effect: LaneEffect) -> Request:
        limits = self._limits
        return {
            "why": effect.why,
            "pause_ms": _ahead(effect.seconds, limits.max_delay),
            "threshold": limits.breaker_failures,
            "cooldown_ms": int(limits.breaker_pause * 1000),
            "max_cooldown_ms": int(limits.max_breaker_pause * 1000),
        }

    def _consequences(self, outcome: Done | Dead) -> Request:
        request: Request = {
            "front": [item_text(item) for item in outcome.front],
            "append": [self._append(entry) for entry in outcome.append],
        }
        if outcome.session:
            request["session"] = self._session(outcome.session, outcome.claim.session)
        if outcome.thread:
            request["thread"] = self._thread(outcome.thread)
        if outcome.poll_in is not None:
            request["poll_ms"] = _ahead(outcome.poll_in, self._limits.max_poll)
        return request

    def _append(self, entry: Append | AppendItem) -> Request:
        request: Request = {"mailbox": entry.mailbox, "lane": entry.lane}
        if isinstance(entry, AppendItem):
            request["item"] = item_text(entry.item)
        else:
            request |= {"rec": self._record(entry), "item": item_text(Deliver(entry.message.id))}
        if entry.scope:
            request |= {"scope": entry.scope, "window_ms": self._limits.window_ms(entry.scope)}
        return request

    def _record(self, entry: Append) -> Request:
        message = entry.message
        record: Request = {
            "id": message.id,
            "body": encode(message).decode(),
            "cv": message.conversation,
            "dr": message.direction,
            "rp": entry.report_to,
            "lv": str(self._limits.retention) if entry.live else "",
            "retention": self._limits.retention,
        }
        if entry.exempt:
            record["ex"] = True
        if parts := message.parts:
            record["parts"] = parts
        if message.channel in self._lists:
            record["ix"] = list(self._lists[message.channel])
        return record

    def _consent(self, said: ConsentStatement, *, live: bool) -> Request:
        if not said.state:
            return {}
        consent: Request = {"state": said.state, "by": said.by}
        if live:  # whoever opens a chat is a new customer; nobody comes back to it after that time
            consent["keep"] = self._limits.session_keep
        return {"consent": consent}

    def _cost(self, cost: Cost) -> Request:
        """A conversation's sums outlive the records of its messages, so that what is booked can be corrected."""
        keep = max(self._limits.session_keep, self._limits.retention)
        request: Request = {"what": cost.what, "nanos": cost.nanos, "keep": keep}
        return {**request, "refs": orjson.dumps(cost.refs).decode()} if cost.refs else request

    def _session(self, change: SessionChange, read: Session | None = None) -> Request:
        """`read` is the very session that came with the claim: if it goes back as it is, it is only dated."""
        fields = {} if change.session is read else sessions.to_fields(change.session)
        return {
            "version": change.session.version,
            "fields": [part for pair in fields.items() for part in pair],
            "changes_hands": change.changes_hands,
            "keep": self._limits.session_keep,
        }

    def _thread(self, thread: ThreadState) -> Request:
        return {"name": thread.name, "seen": thread.seen, "read": thread.read, "keep": self._limits.session_keep}


def _ahead(seconds: float, longest: float) -> int:
    """In ms, and no further ahead than the sweep lets stand."""
    return int(min(seconds, longest) * 1000)


def _pairs(flat: Sequence[Any]) -> Any:
    return zip(flat[::2], flat[1::2], strict=True)
