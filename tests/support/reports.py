"""What became of agents' messages, as the shop reports it and the desk hears it."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tests.support.shop import Shop, status
from tests.support.sink import Call
from tests.support.traffic import Ledger, Replies

LADDER = ("sent", "delivered", "read")


@dataclass
class Reports(Replies):
    """The shop reports of each message that it was sent, delivered and read, and while `shuffled` in any order, one of
    these twice, and the first before it has even taken the message. A message arrived when the desk hears that it was
    read; a report is disordered if the desk heard a later one before, and repeated if it heard this very one."""

    shuffled: bool = False
    heard: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _texts: dict[str, str] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def ledger(self) -> Ledger:
        pairs = [pair for heard in self.heard.values() for pair in itertools.pairwise(map(LADDER.index, heard))]
        return replace(
            super().ledger(),
            disordered=sum(after < before for before, after in pairs),
            repeated=sum(len(heard) - len({*heard}) for heard in self.heard.values()),
        )

    def _text_of(self, call: Call) -> str:
        told = call.json
        if call.path.startswith("/shop"):
            message = told["data"]
            self._texts[message["id"]] = message["content"]["text"]
            self._report(message["id"])
            return ""
        event = told["events"][0]
        message_id, value = event["mId"], event["status"]["value"]
        self.heard[message_id].append(value)
        return self._texts[message_id] if value == LADDER[-1] else ""

    def _report(self, message_id: str) -> None:
        order = list(LADDER)
        if self.shuffled:
            dice = random.Random(message_id)
            order = dice.sample([*LADDER, dice.choice(LADDER)], 4)
            self._post(message_id, [order.pop(0)])
        self._pool.submit(self._post, message_id, order)

    def _post(self, message_id: str, order: list[str]) -> None:
        shop = Shop(self.url)
        for value in order:
            event_id = f"{message_id}-{random.randrange(10**9)}"
            self._is_taken(
                lambda text, event_id=event_id, value=value: shop.post(event_id, status(text, value)), message_id
            )
