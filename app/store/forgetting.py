"""Forgets a person: removes all that Redis holds of one customer on one channel, under each of their addresses.

First what waits for them is dropped, so that a worker which has some of it in hand writes nothing back. Only a part of
the rest stands under their name, so all keys are walked over twice: for what names them, and for what is named by that.
Each step is small, and Redis serves others in between. What leads to something else goes after it, so that a call that
was cut off can be repeated.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
import redis

from app.core.mentions import mentions, names_in
from app.store import keys
from app.store.connection import Connection
from app.store.dead_letters import DeadLetters
from app.store.key import Key
from app.store.traces import ELSEWHERE, OF_MESSAGE, WORDS, Traces, split

STEP = 500  # keys, messages or places in one go
MAX_NAMES = 16  # of one person, each in place of another, as in `scripts/parts/people.lua`
ROUNDS = 3  # another one while messages came in during the last
DIRECTIONS = ("inbound", "outbound", "bulk")


class Forgetting:
    def __init__(self, connection: Connection, dead_letters: DeadLetters) -> None:
        self._connection = connection
        self._client = connection.client
        self._dead_letters = dead_letters

    def find(self, conversation: str, *, channels: Collection[str] = ()) -> Traces:
        """What Redis holds of the person who has that conversation. `channels` are the names of all: a webhook that one
        of the others kept is none of theirs. Raises: StoreUnavailable."""
        return self._rounds(conversation, channels, None)

    def forget(self, conversation: str, *, consent: bool, channels: Collection[str] = ()) -> Traces:
        """The same, and remove it; their `consent` only if that is said.

        Raises:
            StoreUnavailable: some of it may be left; call again.
        """
        return self._rounds(conversation, channels, lambda traces: self._remove(traces, consent=consent))

    def _rounds(self, conversation: str, channels: Collection[str], remove: Callable[[Traces], bool] | None) -> Traces:
        traces = Traces(self._conversations(conversation))
        for _ in range(ROUNDS):
            known = len(traces.conversations)
            lanes = self._lanes()
            self._find_mailboxes(traces, lanes)
            if remove:
                self._run(traces, lanes)
            self._find_what_names_them(traces)
            self._find_what_they_name(traces, set(channels) - {traces.channel})
            self._find_places(traces, lanes)
            more = remove(traces) if remove else False
            if not more and known == len(traces.conversations):
                break
        return traces

    # who they are

    def _conversations(self, conversation: str) -> list[str]:
        """Those of all their addresses, the one that goes on first."""
        chain = [conversation]
        while len(chain) <= MAX_NAMES:
            (to,) = self._ask(keys.ADDRESS, chain[-1:], lambda asked, key: asked.get(key))
            if to is None or to == chain[-1]:
                break
            chain.append(to)
        (known,) = self._ask(keys.ADDRESSES, chain[-1:], lambda asked, key: asked.smembers(key))
        return [*reversed(chain), *sorted(known or ())]

    # what is found

    def _find_mailboxes(self, traces: Traces, lanes: Iterable[str]) -> None:
        directions = [*DIRECTIONS, *(lane for lane in lanes if lane.startswith("status:"))]
        self._look_at(traces, [f"{one}|{direction}" for one in traces.conversations for direction in directions])

    def _look_at(self, traces: Traces, mailboxes: Sequence[str]) -> None:
        """Note those of the mailboxes that exist."""
        boxes = self._ask(keys.MAILBOX, mailboxes, lambda asked, key: asked.hmget(key, ["lane", "owner"]))
        sizes = self._ask(keys.QUEUE, mailboxes, lambda asked, key: asked.llen(key))
        for mailbox, box, size in zip(mailboxes, boxes, sizes, strict=True):
            lane, owner = box or (None, None)
            if lane or size:
                traces.waits(mailbox, lane or "", size or 0, at_work=owner is not None)

    def _find_what_names_them(self, traces: Traces) -> None:
        """Their sessions, messages and mailboxes, and the names that lead to them."""
        self._find_sessions(traces)
        for names in self._walk():
            of_kind = _grouped(names)
            boxes = {*of_kind[keys.QUEUE.prefix], *of_kind[keys.MAILBOX.prefix]} - traces.mailboxes.keys()
            self._look_at(traces, [one for one in sorted(boxes) if traces.owns(keys.QUEUE.prefix, one)])
            self._find_messages(traces, of_kind[keys.MESSAGE.prefix])
            for alias in self._leading(keys.ALIAS, of_kind, traces):
                destination, _, name = alias.partition(":")
                traces.met(destination, name)
                traces.add(keys.ALIAS.prefix, alias)
            for one in self._leading(keys.ADDRESS, of_kind, traces):
                if one not in traces.conversations:  # the list of them was lost
                    traces.conversations.append(one)

    def _find_sessions(self, traces: Traces) -> None:
        fields = ["destination", "handles"]
        for session in self._ask(keys.SESSION, traces.conversations, lambda asked, key: asked.hmget(key, fields)):
            if session and session[0]:
                traces.has_session(session[0], session[1] or "")
        for ids in self._ask(keys.TIMELINE, traces.conversations, lambda asked, key: asked.lrange(key, 0, -1)):
            traces.ids.update(ids or ())

    def _find_messages(self, traces: Traces, ids: Sequence[str]) -> None:
        whose = self._ask(keys.MESSAGE, ids, lambda asked, key: asked.hget(key, "cv"))
        theirs = [one for one, cv in zip(ids, whose, strict=True) if cv in traces.conversations]
        for some in _pieces(theirs, STEP // 10):
            for one, fields in zip(some, self._ask(keys.MESSAGE, some, _hmget(OF_MESSAGE)), strict=True):
                traces.has_message(one, fields or [None] * len(OF_MESSAGE))

    def _leading(self, key: Key, of_kind: Mapping[str, Sequence[str]], traces: Traces) -> list[str]:
        """Of the keys of that kind those that lead to one of their conversations."""
        names = of_kind[key.prefix]
        leads = self._ask(key, names, lambda asked, key: asked.get(key))
        return [name for name, to in zip(names, leads, strict=True) if to in traces.conversations]

    def _find_what_they_name(self, traces: Traces, elsewhere: Collection[str]) -> None:
        """What belongs to their messages and names: marks, threads, dead letters, places in lists."""
        names = traces.names
        for found in self._walk():
            for prefix, rest in found:
                if prefix in WORDS and traces.owns(prefix, rest):
                    traces.add(prefix, rest)
            of_kind = _grouped(found)
            self._find_ids(traces, of_kind[keys.EXTERNAL_ID.prefix])
            self._find_early(traces, of_kind[keys.EARLY.prefix], names)
            self._find_letters(traces, of_kind[keys.DEAD_LETTER.prefix], names, elsewhere)
            for listed in of_kind[keys.LIST.prefix]:
                self._find_listed(traces, listed)

    def _find_ids(self, traces: Traces, names: Sequence[str]) -> None:
        """Of the ids and marks those that name one of their messages."""
        leads = self._ask(keys.EXTERNAL_ID, names, lambda asked, key: asked.get(key))
        for name, message in zip(names, leads, strict=True):
            if message in traces.ids:
                traces.add(keys.EXTERNAL_ID.prefix, name)

    def _find_early(self, traces: Traces, early: Sequence[str], names: Collection[str]) -> None:
        for one, reports in zip(early, self._ask(keys.EARLY, early, lambda a, key: a.lrange(key, 0, -1)), strict=True):
            if any(names_in(report, names) for report in reports or ()):
                traces.add(keys.EARLY.prefix, one)

    def _find_letters(
        self, traces: Traces, ids: Sequence[str], names: Collection[str], elsewhere: Collection[str]
    ) -> None:
        found = list[str]()
        for one, known in zip(ids, self._ask(keys.DEAD_LETTER, ids, _hmget(["mailbox", "lane"])), strict=True):
            mailbox, where = known or (None, None)
            if mailbox and traces.owns(keys.QUEUE.prefix, mailbox):
                traces.letters.add(one)
            elif not mailbox and where not in elsewhere:
                found.append(one)
        for some in _pieces(found, STEP // 20):
            webhooks = self._ask(keys.DEAD_LETTER, some, lambda asked, key: asked.hget(key, "webhook"))
            traces.webhooks.update(
                one for one, raw in zip(some, webhooks, strict=True) if raw and _speaks_of(raw, names)
            )

    def _find_listed(self, traces: Traces, name: str) -> None:
        for some in _pieces(sorted(traces.ids)):
            found = self._members(keys.LIST, (name,), some)
            if found:
                traces.listed.setdefault(name, set()).update(found)

    def _find_places(self, traces: Traces, lanes: Sequence[str]) -> None:
        traces.polled.update(self._members(keys.POLLS, (), traces.conversations))
        whys = self._ask(keys.LANE, lanes, lambda asked, key: asked.hget(key, "paused_why"))
        names = traces.names
        traces.whys = {lane: why for lane, why in zip(lanes, whys, strict=True) if why and names_in(why, names)}

    # what is removed

    def _remove(self, traces: Traces, *, consent: bool) -> bool:
        """Whether messages came meanwhile."""
        for prefix in ELSEWHERE:
            self._unlink(prefix, traces.keys.get(prefix, ()))
        for name, ids in traces.listed.items():
            key = self._connection.key(keys.LIST, name)
            for some in _pieces(sorted(ids)):
                self._connection.guard(partial(self._client.zrem, key, *some))
        for letter in sorted(traces.letters | traces.webhooks):
            self._dead_letters.discard(letter)
        self._unlink(keys.MESSAGE.prefix, traces.messages)
        self._unlink(keys.ALIAS.prefix, traces.keys.get(keys.ALIAS.prefix, ()))
        late = self._run(traces, self._lanes(), traces.conversations, consent=consent)
        traces.messages.update(late)
        traces.ids.update(late)
        return bool(late)

    def _run(
        self, traces: Traces, lanes: Sequence[str], conversations: Sequence[str] = (), *, consent: bool = False
    ) -> list[str]:
        """Drop what waits for them and, of `conversations`, all that stands under their names; the ids of messages that
        were still there."""
        direct = [f"{one}|{direction}" for one in traces.conversations for direction in DIRECTIONS]
        request = {"lanes": lanes, "whys": (), "conversations": (), "consent": consent}
        for some in _pieces(traces.mailboxes.keys() - set(direct), STEP // 10):
            self._connection.run("forget", {**request, "mailboxes": some})
        request |= {"mailboxes": direct, "conversations": conversations, "whys": list(traces.whys.items())}
        return list(self._connection.run("forget", request))

    def _unlink(self, prefix: str, names: Iterable[str]) -> None:
        for some in _pieces(sorted(names)):
            full = [f"{self._connection.prefix}{prefix}:{name}" for name in some]
            self._connection.guard(partial(self._client.unlink, *full))

    # how Redis is asked

    def _lanes(self) -> list[str]:
        """All that there are, also of an earlier configuration."""
        key, client = self._connection.key, self._client
        return sorted(
            self._connection.guard(lambda: {*client.hkeys(key(keys.LANES)), *client.smembers(key(keys.BUSY))})
        )

    def _walk(self) -> Iterator[list[tuple[str, str]]]:
        """All keys, some at a time: prefix and rest."""
        prefix, cursor = self._connection.prefix, 0
        match = re.sub(r"([\[\]*?\\])", r"\\\1", prefix) + "*"
        while True:
            cursor, names = self._connection.guard(partial(self._client.scan, cursor, match=match, count=STEP))
            yield [split(name.removeprefix(prefix)) for name in names]
            if not cursor:
                return

    def _members(self, key: Key, name: Sequence[str], members: Sequence[str]) -> list[str]:
        """Of `members` those that stand in a sorted set."""
        full = self._connection.key(key, *name)

        def ask(asked: Any, member: str) -> None:
            asked.zscore(full, member)

        places = self._pipeline(partial(_asked, ask, members))
        return [one for one, place in zip(members, places, strict=True) if place is not None]

    def _ask(self, key: Key, names: Sequence[str], ask: Callable[[Any, str], object]) -> list[Any]:
        """The answer about each of the keys, None for one of another type; some at a time."""
        answers = list[Any]()
        for some in _pieces(names):
            full = [self._connection.key(key, one) for one in some]
            answers += self._pipeline(partial(_asked, ask, full))
        return answers

    def _pipeline(self, fill: Callable[[Any], object]) -> list[Any]:
        def call() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            fill(pipeline)
            return [_answer(one) for one in pipeline.execute(raise_on_error=False)]

        return list(self._connection.guard(call))


def _asked(ask: Callable[[Any, str], object], names: Iterable[str], pipeline: Any) -> None:
    for name in names:
        ask(pipeline, name)


def _pieces(names: Iterable[str], size: int = STEP) -> Iterator[list[str]]:
    every = list(names)
    for first in range(0, len(every), size):
        yield every[first : first + size]


def _answer(answer: Any) -> Any:
    """Raises: redis.ResponseError, for anything but a key of another type than the map has."""
    if not isinstance(answer, redis.RedisError):
        return answer
    if str(answer).startswith("WRONGTYPE"):
        return None
    raise answer


def _grouped(names: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for prefix, rest in names:
        found[prefix].append(rest)
    return found


def _hmget(fields: list[str]) -> Callable[[Any, str], object]:
    return lambda asked, key: asked.hmget(key, fields)


def _speaks_of(webhook: str, names: Collection[str]) -> bool:
    """Whether a dead letter's webhook names them."""
    try:
        kept = orjson.loads(webhook)
    except orjson.JSONDecodeError:
        return names_in(webhook, names)
    return isinstance(kept, dict) and mentions(kept, names)
