"""Messages after they were accepted: status reports about them, their records, the transcript, the live stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import redis
from msgspec import Struct

from app.core.message import Message, decode, encode, split_conversation
from app.core.status import Status
from app.core.work import Wake
from app.store.connection import Connection
from app.store.keys import LIST, LIVE, MESSAGE, TIMELINE
from app.store.limits import Limits
from app.store.wire import wakes_of

FIELDS = MESSAGE.short("body", "status", "error", "external_id", "status_at", "cost", "cost_what", "cost_nanos")
"""Of a record, as `_record` reads them."""
CHUNK = 200  # of a list, read at once
LIVE_ENTRIES, LIVE_BYTES = 40, 65_536  # of a stream, read at once; a single message may be longer
FOREVER = 2**53
Position = tuple[int, str]
"""Of a message in a list: when Patchbay took it, in Unix ms, and its id."""


class Record(Struct, frozen=True):
    """`error` says why it failed, or why the last try did not succeed; `external_id` is the target's own; `changed_at`
    is when its status last climbed, in Unix ms (0: never); `cost` what was booked for the message itself, in nanos."""

    message: Message
    status: Status
    error: str = ""
    external_id: str = ""
    changed_at: int = 0
    cost: int | None = None


class LiveEntry(Struct, frozen=True):
    """One entry of a customer's stream: kind `message`, `status`, `typing` or `ended`. `position` resumes after it."""

    position: str
    kind: str
    record: Record | None = None
    message_id: str = ""
    status: str = ""
    error: str = ""


