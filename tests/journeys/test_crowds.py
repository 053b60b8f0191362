"""Callers who take threads and give nothing back: browsers that never read, and bodies that never end.

Each of them comes without credentials worth the name: visitor tokens are free.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import requests

from app.config.file import BEHIND_PROXY_VARIABLE
from app.core.message import conversation_key
from app.platforms.webchat import WebchatChannel
from app.web.stalled import STALLED
from tests.support import toml
from tests.support.gateway import settings, tables
from tests.support.nginx import NAME, Nginx
from tests.support.processes import HOST, RedisServer, System, wait_until
from tests.support.shop import Shop

HISTORY = 1000  # messages of 7,000 letters: seven megabytes
WEBHOOKS = 150
STREAMS = ("/chat/chat/events", "/chat/chat/events/", "//chat///chat//events//")


@dataclass(frozen=True)
class World:
    """A receiver on loopback, and the shipped load balancer in front of it."""

    system: System
    nginx: Nginx
    redis: RedisServer
    chat: WebchatChannel

    def visitor(self) -> str:
        return self.chat.new_token()

    def crowded(self) -> str:
        """The token of a visitor with a long history."""
        token = self.visitor()
        body = {"type": "message.created", "data": {"id": "m1", "content": {"type": "text", "text": "x" * 7000}}}
        headers = {"authorization": f"Bearer {token}"}
        answer = requests.post(f"{self.system.url}/channels/chat", json=body, headers=headers, timeout=10).json()
        key = f"{{patchbay}}:e:{conversation_key('chat', self.chat.visitor(token))}"
        with redis.Redis(port=self.redis.port) as client, client.pipeline(transaction=False) as pipeline:
            for _ in range(HISTORY):
                pipeline.xadd(key, {"kind": "message", "id": answer["accepted"][0]["message_id"]})
            pipeline.execute()
        return token

    def memory(self) -> int:
        """Of the receiver's processes, in bytes."""
        return sum(part.memory_info().rss for part in self._processes())

    def rests(self) -> bool:
        """Whether the receiver has told what it tells at first, and only waits."""
        before = self._worked()
        time.sleep(0.5)
        return self._worked() - before < 0.1

    def never_read(self) -> int:
        """How many of the connections that `never_reading` made the receiver still has."""
        return sum(one.raddr.ip.startswith("127.0.1.") for one in self._connections())

    def passed_on(self) -> int:
        """How many connections the receiver has, all of them from the load balancer."""
        return sum(one.laddr.port == self.system.port for one in self._connections())

    def _connections(self) -> list[Any]:
        found = [one for part in self._processes() for one in part.net_connections("tcp")]
        return [one for one in found if one.raddr]

    def _worked(self) -> float:
        """Seconds."""
        return sum(sum(part.cpu_times()[:2]) for part in self._processes())

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.system.receiver.pid)
        return [parent, *parent.children(recursive=True)]

    def finds_a_place(self) -> bool:
        """Whether a new visitor's stream stays open after all is told; one that polls is told to come again."""
        address = f"{self.system.url}/chat/chat/events"
        try:
            with requests.get(
                address, params={"ticket": self.ticket(self.visitor())}, stream=True, timeout=5
            ) as answer:
                for line in answer.iter_lines():
                    if line in (b": still here", b"event: again"):
                        return bool(line == b": still here")
        except requests.RequestException:
            pass
        return False

    def ticket(self, token: str) -> str:
        return self.chat.new_ticket(self.chat.visitor(token))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("crowds")
    store = RedisServer(folder, "no")
    store.start()
    config = folder / "patchbay.toml"
    limits = {"visitor": 0, "address": 0, "channel": 0}  # what is tried here holds without them
    config.write_text(toml.dumps(tables(gateway={"limits": limits})))
    system = System(config, store.url, folder)
    system.receiver.environment[BEHIND_PROXY_VARIABLE] = "1"
    nginx = Nginx(folder, f"{HOST}:{system.port}")
    system.start(workers=0)
    nginx.start()
    yield World(system, nginx, store, WebchatChannel("chat", settings().channels["chat"].values))
    nginx.stop()
    system.stop()
    store.stop()


def webhooks(url: str, verify: Path | None = None) -> float:
    """Post webhooks, each of which is taken; how many a second."""
    shop = Shop(url, authority=str(verify or ""))
    began = time.monotonic()
    for number in range(WEBHOOKS):
        assert shop.write(f"{began}-{number}", f"customer-{number}", "Where is my parcel?").status_code == 202
    return WEBHOOKS / (time.monotonic() - began)


def still_serves(url: str, verify: Path | None = None) -> None:
    assert requests.get(f"{url}/healthz", timeout=5, verify=str(verify) if verify else True).status_code == 200


def request(world: World, token: str) -> bytes:
    address = f"/chat/chat/events?ticket={world.ticket(token)}"
    return f"GET {address} HTTP/1.1\r\nHost: {NAME}\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n".encode()


