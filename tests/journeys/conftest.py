"""The whole thing as real processes on loopback: receiver, worker, Redis, the sandbox, and a shop that listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests

from app.sandbox import SandboxSettings, make_server
from app.store.connection import connect
from tests.support import toml
from tests.support.gateway import tables
from tests.support.keymap import strays
from tests.support.processes import RedisServer, System, free_port, wait_until
from tests.support.shop import Shop
from tests.support.sink import Sink, sink


@dataclass(frozen=True)
class Sandbox:
    """The stand-ins, over their HTTP interface."""

    url: str

    def inspect(self) -> Any:
        return requests.get(f"{self.url}/inspect", timeout=10).json()

    def fault(self, **fault: Any) -> None:
        answer = requests.post(f"{self.url}/faults", json=fault, timeout=10)
        assert answer.status_code == 201, answer.text

    def reset(self) -> None:
        requests.delete(f"{self.url}/inspect", timeout=10)

    def contact(self, customer: str) -> Any:
        """The respond.io contact of a customer, or None."""
        contacts = self.inspect()["respondio"]["contacts"]
        return next((c for c in contacts if customer in c["contactId"].replace("=2D", "-").replace("=3A", ":")), None)

    def texts(self, customer: str) -> list[tuple[str, str]]:
        """(author, text) of all that an agent sees of a customer."""
        contact = self.contact(customer)
        return [(m["author"], m["message"].get("text", "")) for m in contact["messages"]] if contact else []

    def agent_writes(self, customer: str, text: str) -> Any:
        contact = quote(self.contact(customer)["contactId"], safe="")
        url = f"{self.url}/agent/api/contacts/{contact}/messages"
        answer = requests.post(url, json={"type": "text", "text": text}, timeout=10)
        assert answer.status_code == 201, answer.text
        return answer.json()


@dataclass(frozen=True)
class World:
    """`shop` writes webhooks, `heard` is what the shop was sent."""

    system: System
    redis: RedisServer
    sandbox: Sandbox
    shop: Shop
    heard: Sink

    def said(self, customer: str) -> list[str]:
        """The texts that the shop was given for a customer, in order."""
        return [
            data["content"]["text"]
            for data in self.told("message.created")
            if data["to"]["id"] == customer and data["content"]["type"] == "text"
        ]

    def statuses(self, message_id: str) -> list[str]:
        """What the shop heard of one of its customers' messages."""
        return [data["status"] for data in self.told("message.status") if data["message_id"] == message_id]

    def told(self, kind: str) -> list[Any]:
        envelopes = [call.json for call in list(self.heard.calls)]
        return [envelope["data"] for envelope in envelopes if envelope["type"] == kind]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    gateway_port = free_port()
    token = "desk-token-0001"
    accounts = SandboxSettings(
        gateway_url=f"http://127.0.0.1:{gateway_port}",
        autopilot_account_sid="AC" + "1" * 32,
        autopilot_assistant_sid="UA" + "2" * 32,
        autopilot_auth_token="bot-token-0001",
        respondio_channel_id="ch_1",
        respondio_token=token,
    )
    server = make_server("127.0.0.1", 0, accounts)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sandbox = f"http://127.0.0.1:{server.port}"
    store = RedisServer(folder)
    store.start()
    with sink() as shop:
        raw = tables(
            send_url=f"{shop.url}/patchbay",
            bot_url=f"{sandbox}/autopilot",
            desk_url=f"{sandbox}/respondio/custom/channel/webhook/",
            channels__shop={"retry_base": 0.1},
            destinations__helper={"retry_base": 0.1, "timeout": 5},
            destinations__desk={"retry_base": 0.1},
        )
        config = folder / "patchbay.toml"
        config.write_text(toml.dumps(raw))
        system = System(config, store.url, folder, port=gateway_port)
        system.start(workers=2)
        yield World(system, store, Sandbox(sandbox), Shop(system.url), shop)
        system.stop()
    with connect(store.url, timeout=5, name="tests") as client:
        left = strays(client)
    store.stop()
    server.shutdown()
    server.server_close()
    assert left == []


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """A running system whose stand-ins have forgotten what was before; each test has customers of its own."""
    running.sandbox.reset()
    running.heard.calls.clear()
    running.heard.answers()
    yield running
    wait_until("the lanes are quiet", lambda: not busy(running), 30)


def busy(running: World) -> int:
    import redis

    with redis.Redis(port=running.redis.port) as client:
        lanes = list(client.scan_iter("{patchbay}:lane:*"))
        return sum(int(client.hget(key, "backlog") or 0) for key in lanes)
