"""Customers or agents who write steadily whatever happens, who gets it, and the ledger of what became of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import requests

from app.platforms.respondio.contacts import contact_id
from tests.support.gateway import DESK_TOKEN
from tests.support.shop import Shop
from tests.support.sink import Call, Sink, Told

ON_ITS_WAY = 0.5  # seconds for an answer to its sender
QUIET = 3.0  # seconds without a message, after which nothing more is on its way
Say = Callable[[str], requests.Response]


@dataclass(frozen=True)
class Ledger:
    """`accepted` webhooks, `refused` answers by status (0: none came), and of messages those `delivered`, `lost`,
    `repeated`, `disordered`. `without_hint`: refusals without `Retry-After`. `longest_gap` in seconds between two
    deliveries, which `arrived` when; `flows_after`: seconds from the end of the fault to the next one. `lost_but_owed`
    of the lost were not acknowledged so shortly before the fault that it may take them."""

    accepted: int
    refused: Counter[int]
    without_hint: int
    delivered: int
    lost: int
    repeated: int
    disordered: int
    longest_gap: float
    flows_after: float
    arrived: list[float] = field(repr=False)
    lost_but_owed: int


@dataclass
class Traffic:
    """Each of `customers` writes a message, repeats it until it is taken, waits `pause` seconds, and so on. The desk
    answers nobody before `rests_until`, and while there is a `fault` as that says (None: as ever). What it answers with
    an error did not arrive. While there is `over`, each message is said to all of these addresses at the same time."""

    url: str
    desk: Sink
    authority: str = ""  # the file of whoever signed the certificate of `url`
    customers: int = 6
    pause: float = 0.1
    over: Sequence[str] = ()
    taken: dict[str, float] = field(default_factory=dict)  # and when, for good
    refused: Counter[int] = field(default_factory=Counter)
    without_hint: int = 0  # refusals that do not say when to come again
    arrived: list[tuple[float, str]] = field(default_factory=list)
    rests_until: float = 0.0
    fault: Callable[[], Told] | None = None
    met: int = 0  # calls that were answered as the fault says
    began: float = 0.0  # when the fault was there
    loses: float = 0.0  # for so many seconds before that, what was taken may be lost
    returned: float = 0.0  # when it was over
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
        """All that may not be lost; where something may, whatever else is on its way came as well."""
        arrived = [*self.arrived]
        missing = {*self.taken} - {text for _, text in arrived}
        is_quiet = not self.loses or time.monotonic() - arrived[-1][0] > QUIET
        return is_quiet and not any(self.is_owed(self.began - self.taken[text]) for text in missing)

    def is_owed(self, before: float) -> bool:
        """Whether what was acknowledged so many seconds before the fault must arrive."""
        return not (self.loses and -ON_ITS_WAY < before < self.loses)

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
            flows_after=next((at - self.returned for at in times if at > self.returned), 0.0),
            arrived=times,
            lost_but_owed=sum(self.is_owed(self.began - self.taken[text]) for text in {*self.taken} - {*texts}),
        )

    def _arrive(self, call: Call) -> Told:
        time.sleep(max(0.0, self.rests_until - time.monotonic()))
        told = Told()
        if self.fault:
            self.met += 1
            told = self.fault()
        if told.status < 400 and (text := self._text_of(call)):
            self.arrived.append((time.monotonic(), text))
        return told

    def _text_of(self, call: Call) -> str:
        """What a message says; "" is none."""
        said: str = call.json["events"][0].get("message", {}).get("text", "") if call.path.startswith("/desk") else ""
        return said

    def _write(self, customer: int) -> None:
        over, says, number = tuple[str, ...](), list[Say](), 0
        with ThreadPoolExecutor() as together:
            while not self._over.wait(self.pause):
                if not says or over != tuple(self.over):
                    over = tuple(self.over)
                    says = [self._writer(customer, url) for url in over or (self.url,)]
                text = f"{customer}:{number}"
                if any([*together.map(lambda say, text=text: self._is_taken(say, text), says)]):
                    self.taken[text] = time.monotonic()
                    number += 1

    def _writer(self, customer: int, url: str) -> Say:
        shop = Shop(url, authority=self.authority)
        return lambda text: shop.write(f"m-{text}", f"v-{customer}", text)

    def _is_taken(self, say: Say, text: str) -> bool:
        """Whether it was taken before all is over; what was refused in the end may be recorded all the same."""
        while True:
            try:
                answer = say(text)
            except requests.RequestException:
                self.refused[0] += 1
            else:
                if answer.ok:
                    return True
                self.refused[answer.status_code] += 1
                self.without_hint += answer.status_code >= 429 and "retry-after" not in answer.headers
            if self._over.wait(0.1):
                return False


class Replies(Traffic):
    """The other direction: agents write at the desk, and the shop gets it for its customers."""

    def _text_of(self, call: Call) -> str:
        return call.json["data"]["content"]["text"] if call.path.startswith("/shop") else ""

    def _writer(self, customer: int, url: str) -> Say:
        session = requests.Session()
        session.trust_env, session.verify = False, self.authority or True
        url, headers = f"{url}/destinations/desk/message", {"authorization": f"Bearer {DESK_TOKEN}"}
        contact = contact_id(f"shop/webhook:v-{customer}")
        return lambda text: session.post(
            url, json={"contactId": contact, "message": {"type": "text", "text": text}}, headers=headers, timeout=10
        )


def _disordered(texts: list[str]) -> int:
    """How many came after a later one of their customer, when they came first."""
    last: dict[str, int] = {}
    found = 0
    for text in dict.fromkeys(texts):
        customer, _, number = text.partition(":")
        found += int(number) < last.get(customer, -1)
        last[customer] = max(last.get(customer, -1), int(number))
    return found
