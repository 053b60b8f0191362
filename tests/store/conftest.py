"""The store on a real Redis and on fakeredis, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis

from app.store import Store
from app.store.connection import connect
from app.store.limits import Limits
from tests.store.steps import LANES, declare
from tests.support.gateway import Clock
from tests.support.keymap import strays
from tests.support.processes import RedisServer


@pytest.fixture(scope="session")
def fake_server() -> fakeredis.FakeServer:
    """Started once, as the real one is: it reads our library once, and keeps it when it is emptied."""
    return fakeredis.FakeServer(version=(7,))


@pytest.fixture(params=["redis", "fakeredis"])
def client(request: pytest.FixtureRequest, fake_server: fakeredis.FakeServer) -> redis.Redis:
    """Both servers must give the same answers."""
    if request.param == "fakeredis":
        fake = fakeredis.FakeRedis(server=fake_server, protocol=2, decode_responses=True)
        fake.flushall()
        return fake
    found: redis.Redis = request.getfixturevalue("redis_client")
    return found


@pytest.fixture(autouse=True)
def everything_is_on_the_map(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test leaves behind is on the map of Redis, unless it wrote some of it itself (`written_by_hand`)."""
    name = next((name for name in ("client", "redis_client") if name in request.fixturenames), None)
    held: redis.Redis | None = request.getfixturevalue(name) if name else None
    yield
    if held is not None and "written_by_hand" not in request.fixturenames:
        assert strays(held) == []


@pytest.fixture
def written_by_hand() -> None:
    """For tests that write what the store would not."""


@pytest.fixture(scope="module")
def machine_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """For state machines, which empty it themselves."""
    with connect(redis_server.url, timeout=5, name="machine") as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits() -> Limits:
    """Overridden by parametrising `limits` directly."""
    return Limits()


@pytest.fixture
def store(client: redis.Redis, limits: Limits, clock: Clock) -> Store:
    return opened(client, limits, clock)


@pytest.fixture
def real_store(redis_client: redis.Redis, limits: Limits, clock: Clock) -> Store:
    """For what only a real server does: threads, full memory."""
    return opened(redis_client, limits, clock)


def opened(client: redis.Redis, limits: Limits | None, clock: Clock | None) -> Store:
    store = Store(client, limits, clock)
    declare(store, LANES)
    return store