@contextmanager
def many(count: int, connect: Any) -> Iterator[list[Any]]:
    with ExitStack() as opened:
        yield [opened.enter_context(connect(number)) for number in range(count)]


def never_reading(place: tuple[str, int], number: int) -> socket.socket:
    """From an address of its own, with as little room for what comes as the system allows."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # as over a network: loopback's buffers hold megabytes
    made.settimeout(10)
    made.bind((f"127.0.1.{number % 250 + 1}", 0))
    made.connect(place)
    return made


def test_streams_that_are_never_read_take_nothing_from_webhooks(world: World) -> None:
    url, authority = world.nginx.url, world.nginx.authority
    tokens = [world.crowded() for _ in range(75)]
    alone, before = webhooks(url, authority), world.memory()
    context = ssl.create_default_context(cafile=str(authority))

    def connect(number: int) -> ssl.SSLSocket:
        return context.wrap_socket(never_reading((HOST, world.nginx.port), number), server_hostname="localhost")

    with many(300, connect) as connections:
        for number, connection in enumerate(connections):
            connection.sendall(request(world, tokens[number % len(tokens)]))
        still_serves(url, authority)
        wait_until("they have what they are told at first", world.rests)
        crowded = webhooks(url, authority)
        grown = world.memory() - before
        wait_until("whoever never reads is cut off", world.finds_a_place, STALLED + 60, every=1)
    print(f"webhooks beside 300 streams that are never read: {crowded / alone:.2f} of {alone:.0f}/s; {grown >> 20} MB")
    assert grown < 200 << 20


def test_a_receiver_alone_bears_streams_that_are_never_read(world: World) -> None:
    url = world.system.url
    tokens = [world.crowded() for _ in range(40)]
    alone, before = webhooks(url), world.memory()
    with many(130, lambda number: never_reading((HOST, world.system.port), number)) as connections:
        for number, connection in enumerate(connections):
            asked = request(world, tokens[number % len(tokens)])
            connection.sendall(asked.replace(b"203.0.113.9", f"203.0.113.{number}".encode()))
        still_serves(url)
        wait_until("they have what they are told at first", world.rests)
        crowded = webhooks(url)
        grown = world.memory() - before
        wait_until("whoever never reads is cut off", lambda: not world.never_read(), STALLED + 60, every=1)
        assert world.finds_a_place()
    print(f"webhooks beside 130 streams that are never read: {crowded / alone:.2f} of {alone:.0f}/s; {grown >> 20} MB")
    assert grown < 200 << 20


def test_one_visitor_cannot_take_the_places_of_others(world: World) -> None:
    token = world.crowded()
    with many(100, lambda number: never_reading((HOST, world.system.port), number)) as connections:
        for number, connection in enumerate(connections):
            asked = request(world, token)
            connection.sendall(asked.replace(b"203.0.113.9", f"203.0.113.{number}".encode()))
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert world.finds_a_place()


def test_bodies_that_never_end_hold_no_thread_behind_the_load_balancer(world: World) -> None:
    url, authority = world.nginx.url, world.nginx.authority
    head = f"POST /channels/shop HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 100\r\n\r\n{{".encode()
    alone = webhooks(url, authority)
    with many(300, lambda number: world.nginx.connect(f"127.0.1.{number % 250 + 1}")) as connections:
        for connection in connections:
            connection.sendall(head)
        still_serves(url, authority)
        assert world.passed_on() < 64, "nginx keeps 32 and needs few more"
        crowded = webhooks(url, authority)
        for connection in connections:
            connection.settimeout(30)
            assert ended(connection)
    print(f"webhooks beside 300 bodies that never end: {crowded / alone:.2f} of {alone:.0f}/s")


def ended(connection: ssl.SSLSocket) -> bool:
    """Whether the load balancer gives a caller up, in the time of the connection."""
    try:
        return connection.recv(4096) == b"" or b" 408 " in connection.recv(4096)
    except (ConnectionError, ssl.SSLError):
        return True


def test_neither_tokens_nor_tickets_stand_in_logs(world: World) -> None:
    token = world.visitor()
    ticket = world.ticket(token)
    verify = str(world.nginx.authority)
    for path in STREAMS:
        address = f"{world.nginx.url}{path}?ticket={world.ticket(token)}"
        with requests.get(address, timeout=10, stream=True, verify=verify) as stream:
            assert (stream.status_code, stream.headers["Content-Type"][:17]) == (200, "text/event-stream")
    spoilt = [f"{world.nginx.url}{path}?ticket={ticket[:-1]}" for path in STREAMS]
    assert {401} == {requests.get(address, timeout=10, verify=verify).status_code for address in spoilt}
    world.system.receiver.stop()  # what the load balancer cannot pass on, it writes about
    try:
        assert {503} == {requests.get(address, timeout=10, verify=verify).status_code for address in spoilt}
    finally:
        world.system.receiver.start()
        wait_until("the receiver is ready", lambda: world.system.ready)
    written = world.nginx.logs() + world.system.logs()
    assert "ticket=" not in written
    assert token not in written
