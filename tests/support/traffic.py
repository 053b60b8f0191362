"""Customers who write steadily whatever happens, the desk that gets it, and the ledger of what became of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import requests

from tests.support.shop import Shop
from tests.support.sink import Call, Sink, Told


@dataclass(frozen=True)
class Ledger:
    """`accepted` webhooks, `refused` answers by status (0: none came), and of messages those `delivered`, `lost`,
    `repeated`, `disordered`. `without_hint`: refusals without `Retry-After`. `longest_gap` in seconds between two
    deliveries, which `arrived` when."""

    accepted: int
    refused: Counter[int]
    without_hint: int
    delivered: int
    lost: int
    repeated: int
    disordered: int
    longest_gap: float
    arrived: list[float] = field(repr=False)


@dataclass
class Traffic:
    """Each of `customers` writes a message, repeats it until it is taken, waits `pause` seconds, and so on. The desk
    answers nobody before `rests_until`."""

    url: str
    desk: Sink
    customers: int = 6
    pause: float = 0.1
    taken: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    without_hint: int = 0  # refusals that do not say when to come again
    arrived: list[tuple[float, str]] = field(default_factory=list)
    rests_until: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self.desk.answer = self._arrive
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(self.customers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Nobody writes any more."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def is_all_there(self) -> bool:
        return {*self.taken} <= {text for _, text in [*self.arrived]}

    def ledger(self) -> Ledger:
        times, texts = [at for at, _ in self.arrived], [text for _, text in self.arrived]
        return Ledger(
            accepted=len(self.taken),
            refused=self.refused,
            without_hint=self.without_hint,
            delivered=len({*texts}),
            lost=len({*self.taken} - {*texts}),
            repeated=len(texts) - len({*texts}),
            disordered=_disordered(texts),
            longest_gap=max((after - before for before, after in itertools.pairwise(times)), default=0.0),
            arrived=times,
        )

    def _arrive(self, call: Call) -> Told:
        time.sleep(max(0.0, self.rests_until - time.monotonic()))
        text: str = call.json["events"][0]["message"]["text"]
        self.arrived.append((time.monotonic(), text))
        return Told()

    def _write(self, customer: int) -> None:
        shop, number = Shop(self.url), 0
        while not self._over.wait(self.pause):
            text = f"{customer}:{number}"
            if self._is_taken(shop, text, customer):
                self.taken.append(text)
                number += 1

    def _is_taken(self, shop: Shop, text: str, customer: int) -> bool:
        """Whether it was taken before all is over; what was refused in the end may be recorded all the same."""
        while True:
            try:
                answer = shop.write(f"m-{text}", f"v-{customer}", text)
            except requests.RequestException:
                self.refused[0] += 1
            else:
                if answer.status_code == 202:
                    return True
                self.refused[answer.status_code] += 1
                self.without_hint += "retry-after" not in answer.headers
            if self._over.wait(0.1):
                return False


def _disordered(texts: list[str]) -> int:
    """How many came after a later one of their customer, when they came first."""
    last: dict[str, int] = {}
    found = 0
    for text in dict.fromkeys(texts):
        customer, _, number = text.partition(":")
        found += int(number) < last.get(customer, -1)
        last[customer] = max(last.get(customer, -1), int(number))
    return found
