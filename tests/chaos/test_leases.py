"""A lease is short, and lasts for as long as its worker lives."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from tests.support.outages import house
from tests.support.processes import wait_until
from tests.support.shop import Shop
from tests.support.sink import Call, Told
from workers.lease import SHORT

FREE_WITHIN = SHORT + 7.0  # seconds, a busy machine's part among them; a whole lease of this lane is 45


def test_what_a_killed_worker_held_is_free_within_seconds(tmp_path: Path) -> None:
    hangs = threading.Event()
    with house(tmp_path, timeout=30.0) as running:

        def answer(call: Call) -> Told:
            if len(running.desk.calls) == 1:
                hangs.wait(60)
            return Told()

        running.desk.answer = answer
        Shop(running.system.url).write_until_taken("m-1", "ada", "hello")
        wait_until("it is in hand", lambda: running.desk.calls)
        running.system.workers[0].kill()
        running.system.add_worker()
        wait_until("another one has it", lambda: len(running.desk.calls) == 2, FREE_WITHIN)
        hangs.set()


def test_a_call_that_takes_longer_than_a_lease_is_made_once(tmp_path: Path) -> None:
    with house(tmp_path, timeout=30.0, workers=2) as running:

        def answer(call: Call) -> Told:
            time.sleep(SHORT + 2.0 if len(running.desk.calls) == 1 else 0.0)
            return Told()

        running.desk.answer = answer
        shop = Shop(running.system.url)
        shop.write_until_taken("m-1", "ada", "one")
        shop.write_until_taken("m-2", "ada", "two")
        wait_until("both are delivered", lambda: len(running.desk.calls) > 1)
        assert ["one", "two"] == [call.json["events"][0]["message"]["text"] for call in running.desk.calls]


def test_what_was_done_while_redis_was_away_for_longer_than_a_lease_is_not_done_again(tmp_path: Path) -> None:
    goes = threading.Event()
    with house(tmp_path, one_server=True, workers=2) as running:

        def answer(call: Call) -> Told:
            goes.wait(30)
            return Told()

        running.desk.answer = answer
        shop = Shop(running.system.url)
        shop.write_until_taken("m-1", "ada", "one")
        wait_until("it is in hand", lambda: running.desk.calls)
        os.kill(running.state.pid, signal.SIGKILL)
        goes.set()  # it is done, and nobody can be told
        time.sleep(SHORT + 2.0)
        running.state.kill()
        running.state.start()
        shop.write_until_taken("m-2", "ada", "two")
        wait_until("the second is delivered", lambda: len(running.desk.calls) > 1)
        assert ["one", "two"] == [call.json["events"][0]["message"]["text"] for call in running.desk.calls]


def test_a_worker_that_ends_while_redis_is_away_leaves_its_result_to_the_next_one(tmp_path: Path) -> None:
    with house(tmp_path, one_server=True) as running:
        worker, shop = running.system.workers[0], Shop(running.system.url)

        def answer(call: Call) -> Told:
            if len(running.desk.calls) == 1:
                running.state.kill()
            return Told()

        running.desk.answer = answer
        shop.write_until_taken("m-1", "ada", "one")
        wait_until("it is done, and nobody can be told", lambda: '"outcome":"done"' in worker.log.read_text())
        assert worker.stop(5.0) == 0
        assert "result kept" in worker.log.read_text()
        running.system.add_worker()
        running.state.start()
        shop.write_until_taken("m-2", "ada", "two")
        wait_until("the second is delivered", lambda: len(running.desk.calls) > 1)
        assert ["one", "two"] == [call.json["events"][0]["message"]["text"] for call in running.desk.calls]
        assert not list((tmp_path / "data" / "results").iterdir())
