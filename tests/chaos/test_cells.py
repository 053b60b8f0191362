"""Two cells behind the load balancer that is shipped for them, each on a Redis of its own: neither knows the other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from app.config.file import BEHIND_PROXY_VARIABLE
from app.platforms.respondio.contacts import contact_id
from tests.support import toml
from tests.support.cells import Balancer
from tests.support.gateway import DESK_TOKEN, SECRET
from tests.support.processes import HOST, RedisServer, System, wait_until
from tests.support.shop import Shop
from tests.support.sink import Sink, sink
from tests.support.traffic import Say, Traffic

AWAY = 6.0  # seconds
# Each cell's channel, and the destination that answers there.
CELLS = {"one": ("shop", "desk"), "two": ("market", "agents")}


@dataclass(frozen=True)
class Cell:
    """`outside` is where its channel and its destination are."""

    channel: str
    destination: str
    system: System
    redis: RedisServer
    outside: Sink

    @property
    def address(self) -> str:
        return f"{HOST}:{self.system.port}"


@dataclass(frozen=True)
class World:
    one: Cell
    two: Cell
    balancer: Balancer

    def shop(self, cell: Cell) -> Shop:
        return Shop(self.balancer.url, cell.channel, self.balancer.authority)

    def traffic(self, cell: Cell) -> Traffic:
        return Through(self.balancer.url, cell.outside, shop=lambda: self.shop(cell))


@dataclass(kw_only=True)
class Through(Traffic):
    """Customers who write by the load balancer."""

    shop: Callable[[], Shop]

    def _writer(self, customer: int, url: str) -> Say:
        shop = self.shop()
        return lambda text: shop.write(f"m-{text}", f"v-{customer}", text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cells")
    with ExitStack() as stack:
        one, two = (stack.enter_context(_cell(folder / name, *CELLS[name])) for name in CELLS)
        names = {name: cell for cell, both in CELLS.items() for name in both}
        balancer = Balancer(folder, {"one": [one.address], "two": [two.address]}, names)
        balancer.start()
        yield World(one, two, balancer)
        balancer.stop()


@contextmanager
def _cell(folder: Path, channel: str, destination: str) -> Iterator[Cell]:
    folder.mkdir()
    redis = RedisServer(folder)
    redis.start()
    with sink() as outside:
        config = folder / "patchbay.toml"
        config.write_text(toml.dumps(_tables(channel, destination, outside.url)))
        system = System(config, redis.url, folder)
        system.receiver.environment[BEHIND_PROXY_VARIABLE] = "1"
        try:
            system.start()
            yield Cell(channel, destination, system, redis, outside)
        finally:
            for process in (system, redis):
                process.stop()


def _tables(channel: str, destination: str, outside: str) -> dict[str, object]:
    shop = {"type": "webhook", "secrets": [SECRET], "send_url": f"{outside}/shop", "destination": destination}
    desk = {"type": "respondio", "webhook_url": f"{outside}/desk", "channel_id": channel, "api_token": DESK_TOKEN}
    return {
        "gateway": {"public_url": "https://gw.example.test"},
        "channels": {channel: {**shop, "statuses": False}},
        "destinations": {destination: {**desk, "repeat_window": 60}},
    }


@pytest.mark.parametrize("name", CELLS)
def test_both_directions_of_a_channel_stay_in_its_cell(name: str, world: World) -> None:
    cell, other = (world.one, world.two) if name == "one" else (world.two, world.one)
    text, reply = f"Hello {cell.channel}", f"What about {cell.channel}?"
    assert world.shop(cell).write("hello-1", "v-hello", text).status_code == 202
    wait_until("the desk has it", lambda: _heard(cell, "/desk", text))
    contact = contact_id(f"{cell.channel}/webhook:v-hello")
    answer = requests.post(
        f"{world.balancer.url}/destinations/{cell.destination}/message",
        json={"contactId": contact, "message": {"type": "text", "text": reply}},
        headers={"authorization": f"Bearer {DESK_TOKEN}"},
        verify=world.balancer.authority,
        timeout=10,
    )
    assert answer.ok
    wait_until("the customer has it", lambda: _heard(cell, "/shop", reply))
    assert not any(cell.channel.encode() in call.body for call in other.outside.calls)
    assert _keys_about(cell, cell.channel)
    assert not _keys_about(other, cell.channel)


def _heard(cell: Cell, path: str, text: str) -> bool:
    return any(call.path == path and text.encode() in call.body for call in cell.outside.calls)


def _keys_about(cell: Cell, channel: str) -> list[str]:
    with cell.redis.client() as client:
        return [key for key in client.scan_iter(count=1000) if channel in key]


def test_a_cell_whose_redis_is_gone_leaves_the_other_alone_and_comes_back(world: World) -> None:
    with world.traffic(world.one) as hurt, world.traffic(world.two) as other:
        wait_until("work flows in both", lambda: min(len(hurt.arrived), len(other.arrived)) > 20)
        world.one.redis.kill()
        time.sleep(AWAY)
        world.one.redis.start()
        hurt.returned = time.monotonic()
        seen = len(hurt.arrived)
        wait_until("work flows again", lambda: len(hurt.arrived) > seen + 20, 60)
        hurt.end()
        other.end()
        wait_until("all is delivered", lambda: hurt.is_all_there and other.is_all_there, 60)
    one, two = hurt.ledger(), other.ledger()
    assert (one.lost, one.disordered, {*one.refused}, one.without_hint) == (0, 0, {503}, 0)
    assert one.longest_gap >= AWAY
    assert (two.lost, two.disordered, two.repeated, two.refused) == (0, 0, 0, Counter())
    assert two.longest_gap < AWAY / 2
