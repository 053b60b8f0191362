"""A gateway on a real Redis with a clock that is moved by hand, a bot, a desk and a shop that record what they get."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from app.core.events import Ended, Reported, Written
from app.core.message import Content, Text
from app.gateway import Gateway
from app.inbox import Inbox
from tests.support.gateway import Clock, gateway, recorder, run_until_quiet
from tests.support.sink import Call, Sink, Told, sink


def bot_says(*texts: str, task: str = "chat", listen: bool = True, memory: dict[str, Any] | None = None) -> Told:
    """An Autopilot answer."""
    body: dict[str, Any] = {
        "response": {"says": [{"text": text} for text in texts]},
        "dialogue": {"sid": "UK" + "3" * 32, "current_task": task, "memory": memory or {}},
    }
    if listen:
        body["response"]["listen"] = {}
    return Told(body=json.dumps(body).encode())


@dataclass
class Office:
    """One gateway and its surroundings. `numbers` makes external ids."""

    gateway: Gateway
    clock: Clock
    bot: Sink
    desk: Sink
    shop: Sink
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def customer_writes(self, text: str | Content, customer: str = "ada", **more: Any) -> str:
        """Accept a message of the customer; our id of it."""
        content = Text(text) if isinstance(text, str) else text
        event = Written(content, external_id=f"m-{next(self.numbers)}", customer=f"webhook:{customer}", **more)
        return self.accept("shop", event)

    def agent_writes(self, text: str | Content, customer: str = "ada") -> str:
        content = Text(text) if isinstance(text, str) else text
        event = Written(content, author="agent", conversation=f"shop/webhook:{customer}", window=0.001)
        self.clock.advance(1)
        return self.accept("desk", event)

    def customer_ends(self, customer: str = "ada", external_id: str | None = None) -> None:
        inbox = Inbox(self.gateway)
        inbox.accept("shop", Ended(external_id, customer=f"webhook:{customer}"))
        self.gateway.publisher.publish(inbox.wakes)

    def shop_reports(self, ref: str, status: Any, error: str | None = None) -> None:
        inbox = Inbox(self.gateway)
        inbox.accept("shop", Reported(ref, status, error))
        self.gateway.publisher.publish(inbox.wakes)

    def work(self) -> int:
        return run_until_quiet(self.gateway)

    def work_later(self, seconds: float) -> int:
        """Let time pass, then work."""
        self.clock.advance(seconds)
        recorder(self.gateway).wakes += self.gateway.store.mailboxes.sweep()
        return self.work()

    def status(self, message_id: str) -> str:
        record = self.gateway.store.messages.read(message_id)
        assert record is not None
        return record.status

    def asked(self) -> list[str]:
        """What the bot was asked."""
        return [call.form["Text"][0] for call in self.bot.calls]

    def said(self) -> list[str]:
        """What the customer was told."""
        data = [call.json for call in self.shop.calls]
        return [d["data"]["content"].get("text", "") for d in data if d["type"] == "message.created"]

    def seen(self) -> list[tuple[str, str]]:
        """(kind, text) of all that the desk was sent."""
        events = [call.json["events"][0] for call in self.desk.calls]
        return [(e["type"], e["message"]["text"]) for e in events if "message" in e]

    def letters(self) -> list[str]:
        return [f"{letter.reason}: {letter.error}" for letter in self.gateway.store.dead_letters.newest()]

    def accept(self, name: str, event: Written) -> str:
        inbox = Inbox(self.gateway)
        accepted = inbox.accept(name, event)
        self.gateway.publisher.publish(inbox.wakes)
        assert accepted.message_id is not None
        return accepted.message_id


MakeOffice = Callable[..., Office]


@pytest.fixture
def make_office(redis_client: redis.Redis) -> Iterator[MakeOffice]:
    """Builds an office with changes to its configuration (see `tests.support.gateway.tables`)."""
    with sink() as bot, sink() as desk, sink() as shop:
        bot.answer = _echo

        def make(**changes: Any) -> Office:
            clock = Clock()
            built = gateway(
                redis_client,
                clock,
                send_url=f"{shop.url}/patchbay",
                bot_url=bot.url,
                desk_url=f"{desk.url}/desk",
                **changes,
            )
            return Office(built, clock, bot, desk, shop)

        yield make


@pytest.fixture
def make(make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch) -> MakeOffice:
    """Offices whose receivers have Redis's clock."""

    def built(**changes: Any) -> Office:
        office = make_office(**changes)
        monkeypatch.setattr("app.written.now", office.clock)
        return office

    return built


@pytest.fixture
def office(make_office: MakeOffice) -> Office:
    return make_office()


def _echo(call: Call) -> Told:
    text = call.form["Text"][0]
    if "human" in text:
        return bot_says("I fetch somebody.", task="talk_to_human", listen=False, memory={"order": "1001"})
    return bot_says(f"You said: {text}")
