"""More lanes than workers have queues for: those who serve some of them are called for these, and for no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pytest

from app.tasks import MAX_QUEUES
from tests.benchmarks.site import configuration
from tests.support import toml
from tests.support.processes import RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Sink, sink

CHANNELS = MAX_QUEUES // 4 + 1  # each has two lanes, and its destination two
WORKED = re.compile(r'"lane":"([^"]+)".*"event":"attempt"')
PROMPT = 4.0  # seconds: less than it takes until a wake-up counts as lost
FLEETS = {
    "all of them": ["*"],
    "each some": ["inbound:d0", "inbound:d[1-9]*", "status:*,outbound:*"],
    "all of them, and some beside": ["*", "inbound:d0"],
}


@contextmanager
def system(folder: Path, outside: Sink, fleet: list[str]) -> Iterator[System]:
    config = folder / "patchbay.toml"
    config.write_text(toml.dumps(configuration(CHANNELS, outside.url)))
    redis = RedisServer(folder)
    redis.start()
    running = System(config, redis.url, folder)
    try:
        running.start(workers=0)
        for lanes in fleet:
            running.add_worker(lanes)
        yield running
    finally:
        for process in (running, redis):
            process.stop()


@pytest.mark.parametrize("fleet", FLEETS.values(), ids=FLEETS)
def test_every_lane_is_worked_as_soon_as_something_comes(fleet: list[str], tmp_path: Path) -> None:
    with sink() as outside, system(tmp_path, outside, fleet) as running:
        shops = [Shop(running.url, f"c{number}") for number in range(CHANNELS)]
        for shop in shops:
            shop.write("m-1", "ann", "one")
        wait_until("all workers are there", lambda: len(outside.calls) == CHANNELS)
        outside.calls.clear()
        for number, shop in enumerate(shops * 2):
            assert shop.write(f"m-{number}-2", "ann", "two").status_code == 202
            wait_until("it is delivered", lambda: len(outside.calls) > number, PROMPT)  # noqa: B023 - it waits here
    for number, lanes in enumerate(fleet):
        worked = {*WORKED.findall((tmp_path / f"worker-{number}.log").read_text())}
        assert [] == [lane for lane in worked if not any(fnmatch(lane, one) for one in lanes.split(","))]
