"""The sums of what messages cost, as the steps that cause them have booked them (`book` in `scripts`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import orjson

from app.core.costs import Costs, MessageCosts, day_number, day_of
from app.store.connection import Connection
from app.store.keys import COSTS_OF_CONVERSATION, COSTS_OF_DAY, MESSAGE
from app.store.messages import own_cost

DAY_MS = 86_400_000
MESSAGE_FIELDS = MESSAGE.short(
    "conversation", "cost", "cost_what", "cost_nanos", "cost_day", "price_reported", "cost_refs"
)


class CostBook:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def today(self) -> date:
        """The day (UTC) on which something would be booked now."""
        return day_of(self._connection.now() // DAY_MS)

    def days(self, first: date, last: date, channel: str = "") -> list[Costs]:
        """Each day's costs of each channel (or of the one), from `first` to `last`, where something was booked."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        pipeline = self._client.pipeline(transaction=False)
        for day in days:
            pipeline.hgetall(self._connection.key(COSTS_OF_DAY, str(day_number(day))))
        found: dict[tuple[date, str], Costs] = {}
        for day, booked in zip(days, self._connection.guard(pipeline.execute), strict=True):
            for where, nanos in sorted(booked.items()):
                name, _, what = where.partition("|")
                if channel in ("", name):
                    found[day, name] = found.get((day, name), Costs(day, name)).plus(what, int(nanos))
        return list(found.values())

    def conversation(self, conversation: str) -> Costs | None:
        """All that was booked for a conversation; None if nothing was, or it is forgotten."""
        booked = self._connection.of_person(
            COSTS_OF_CONVERSATION, conversation, lambda client, key: client.hgetall(key)
        )
        return _all_of((what, int(nanos)) for what, nanos in booked.items()) if booked else None

    def message(self, message_id: str) -> MessageCosts | None:
        """What one message cost; None if there is none (any more)."""
        key = self._connection.key(MESSAGE, message_id)
        fields = MESSAGE.short(
            "conversation", "cost", "cost_what", "cost_nanos", "cost_day", "price_reported", "cost_refs"
        )
        conversation, total, what, nanos, day, reported, refs = self._connection.guard(
            lambda: self._client.hmget(key, fields)
        )
        if conversation is None:
            return None
        own = own_cost(total, what, nanos) or 0
        return MessageCosts(
            conversation,
            message=own,
            turns=int(total or 0) - own,
            day=day_of(int(day)) if day else None,
            reported=bool(reported),
            refs=tuple(orjson.loads(refs)) if refs else (),
        )

    def reported(self, message_id: str, nanos: int) -> bool:
        """A platform's price takes the place of what was booked for the message itself; False if it is forgotten."""
        return bool(self._connection.run("price", {"id": message_id, "nanos": nanos}))


def _all_of(booked: Iterable[tuple[str, int]]) -> Costs:
    found = Costs()
    for what, nanos in booked:
        found = found.plus(what, nanos)
    return found
