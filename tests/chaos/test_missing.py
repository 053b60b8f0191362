"""A worker starts, and something is missing: the state, the broker, a platform that is no longer configured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Sink, sink


@dataclass(frozen=True)
class House:
    """Nothing of it runs so far, and state and broker are two servers; `desk` gets what customers write."""

    config: Path
    system: System
    state: RedisServer
    broker: RedisServer
    desk: Sink

    def receive(self, *texts: str) -> None:
        """Take messages."""
        if not self.system.ready:
            self.system.start(workers=0)
        for text in texts:
            Shop(self.system.url).write_until_taken(f"m-{text}", "ada", text)

    def delivered(self) -> list[str]:
        return [call.json["events"][0]["message"]["text"] for call in list(self.desk.calls)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with sink() as desk:
        config = tmp_path / "patchbay.toml"
        raw = tables(desk_url=f"{desk.url}/desk", channels__shop={"destination": "desk", "handoff": "helper"})
        config.write_text(toml.dumps(raw))
        folders = [tmp_path / name for name in ("state", "broker")]
        for folder in folders:
            folder.mkdir()
        state, broker = map(RedisServer, folders)
        system = System(config, state.url, tmp_path, broker_url=broker.url)
        yield House(config, system, state, broker, desk)
        for process in (system, state, broker):
            process.stop()


def test_a_worker_that_starts_before_the_state_waits_for_it(house: House) -> None:
    house.broker.start()
    worker = house.system.add_worker()
    wait_until("it says so", lambda: "store unavailable" in worker.log.read_text())
    time.sleep(3)  # it tries again and again, and says nothing more
    house.state.start()
    house.receive("hello")
    wait_until("it is delivered", lambda: house.delivered() == ["hello"])
    said = [orjson.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
    told = [(line["event"], line["redis"]) for line in said if line["part"] == "store"]
    where = house.state.url
    assert told == [("store unavailable", where), ("store is back", where)]
    assert "Traceback" not in worker.log.read_text()


def test_a_worker_works_off_what_waits_while_the_broker_is_away(house: House) -> None:
    house.state.start()
    house.receive("one", "two")
    worker = house.system.add_worker()
    wait_until("both are delivered", lambda: house.delivered() == ["one", "two"])
    assert worker.stop() == 0
    house.system.add_worker()
    house.broker.start()
    house.receive("three")
    wait_until("the third is delivered", lambda: house.delivered() == ["one", "two", "three"])


def test_what_waits_for_a_platform_that_is_no_longer_configured_goes_to_who_answers_first(house: House) -> None:
    house.state.start()
    house.broker.start()
    house.receive("hello")
    raw = tables(bot_url=house.desk.url)
    del raw["destinations"]["desk"], raw["channels"]["shop"]["handoff"], raw["channels"]["chat"]["handoff"]
    house.config.write_text(toml.dumps(raw))
    house.system.add_worker()
    wait_until("the bot is asked", lambda: [call.form.get("Text") for call in house.desk.calls] == [["hello"]])


def test_a_fleet_whose_broker_went_away_ends_when_it_is_asked_to(house: House) -> None:
    house.state.start()
    house.broker.start()
    worker = house.system.add_worker()
    house.receive("one")
    wait_until("it is delivered", lambda: house.delivered() == ["one"])
    house.broker.kill()
    assert worker.stop() == 0
