"""A Redis whose memory is full, with the broker in it: nothing more is taken, and what waits is worked off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import redis

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Call, Sink, Told, sink
from tests.workers.conftest import bot_says

MESSAGES, CONVERSATIONS = 200, 40
PAUSE = Told(status=429, headers={"retry-after": "1"})  # all drains leave; somebody must come back to the lane


@dataclass(frozen=True)
class Fleet:
    """A receiver without workers so far."""

    system: System
    server: RedisServer
    bot: Sink
    shop: Sink

    def memory(self, most: int) -> None:
        with redis.Redis(port=self.server.port) as client:
            client.config_set("maxmemory", most)

    def answers(self) -> list[str]:
        """What the shop was told, in order."""
        told = [call.json for call in list(self.shop.calls)]
        return [envelope["data"]["content"]["text"] for envelope in told if envelope["type"] == "message.created"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with sink() as bot, sink() as shop:
        numbers = count()
        bot.answer = lambda call: PAUSE if next(numbers) == MESSAGES // 2 else _answer(call)
        config = tmp_path / "patchbay.toml"
        raw = tables(send_url=f"{shop.url}/patchbay", bot_url=bot.url, channels__shop={"statuses": False})
        config.write_text(toml.dumps(raw))
        server = RedisServer(tmp_path)
        server.start()
        system = System(config, server.url, tmp_path)
        system.start(workers=0)
        yield Fleet(system, server, bot, shop)
        system.stop()
        server.stop()


@pytest.mark.parametrize(
    "when", [pytest.param("before the fleet starts", marks=pytest.mark.long), "while the fleet works"]
)
def test_what_waits_is_worked_off_and_no_more_is_taken(fleet: Fleet, when: str) -> None:
    shop = Shop(fleet.system.url)
    for number in range(MESSAGES):
        conversation = f"v-{number % CONVERSATIONS}"
        assert shop.write(f"m-{number}", conversation, f"{conversation}: {number}").status_code == 202
    if when == "before the fleet starts":
        fleet.memory(1)
    fleet.system.add_worker()
    fleet.system.add_worker()
    if when == "while the fleet works":
        wait_until("work has begun", lambda: len(fleet.bot.calls) >= CONVERSATIONS)
        fleet.memory(1)
    refused = shop.write("m-more", "v-0", "v-0: more")
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    wait_until("all is answered", lambda: len(fleet.answers()) >= MESSAGES, 60)
    asked = list(dict.fromkeys(call.form["Text"][0] for call in fleet.bot.calls))
    assert Counter(fleet.answers()) == Counter(f"You said: {text}" for text in asked)
    for conversation in range(CONVERSATIONS):
        mine = [f"v-{conversation}: {number}" for number in range(conversation, MESSAGES, CONVERSATIONS)]
        assert mine == [text for text in asked if text.startswith(f"v-{conversation}:")]

    fleet.memory(0)
    shop.write_until_taken("m-more", "v-0", "v-0: more")
    wait_until("the refused one is answered", lambda: fleet.answers()[-1] == "You said: v-0: more")


def test_a_worker_that_waits_for_room_ends_when_it_is_asked_to(fleet: Fleet) -> None:
    fleet.memory(1)
    worker = fleet.system.add_worker()
    wait_until("it found no room", lambda: "wake-up not published" in worker.log.read_text())
    assert worker.stop() == 0
    assert "Traceback" not in worker.log.read_text()


def _answer(call: Call) -> Told:
    return bot_says(f"You said: {call.form['Text'][0]}")