class Messages:
    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._client = connection.client
        self._limits = limits

    def report(
        self, ref: str, status: Status, *, scope: str, direction: str, owner: str, error: str = "", wait: bool = True
    ) -> tuple[str, tuple[Wake, ...]]:
        """Apply a platform's report about a message, named by our id or by its own (`scope`).

        Args:
            wait: keep a report about an id that is not known yet; else it is `foreign`.
            owner: the one conversation that the report may speak of; `channel/` for all of a channel, '' for all.

        Returns:
            `climbed`, `unchanged`, `early` (waits for the receipt) or `foreign` (not the reporter's message).
        """
        request = {
            "ref": ref,
            "scope": scope,
            "direction": direction,
            "owner": owner,
            "status": status,
            "error": error[:500],
            "wait": wait,
        }
        state, *wakes = self._connection.run("report", request)
        return state, wakes_of(wakes)

    def read(self, message_id: str) -> Record | None:
        """One message's record; None if there is none (any more)."""
        return self.read_many([message_id])[0]

    def read_many(self, message_ids: list[str]) -> list[Record | None]:
        def call() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for message_id in message_ids:
                pipeline.hmget(self._connection.key(MESSAGE, message_id), FIELDS)
            return pipeline.execute()

        return [_record(row) for row in self._connection.guard(call)] if message_ids else []

    def timeline(self, conversation: str, most: int = 50) -> list[Record]:
        """The newest messages of a conversation, both directions, oldest first."""
        key = self._connection.key(TIMELINE, conversation)
        ids = self._connection.guard(lambda: self._client.lrange(key, -most, -1))
        return [record for record in self.read_many(ids) if record]

    def newest(
        self, listed: str, *, since: int = 0, until: int | None = None, behind: Position | None = None
    ) -> Iterator[tuple[Position, Record]]:
        """The messages of a list, the newest first, with the positions behind which it goes on. What comes or goes
        meanwhile moves none of the others.

        Args:
            since, until: Unix ms when Patchbay took them, both included.
        """
        key = self._connection.key(LIST, listed)
        last = min(until if until is not None else FOREVER, behind[0] if behind else FOREVER)
        start = 0  # among those of the moment `last`
        while True:
            read = partial(self._client.zrevrangebyscore, key, last, since, start=start, num=CHUNK, withscores=True)
            rows = [(int(at), name) for name, at in self._connection.guard(read)]
            places = [place for place in rows if behind is None or place < behind]
            for place, record in zip(places, self.read_many([name for _, name in places]), strict=True):
                if record:
                    yield place, record
            if len(rows) < CHUNK:
                return
            behind, ended = places[-1] if places else behind, rows[-1][0]
            start = start + CHUNK if ended == last else 0
            last = ended

    def newer(self, listed: str, since: Position, until: int | None = None) -> Iterator[tuple[Position, Record]]:
        """The messages of a list from that position on, it included, the oldest first; `until` in Unix ms."""
        key, start = self._connection.key(LIST, listed), 0
        last = FOREVER if until is None else until
        while True:
            read = partial(self._client.zrangebyscore, key, since[0], last, start=start, num=CHUNK, withscores=True)
            rows = [(int(at), name) for name, at in self._connection.guard(read)]
            places = [place for place in rows if place >= since]
            for place, record in zip(places, self.read_many([name for _, name in places]), strict=True):
                if record:
                    yield place, record
            if len(rows) < CHUNK:
                return
            start += CHUNK

    def cancel(self, conversation: str, message_ids: Sequence[str], error: str) -> tuple[bool, tuple[Wake, ...]]:
        """Call off a message with all its parts; False if it is too late."""
        retention = self._limits.retention_of(split_conversation(conversation)[0])
        request = {"ids": list(message_ids), "cv": conversation, "retention": retention, "error": error}
        state, *wakes = self._connection.run("cancel", request)
        return state == "ok", wakes_of(wakes)

    def rewrite(self, messages: Sequence[Message]) -> bool:
        """Store other contents of messages of one conversation; False if one of them still waits."""
        bodies = [{"id": message.id, "body": encode(message).decode()} for message in messages]
        return self._rewrite(messages[0].conversation, bodies, ())

    def forget(self, messages: Sequence[Message], lists: Sequence[str]) -> bool:
        """Forget messages of one conversation that stand in those lists; False if one of them still waits."""
        return self._rewrite(messages[0].conversation, [{"id": message.id, "body": ""} for message in messages], lists)

    def _rewrite(self, conversation: str, messages: list[dict[str, str]], lists: Sequence[str]) -> bool:
        request = {"messages": messages, "cv": conversation, "lists": list(lists)}
        return bool(self._connection.run("rewrite", request) == "ok")

    def live(self, conversation: str, after: str, wait: float) -> list[LiveEntry]:
        """The next entries of the customer's stream after a position ('0': the first), waiting up to `wait` seconds.
        Never more than `LIVE_ENTRIES`, nor, but for a single message, than `LIVE_BYTES` of messages."""
        key = self._connection.key(LIVE, conversation)
        try:
            answer = self._connection.guard(
                lambda: self._client.xread({key: after}, count=LIVE_ENTRIES, block=int(wait * 1000) or None)
            )
        except redis.ResponseError:
            if after == "0":
                raise
            return self.live(conversation, "0", wait)  # a position that is none of ours
        rows = [row for _, stream in cast("list[Any]", answer or []) for row in stream]
        return self._entries(self._fitting(rows))

    def _fitting(self, rows: list[Any]) -> list[Any]:
        """The first of these entries whose messages may be read at once."""
        places = [place for place, (_, fields) in enumerate(rows) if fields["kind"] == "message"]
        if len(places) < 2:
            return rows
        left = LIVE_BYTES
        for place, size in zip(places, self._sizes([rows[place][1]["id"] for place in places]), strict=True):
            left -= size
            if left < 0 and place != places[0]:
                return rows[:place]
        return rows

    def _sizes(self, message_ids: list[str]) -> list[int]:
        def call() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for message_id in message_ids:
                pipeline.hstrlen(self._connection.key(MESSAGE, message_id), "body")
            return pipeline.execute()

        return list(self._connection.guard(call))

    def _entries(self, rows: list[Any]) -> list[LiveEntry]:
        ids = [fields["id"] for _, fields in rows if fields["kind"] == "message"]
        records = dict(zip(ids, self.read_many(ids), strict=True))
        return [
            LiveEntry(
                position=position,
                kind=fields["kind"],
                record=records.get(fields.get("id", "")) if fields["kind"] == "message" else None,
                message_id=fields.get("id", ""),
                status=fields.get("status", ""),
                error=fields.get("error", ""),
            )
            for position, fields in rows
        ]


def _record(row: list[Any]) -> Record | None:
    body, status, error, scope, changed_at, *booked = row
    if body is None:
        return None
    external_id = scope.split(":", 2)[2] if scope else ""
    return Record(
        decode(body),
        cast("Status", status or "queued"),
        error or "",
        external_id,
        int(changed_at or 0),
        own_cost(*booked),
    )


def own_cost(total: str | None, what: str | None, nanos: str | None) -> int | None:
    """What a message itself cost, of its record's `co`, `cw` and `cn`; None if nothing was booked for it.

    Only a customer's messages have turns beside; one to them may have failed, and then costs nothing by itself.
    """
    return None if what is None else int((nanos if what == "inbound" else total) or 0)
