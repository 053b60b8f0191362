"""How values travel to the scripts and back: the dicts that they are asked with, the lists that they answer with.

Only what a request needs stands in it, because it travels with every message. The headers of the scripts name what the
short keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from app.core import session as sessions
from app.core.acceptance import Place
from app.core.consent import word_of
from app.core.costs import Cost
from app.core.lane import LaneEffect, Seen
from app.core.message import Message, decode, encode, split_conversation
from app.core.session import Session
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
    item_text,
)
from app.store.limits import Limits

Request = dict[str, Any]
GARBLED = "\ufffd"  # what a byte that is no text was read as


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
            "retention": limits.retention_of(split_conversation(claim.conversation)[0]),
            "lane": outcome.lane.kind,
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
        request: Request = {}
        channel = split_conversation(done.claim.conversation)[0]
        if done.error:
            request["error"] = done.error
        if done.status:
            request["status"] = done.status
        if done.scope:
            request["scope"] = done.scope
        if done.parts:
            request["parts"] = done.parts
        if done.show:
            request["show"] = True
        if done.event:
            request |= {"live": self._limits.retention_of(channel), "live_kind": done.event}
        if done.cost:
            request["cost"] = self._cost(done.cost, channel)
        return request

    def _lane(self, outcome: Outcome, seen: Seen | None) -> Request:
        """What it says of its lane: to the breaker, and to the pace."""
        effect = outcome.lane
        request = self._breaker(effect) if effect.kind in ("sick", "pause") else {}
        if effect.falls:
            return request | {"falls": effect.falls, "turn": outcome.claim.turn, "late": seen.late if seen else 1.0}
        if seen and effect.kind == "ok":
            return request | {"turn": seen.turn, "calls": seen.calls, "mean": round(seen.mean, 2)}
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
        request: Request = {}
        if outcome.front:
            request["front"] = [item_text(item) for item in outcome.front]
        if outcome.append:
            request["append"] = [self._append(entry) for entry in outcome.append]
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
        retention = self._limits.retention_of(message.channel)
        record: Request = {
            "id": message.id,
            "body": encode(message).decode(),
            "cv": message.conversation,
            "dr": message.direction,
            "rp": entry.report_to,
            "lv": str(retention) if entry.live else "",
            "retention": retention,
        }
        return {**record, **self._marks(entry)}

    def _marks(self, entry: Append) -> Request:
        """What only some records have."""
        marks: Request = {}
        if entry.exempt:
            marks["ex"] = True
        if word_of(entry.message.metadata.get("opt_out")):
            marks["lasts"] = True
        if entry.waited > 0:
            marks["waited"] = entry.waited
        if parts := entry.message.parts:
            marks["parts"] = parts
        if entry.message.channel in self._lists:
            marks["ix"] = list(self._lists[entry.message.channel])
            if self._limits.longest_retention > self._limits.retention_of(entry.message.channel):
                marks["listed"] = self._limits.longest_retention  # other channels may stand in the same lists
        return marks

    def _cost(self, cost: Cost, channel: str) -> Request:
        """A conversation's sums outlive the records of its messages, so that what is booked can be corrected."""
        keep = max(self._limits.session_keep, self._limits.retention_of(channel))
        request: Request = {"what": cost.what, "nanos": cost.nanos, "keep": keep}
        return {**request, "refs": orjson.dumps(cost.refs).decode()} if cost.refs else request

    def _session(self, change: SessionChange, read: Session | None = None) -> Request:
        """`read` is the very session that came with the claim: if it goes back as it is, it is only dated."""
        request: Request = {"version": change.session.version, "keep": self._limits.session_keep}
        if change.session is not read:
            request["fields"] = [part for pair in sessions.to_fields(change.session).items() for part in pair]
        if change.changes_hands:
            request["changes_hands"] = True
        return request

    def _thread(self, thread: ThreadState) -> Request:
        return {"name": thread.name, "seen": thread.seen, "read": thread.read, "keep": self._limits.session_keep}


def _ahead(seconds: float, longest: float) -> int:
    """In ms, and no further ahead than the sweep lets stand."""
    return int(min(seconds, longest) * 1000)


def _pairs(flat: Sequence[Any]) -> Any:
    return zip(flat[::2], flat[1::2], strict=True)
