"""Only what kills its worker becomes a dead letter, not what was in the same hands."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support.outages import House, house
from tests.support.processes import wait_until
from tests.support.shop import Shop
from tests.support.sink import Call, Told

CULPRIT = "kills"
KILLS = 4  # beside others, then three times alone
PATIENCE = 120.0  # seconds


@pytest.mark.parametrize("bystanders", [3, pytest.param(40, marks=pytest.mark.long)])
def test_a_message_that_kills_its_worker_takes_nothing_along(bystanders: int, tmp_path: Path) -> None:
    with house(tmp_path, timeout=5.0) as running:
        met = threading.Event()
        running.desk.answer = lambda call: _answer(call, met)
        shop = Shop(running.system.url)
        for number in range(bystanders):
            shop.write_until_taken(f"m-{number}", f"v-{number}", f"harmless {number}")
        shop.write_until_taken("m-culprit", "v-culprit", CULPRIT)
        for _ in range(KILLS):
            wait_until("the culprit is in hand", met.is_set, PATIENCE)
            running.system.workers[-1].kill()
            met.clear()
            running.system.add_worker()
        wait_until("all is told", lambda: _letters(running) and _waiting(running) == 0, PATIENCE)
        assert ["poison: m-culprit"] == _letters(running)
        assert {f"harmless {number}" for number in range(bystanders)} <= {_text(call) for call in running.desk.calls}


@pytest.mark.parametrize("harmless", [1, 4])
def test_harmless_messages_outlive_three_killed_workers(harmless: int, tmp_path: Path) -> None:
    with house(tmp_path, timeout=5.0) as running:
        goes_on = threading.Event()

        def answer(call: Call) -> Told:
            goes_on.wait(30)
            return Told()

        running.desk.answer = answer
        shop = Shop(running.system.url)
        for number in range(harmless):
            shop.write_until_taken(f"m-{number}", f"v-{number}", f"harmless {number}")
        for more in (harmless, 1, 1):
            calls = len(running.desk.calls) * (more == 1) + more
            wait_until("it is in mid-call", partial(_has, running, calls), PATIENCE)
            running.system.workers[-1].kill()
            running.system.add_worker()
        goes_on.set()
        wait_until("nothing waits", lambda: _waiting(running) == 0, PATIENCE)
        assert [] == _letters(running)


def _answer(call: Call, met: threading.Event) -> Told:
    """What is beside the culprit is in mid-call when its worker is killed."""
    if _text(call) == CULPRIT:
        met.set()
        time.sleep(4.0)
    else:
        met.wait(2.0)
        time.sleep(0.2)
    return Told()


def _has(running: House, calls: int) -> bool:
    return len(running.desk.calls) >= calls


def _text(call: Call) -> str:
    return str(call.json["events"][0]["message"]["text"])


def _waiting(running: House) -> int:
    with running.state.client() as client:
        return int(client.hget("{patchbay}:lane:inbound:desk", "backlog") or 0)


def _letters(running: House) -> list[str]:
    with running.state.client() as client:
        keys = client.zrange("{patchbay}:dead", 0, -1)
        found = [client.hmget(f"{{patchbay}}:d:{one}", "reason", "item") for one in keys]
        named = {str(item): client.hget(f"{{patchbay}}:m:{item.removeprefix('message ')}", "body") for _, item in found}
        texts = {item: "m-culprit" if f'"{CULPRIT}"' in str(body) else "harmless" for item, body in named.items()}
        return [f"{reason}: {texts[item]}" for reason, item in found]
