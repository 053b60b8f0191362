"""Kill -9 of workers, the receiver and Redis in a load: nothing is lost, order is kept, and repeats happen
only where a kill left an outcome unknown. They are counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import redis

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Call, Sink, Told, sink

CONVERSATIONS = 100
CONCURRENCY = 4


@pytest.mark.parametrize(("messages", "kills"), [(500, 2), pytest.param(2_000, 5, marks=pytest.mark.long)])
def test_it_loses_nothing_when_any_process_is_killed(messages: int, kills: int, tmp_path: Path) -> None:
    with sink() as desk:
        desk.answer = _slowly
        config = tmp_path / "patchbay.toml"
        raw = tables(
            desk_url=f"{desk.url}/desk",
            channels__shop={"destination": "desk", "handoff": "helper", "statuses": False},
            destinations__desk={"timeout": 1.0, "concurrency": CONCURRENCY},
        )
        config.write_text(toml.dumps(raw))
        server = RedisServer(tmp_path)
        server.start()
        system = System(config, server.url, tmp_path)
        system.start(workers=2)
        try:
            writer = threading.Thread(target=_write_all, args=(Shop(system.url), messages))
            writer.start()
            for number in range(kills):
                _wait_for(desk, (number + 1) * messages // 10)
                system.workers[number].kill()
                system.add_worker()
            _wait_for(desk, messages * 6 // 10)
            system.receiver.kill()
            system.receiver.start()
            _wait_for(desk, messages * 7 // 10)
            server.kill()
            time.sleep(0.5)  # an outage that the receiver and the workers notice
            server.start()
            writer.join(120)
            wait_until("all messages are delivered", lambda: len(set(_delivered(desk))) == messages, 120)
            wait_until("the mailboxes are empty", lambda: not _left(server), 60)
        finally:
            system.stop()
            server.stop()
        _check(_delivered(desk), messages, kills)


def _check(delivered: list[str], messages: int, kills: int) -> None:
    expected = {f"{c}:{n}" for c in range(CONVERSATIONS) for n in range(messages // CONVERSATIONS)}
    assert expected == set(delivered)
    in_order: dict[str, list[int]] = defaultdict(list)
    repeats = Counter(delivered)
    for text in dict.fromkeys(delivered):  # each message where it came first
        conversation, _, number = text.partition(":")
        in_order[conversation].append(int(number))
    assert all(numbers == sorted(numbers) for numbers in in_order.values())
    repeated = sum(count - 1 for count in repeats.values())
    print(f"{repeated} of {messages} messages came twice; {kills} workers, the receiver and Redis were killed")
    assert repeated <= kills * CONCURRENCY  # each kill leaves at most what its worker had in hand


def _write_all(shop: Shop, messages: int) -> None:
    for number in range(messages):
        conversation = number % CONVERSATIONS
        shop.write_until_taken(f"m-{number}", f"v-{conversation}", f"{conversation}:{number // CONVERSATIONS}")


def _slowly(call: Call) -> Told:
    time.sleep(0.002)  # so that a kill finds attempts in mid-air
    return Told()


def _delivered(desk: Sink) -> list[str]:
    return [call.json["events"][0]["message"]["text"] for call in list(desk.calls)]


def _wait_for(desk: Sink, count: int) -> None:
    wait_until(f"{count} messages are delivered", lambda: len(desk.calls) >= count, 120)


def _left(server: RedisServer) -> int:
    with redis.Redis(port=server.port) as client:
        return int(client.hget("{patchbay}:lane:inbound:desk", "backlog") or 0)
